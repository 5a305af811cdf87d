"""Processes that end with the one that started them, even if that one is killed.

Two independent means, because each has a gap: the kernel's parent-death signal (Linux only, and
only for the direct parent) and a pipe on standard input that closes when its other end dies.
"""

import ctypes
import fcntl
import os
import signal
import stat
import sys
import termios
import threading
import time

__all__ = ["die_with_parent", "end_with_standard_input", "wait_until_read"]

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


def wait_until_read(descriptor: int, seconds: float) -> bool:
    """Wait until the other end of a pipe has taken what was written into it.

    A process that is about to have its whole job killed needs this: MPI's process manager drops
    what its ranks have written and it has not read yet, the traceback of the crash first of all.

    Parameters
    ----------
    descriptor : file descriptor of the pipe's writing end; others count as read
    seconds : longest time to wait

    Returns
    -------
    bool
        Whether everything was read in time.
    """
    end = time.monotonic() + seconds
    while _unread(descriptor):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def _unread(descriptor: int) -> int:
    """Return the number of bytes that wait in a pipe, zero for anything else."""
    try:
        if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            return 0
        answer = fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4))
    except OSError:  # closed, or a system that cannot tell
        return 0
    return int.from_bytes(answer, sys.byteorder)


def _wait_for_end() -> None:
    # os.read, because a thread blocked in sys.stdin.read would hold a lock at shutdown.
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGKILL)
