"""Telling of those that were turned away, without letting them fill a log."""

import math
import sys
import threading
import time
from collections.abc import Callable
from typing import final

__all__ = ["Report", "Strangers", "say_on_standard_error"]

type Report = Callable[[str, str], None]
"""Takes an address and a line for people."""

# Addresses that are remembered; the oldest is forgotten first.
_KNOWN = 256


def say_on_standard_error(_address: str, line: str) -> None:
    """Print a line."""
    print(line, file=sys.stderr, flush=True)


@final
class Strangers:
    """Tells of each address once a while, and then how often it came meanwhile; thread-safe.

    Parameters
    ----------
    report
        Takes the lines.
    every
        Seconds between two lines on one address.
    clock
        Time in seconds.
    """

    def __init__(
        self, report: Report, every: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._report, self._every, self._clock = report, every, clock
        self._lock = threading.Lock()
        # When an address was last told of, and how often it came since.
        self._told: dict[str, tuple[float, int]] = {}

    def note(self, address: str, why: str) -> None:
        """Take in that somebody was turned away.

        Parameters
        ----------
        address
            Where he is.
        why
            In short.
        """
        with self._lock:
            now = self._clock()
            last, more = self._told.pop(address, (-math.inf, 0))
            due = now - last >= self._every
            self._told[address] = (now, 0) if due else (last, more + 1)
            if len(self._told) > _KNOWN:
                del self._told[next(iter(self._told))]
        if due:
            since = f" ({more} more times since this was last said)" if more else ""
            self._report(address, f"A client at {address} was turned away: {why}{since}.")
