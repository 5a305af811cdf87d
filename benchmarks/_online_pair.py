"""Processes that are kept for many measurements, each on a core of its own."""

import math
import multiprocessing
import os
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self, final

from _report import one_thread

__all__ = ["Pair", "Watch", "Worker", "await_file", "core_of", "publish_text"]

_LOOK = 0.001


@final
@dataclass
class Watch:
    """Clock of one process, by a time that all processes of a machine share.

    Attributes
    ----------
    began, ended : seconds of `time.monotonic`
    processor : seconds of the processor in between, all threads of the process together
    """

    began: float = math.nan
    ended: float = math.nan
    processor: float = math.nan

    def begin(self) -> None:
        """Start."""
        self.began, self.processor = time.monotonic(), -time.process_time()

    def end(self) -> Self:
        """Stop, and return itself."""
        self.ended = time.monotonic()
        self.processor += time.process_time()
        return self


def core_of(place: int) -> int:
    """Return a core that this process may use: the first, the second, and round again."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[place % len(cores)]


def publish_text(path: Path, text: str) -> None:
    """Write a file that appears as a whole."""
    draft = path.with_suffix(".part")
    draft.write_text(text)
    draft.rename(path)


def await_file(path: Path, seconds: float = 60.0) -> str:
    """Wait for a file of `publish_text`, and return what it says."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(FileNotFoundError):
            return path.read_text()
        time.sleep(_LOOK)
    raise TimeoutError(f"waited {seconds:.0f} s in vain for {path}")


@final
class Worker:
    """A process on one core that runs functions given by name; it ends with this one.

    That starting Python and loading libraries is thereby no part of any time. All its threads,
    those of ZeroMQ included, share the core.

    Parameters
    ----------
    place : which of the cores
    """

    def __init__(self, place: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._line, far = context.Pipe()
        # Numerical libraries of the new process read it when they are loaded.
        os.environ.update(one_thread())
        arguments = (far, core_of(place))
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        far.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.join()
        self._line.close()

    def ask(self, function: Callable[..., Any], **values: Any) -> None:
        """Begin to call a function with these keywords."""
        self._line.send((function, values))

    def answered(self, seconds: float) -> bool:
        """Wait for the end of the call, but no longer than this; return whether it has come."""
        return self._line.poll(seconds)

    def answer(self) -> Any:
        """Return the result of the call.

        Raises
        ------
        RuntimeError
            If it failed; with its traceback.
        """
        value, error = self._line.recv()
        if error:
            raise RuntimeError(error)
        return value

    def call(self, function: Callable[..., Any], seconds: float, **values: Any) -> Any:
        """Call a function with these keywords, and return its result; raises as `answer`."""
        self.ask(function, **values)
        if not self.answered(seconds):
            raise RuntimeError(f"{function} did not end within {seconds:.0f} s")
        return self.answer()


@final
class Pair:
    """A client process on one core and a server process on another, for many measurements."""

    def __init__(self) -> None:
        self._sides = (Worker(0), Worker(1))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for side in self._sides:
            side.__exit__(kind, error, trace)

    def run(
        self,
        client: tuple[Callable[..., Any], Mapping[str, Any]],
        server: tuple[Callable[..., Any], Mapping[str, Any]],
        seconds: float = 120.0,
    ) -> tuple[Any, Any]:
        """Call a function with keywords on each side, and return what both return.

        Raises
        ------
        RuntimeError
            If one of them fails, or is not done in time.
        """
        for side, (function, values) in zip(self._sides, (client, server), strict=True):
            side.ask(function, **values)
        deadline = time.monotonic() + seconds
        waiting, answers = {*self._sides}, dict[Worker, Any]()
        while waiting:
            ready = {side for side in waiting if side.answered(_LOOK)}
            answers |= {side: side.answer() for side in ready}
            waiting -= ready
            if time.monotonic() > deadline:
                raise RuntimeError(f"no end within {seconds:.0f} s: {client}, {server}")
        return answers[self._sides[0]], answers[self._sides[1]]


def _serve(line: "Connection[Any, Any]", core: int) -> None:
    os.sched_setaffinity(0, {core})
    with suppress(EOFError):
        while True:
            function, values = line.recv()
            try:
                line.send((function(**values), ""))
            except Exception:  # noqa: BLE001 - the other process raises it
                line.send((None, traceback.format_exc()))
