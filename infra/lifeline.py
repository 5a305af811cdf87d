"""Processes that end with the one that started them, even if that one is killed.

Two independent means, because each has a gap: the kernel's parent-death signal (Linux only, and
only for the direct parent) and a pipe on standard input that closes when its other end dies.
"""

import ctypes
import os
import signal
import sys
import threading

__all__ = ["die_with_parent", "end_with_standard_input"]

# <sys/prctl.h>
_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent ends (Linux; elsewhere nothing)."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def end_with_standard_input() -> None:
    """Kill this process when standard input reaches its end; returns at once."""
    threading.Thread(target=_wait_for_end, name="lifeline", daemon=True).start()


def _wait_for_end() -> None:
    # os.read, because a thread blocked in sys.stdin.read would hold a lock at shutdown.
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGKILL)
