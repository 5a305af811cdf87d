"""How commands end: a message on standard error, and an exit code."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Never

__all__ = ["orderly_end", "say"]


def say(message: str, code: int) -> int:
    """Print a message to standard error; return the code."""
    print(message, file=sys.stderr)
    return code


@contextmanager
def orderly_end(goes_on: str) -> Iterator[None]:
    """Unwind at SIGTERM too, so that the server ends and people are told.

    Parameters
    ----------
    goes_on : what is kept, and how to go on
    """

    def end(number: int, _frame: object) -> Never:
        raise SystemExit(say(f"Terminated: {goes_on}", 128 + number))

    previous = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
