"""The other trainer processes: started, watched and ended by rank 0."""

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import connection, parent_process
from typing import Any, final

from torch import multiprocessing

from infra.lifeline import die_with_parent
from surrogates.errors import RankLostError

__all__ = ["Followers"]

# How long rank 0 may stay in a collective after another process died before it is ended, seconds.
_GRACE = 10.0
# How long the others may take to leave after they were told to, seconds.
_LEAVE = 30.0


@final
class Followers:
    """Processes that end with this one, and whose death ends this one.

    The transport reports a closed connection at once, so that rank 0 gets out of a collective
    with an error. Where it does not, a thread ends this process after a grace period: nothing
    else can free a thread that waits for a dead process.

    Parameters
    ----------
    follow
        What they run, with their number and the post.
    post
        What they are given; it is sent as multiprocessing does, tensors in shared memory are
        shared.
    count
        How many.
    """

    def __init__(self, follow: Callable[[int, Any], None], post: Any, count: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._busy = False
        self._ended = threading.Event()
        self._processes = [
            context.Process(target=_run, args=(follow, number, post), daemon=True)
            for number in range(count)
        ]
        # Before multiprocessing's own clean-up, which would wait for processes that wait for us.
        atexit.register(self._kill)
        for process in self._processes:
            process.start()
        threading.Thread(target=self._watch, name="followers", daemon=True).start()

    @property
    def busy(self) -> bool:
        """Whether this process is inside a common operation, or left one by an error."""
        return self._busy

    @property
    def complete(self) -> bool:
        """Whether all are alive."""
        return all(process.is_alive() for process in self._processes)

    @property
    def pids(self) -> tuple[int, ...]:
        """Their process numbers."""
        return tuple(process.pid or 0 for process in self._processes)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Mark a block in which this process may wait for the others.

        Raises
        ------
        RankLostError
            If one of them is dead, before the block or in place of an error of it.
        """
        self._require_all(None)
        self._busy = True
        try:
            yield
        except RuntimeError as error:  # PyTorch's error of a broken connection
            self._require_all(error)
            raise
        self._busy = False

    def end(self, kill: bool) -> None:
        """Wait until all have left, or kill them."""
        self._ended.set()
        for process in self._processes:
            if not kill:
                process.join(_LEAVE)
            if process.is_alive():
                process.kill()
            process.join()
        atexit.unregister(self._kill)

    def _kill(self) -> None:
        for process in self._processes:
            if process.pid is not None:
                process.kill()

    def _require_all(self, error: BaseException | None) -> None:
        # The kernel may report the closed connection before the process is gone.
        dead = connection.wait([p.sentinel for p in self._processes], 1.0 if error else 0.0)
        if dead:
            raise RankLostError(self._obituary()) from error

    def _watch(self) -> None:
        connection.wait([process.sentinel for process in self._processes])
        while not self._ended.wait(_GRACE):
            if self._busy:
                print(self._obituary(), file=sys.stderr, flush=True)
                self.end(kill=True)
                os._exit(1)

    def _obituary(self) -> str:
        gone = [
            f"process {number + 1} ended with {_named(process.exitcode)}"
            for number, process in enumerate(self._processes)
            if not process.is_alive()
        ]
        return (
            f"Expected {len(self._processes) + 1} trainer processes; received: "
            f"{', '.join(gone) or 'one does not answer'}. See its messages above; without one it "
            "was killed, often for memory. Start the training again: it goes on from its last "
            "checkpoint."
        )


def _run(follow: Callable[[int, Any], None], number: int, post: Any) -> None:
    die_with_parent()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # rank 0 makes the checkpoint, then ends us
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="lifeline", daemon=True).start()
    follow(number, post)


def _end_with_parent() -> None:
    """Kill this process when its parent is gone; for systems without a parent-death signal."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGKILL)


def _named(code: int | None) -> str:
    if code is None:
        return "an unknown code"
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
