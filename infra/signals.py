"""Signals that libraries take for themselves, and those of their crashes.

Python ignores SIGPIPE, so that writing to a closed connection raises an exception, and commands
end in order at SIGTERM. A library that installs handlers of its own, and sets the defaults when it
goes, leaves a process that either signal ends without a word.
"""

import ctypes
import faulthandler
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

__all__ = ["signals_kept", "tell_crashes"]

# Bytes, more than any system's `struct sigaction` has.
_ACTION = 512
_FIXED = (signal.SIGKILL, signal.SIGSTOP)


@contextmanager
def signals_kept() -> Iterator[None]:
    """Restore at the end what the process does at each signal, whatever the block changes.

    What lies below Python is kept, that is, also what other libraries have installed; and unlike
    `signal.signal` this may be used in any thread.
    """
    change = ctypes.CDLL(None).sigaction
    before = {}
    for number in signal.valid_signals().difference(_FIXED):
        action = ctypes.create_string_buffer(_ACTION)
        if change(number, None, action) == 0:
            before[number] = action
    try:
        yield
    finally:
        for number, action in before.items():
            change(number, action, None)


def tell_crashes(*, all_threads: bool = True) -> None:
    """Let a crash of a library tell on standard error where Python had called it.

    Nothing happens where somebody does so already, or where standard error is not a file.
    """
    if not faulthandler.is_enabled():
        with suppress(OSError):
            faulthandler.enable(all_threads=all_threads)
