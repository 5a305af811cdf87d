"""One element of a Slurm array: ``python -m infra.cluster.element WORK --element 3 ...``.

It runs the items of its element one after another, with the very commands of a local run. Slurm
sends SIGUSR1 some time before the walltime: the job then ends between two samples, or shortly
before the limit if the sample takes longer; what is committed stays, the sample is computed again.
SIGTERM (preemption, scancel) ends it at once. How each item ended is written to a file, so that a
submitter needs no accounting database. A job that was requeued goes on where it was.
"""

import argparse
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, final

from infra.cluster.journal import Journal
from infra.cluster.local import error_tail, started, told_code
from infra.cluster.work import (
    BOUNDARIES,
    End,
    Work,
    WorkItem,
    count_events,
    read_end,
    read_work,
    write_end,
)
from infra.errors import RomflowError

__all__ = ["SCRATCH", "UNFINISHED", "main"]

# Exit code of an element that has left something undone (EX_TEMPFAIL).
UNFINISHED = 75
# Variable with the folder for temporary files that the profile names.
SCRATCH = "ROMFLOW_SCRATCH"
# Of the grace: the rest is for ending processes and writing files.
_PATIENCE = 0.75
# Seconds between looks at the log while a chunk is being closed, and until it is killed.
_LOOK, _KILL = 0.1, 5.0

type How = Literal["ended", "closed", "terminated", "unreached"]


def main(arguments: list[str] | None = None) -> int:
    """Run an element and return its exit code: 0, or `UNFINISHED`."""
    parser = argparse.ArgumentParser(prog="python -m infra.cluster.element")
    parser.add_argument("work", type=Path)
    parser.add_argument("--first", type=int, default=0, help="element of the array's zero")
    for name in ("--element", "--job", "--restart", "--seconds"):
        parser.add_argument(name, type=int, default=0)
    options = parser.parse_args(arguments)
    try:
        work = read_work(options.work)
        run = _Element(work, options.first + options.element, options.job, options.restart)
        return run.run()
    except RomflowError as error:
        print(error, file=sys.stderr)
        return 3


@final
class _Element:
    """The state of an element: signals and ends of jobs, in the order in which they come."""

    def __init__(self, work: Work, element: int, job: int, restart: int) -> None:
        self._work, self._number = work, element
        self._job, self._restart = job, restart
        # Its `put` is the one that a signal handler may call at any time.
        self._news: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._asked: How | None = None

    def run(self) -> int:
        for number in (signal.SIGUSR1, signal.SIGTERM):
            signal.signal(number, lambda received, _frame: self._news.put(received))
        if self._restart:
            self._tell_restart()
        self._tell_scratch()
        left = 0
        for place, item in enumerate(self._work.elements[self._number]):
            path = self._work.end(self._number, place)
            before = read_end(path)
            if before is not None and before.settled and self._restart:
                continue  # it was through before the job was requeued
            end = self._run(item, place)
            write_end(path, end)
            left += not end.settled
        return UNFINISHED if left else 0

    def _tell_restart(self) -> None:
        """Note that Slurm has started this job again; only the job itself gets to know."""
        asked = crashed = False
        for place, item in enumerate(self._work.elements[self._number]):
            end = read_end(self._work.end(self._number, place))
            if end is None or end.restart != self._restart - 1:
                continue  # the last start did not come so far
            asked |= end.how != "ended"
            if end.crashed:  # the new start hides it from the submitter
                crashed = True
                text = f"chunk {item.log.stem} crashed before its job was requeued; again"
                self._tell("crashed", text, chunk=item.log.stem)
        why = "it had ended with a crash" if crashed else "it had vanished with its node"
        if asked:
            why = "it had been asked to go"
        text = (
            f"job {self._job} with chunk {self._chunks()} was requeued: {why}, and Slurm started "
            "it anew"
        )
        self._tell("requeued", text, restart=self._restart)

    def _tell_scratch(self) -> None:
        """Note if the profile's folder for temporary files cannot be used; the job goes on."""
        folder = os.environ.get(SCRATCH)
        if folder is None:
            return
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return
        except OSError as error:
            chunks, why = self._chunks(), error.strerror
        # Without the node's name, so that status tells a crowd of chunks in short.
        text = f"chunk {chunks}: scratch {folder} cannot be used ({why}); it goes on without"
        self._tell("scratch", text, chunk=chunks, host=socket.gethostname())

    def _chunks(self) -> str:
        return ", ".join(item.log.stem for item in self._work.elements[self._number])

    def _tell(self, event: str, text: str, **values: Any) -> None:
        if self._work.journal is not None:
            with suppress(RomflowError, OSError):  # on a full disk the work itself will tell
                Journal(self._work.journal).write(event, text, **values)

    def _run(self, item: WorkItem, place: int) -> End:
        """Run an item to its end, or until the job has to go."""
        begun, code, errors = time.time(), -1, ""
        self._hear()
        reached = place == 0 or not self._leaves()
        if not self._leaves():
            item.log.touch()
            launcher = self._work.launcher
            command = launcher.command(item.module, item.ranks)
            with started(command, item.log, hide_allocation=launcher.hide_allocation) as job:
                waiting = threading.Thread(target=self._wait, args=(job,), daemon=True)
                waiting.start()
                self._until_end(item, job)
            errors = error_tail(item.log)
            code = told_code(job.returncode, errors)
        return End(
            how=self._how(code) if reached else "unreached",
            code=code,
            errors=errors,
            job=self._job,
            host=socket.gethostname(),
            restart=self._restart,
            started=begun,
            seconds=time.time() - begun,
        )

    def _leaves(self) -> bool:
        return self._asked is not None

    def _how(self, code: int) -> How:
        """Tell how a job ended; one that was through when it was asked to go has ended."""
        return "ended" if self._asked is None or code in (0, 2, 3) else self._asked

    def _wait(self, job: subprocess.Popen[bytes]) -> None:
        job.wait()
        self._news.put(None)

    def _until_end(self, item: WorkItem, job: subprocess.Popen[bytes]) -> None:
        """Wait for the end of a job; end it in order when Slurm asks for it."""
        while self._asked is None:
            if self._take(self._news.get()):
                return
        if self._asked == "closed" and self._boundary_comes(item):
            return
        if job.stdin is not None:
            job.stdin.close()  # the lifeline: the ranks end, on whatever node
        try:
            job.wait(_KILL)
        except subprocess.TimeoutExpired:
            job.kill()

    def _boundary_comes(self, item: WorkItem) -> bool:
        """Let the present sample be finished, if there is time; True if the job ended itself."""
        offset = item.log.stat().st_size
        end = time.monotonic() + _PATIENCE * self._work.grace
        while time.monotonic() < end and self._asked == "closed":
            if count_events(item.log, BOUNDARIES, offset):
                return False
            try:
                if self._take(self._news.get(timeout=_LOOK)):
                    return True
            except queue.Empty:
                continue
        return False

    def _hear(self) -> None:
        """Take signals that came between two items."""
        while not self._news.empty():
            self._take(self._news.get())

    def _take(self, news: int | None) -> bool:
        """Note a signal; True for the end of a job."""
        if news == signal.SIGTERM:
            self._asked = "terminated"
        elif news == signal.SIGUSR1 and self._asked is None:
            self._asked = "closed"
        return news is None


if __name__ == "__main__":
    sys.exit(main())
