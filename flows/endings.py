"""How commands end: a message on standard error, and an exit code."""

import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import IO, Any, Never, Self

__all__ = [
    "NOBODY_READS",
    "Interrupts",
    "drop",
    "exit_code",
    "flushed",
    "nobody_reads",
    "orderly_end",
    "say",
]

_CODES = {"Incomplete": 1, "Refused": 2, "Storage": 3}

# Exit code of whoever is stopped because nobody reads what it prints, as `head` does.
NOBODY_READS = 128 + signal.SIGPIPE


def nobody_reads() -> bool:
    """Return whether standard output is a pipe whose reader has gone."""
    if sys.stdout is None:  # it was closed when the command was started
        return False
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def flushed(code: int) -> int:
    """Print what is left to print; return the code, or `NOBODY_READS` if that is not possible."""
    if sys.stdout is None:
        return code
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        drop(sys.stdout)
        return code or NOBODY_READS
    return code


def drop(stream: IO[str]) -> None:
    """Send what is left of an output nowhere: Python would complain about it when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def say(message: str, code: int) -> int:
    """Print a message to standard error; return the code."""
    if sys.stderr is None:  # it was closed; print would take standard output instead
        return code
    try:
        print(message, file=sys.stderr, flush=True)
    except OSError:  # nobody reads, or the terminal has gone
        drop(sys.stderr)
    return code


def exit_code(state: Any) -> int:
    """Say why a flow did not complete, if it did not; return the exit code of its state's name."""
    if state.is_completed():
        return 0
    return say(state.message or state.name, _CODES.get(state.name, 1))


class Interrupts:
    """Interrupts from the keyboard while this context lasts, counted as they come.

    An interrupt can arrive while a lock is taken or given back; what then leaves the block is
    another exception than `KeyboardInterrupt`, or a flow that failed with it. How a command ends
    is therefore asked here. A process that was told to ignore interrupts goes on ignoring them.
    """

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> Self:
        self._heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self._heard:
            signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, *error: object) -> None:
        if self._heard:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        signal.default_int_handler(number, frame)


@contextmanager
def orderly_end(goes_on: str) -> Iterator[None]:
    """Unwind at SIGTERM, and when the terminal goes, so that the server ends and people are told.

    Parameters
    ----------
    goes_on : what is kept, and how to go on
    """

    def end(number: int, _frame: object) -> Never:
        raise SystemExit(say(f"Terminated: {goes_on}", 128 + number))

    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as `nohup` wants it
        numbers.append(signal.SIGHUP)
    previous = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
