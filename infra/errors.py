"""The errors of romflow, by name, and the translation of the operating system's errors.

::

    RomflowError               everything that romflow raises on purpose
    ├── UserError              the input is wrong; the command line ends with exit code 2
    ├── StoreError             the dataset cannot answer, or was used in the wrong order
    │   └── StoreMismatchError     the folder already holds a dataset of another layout
    ├── ChecksumError          stored data differ from what was committed
    ├── StorageFullError       no room left, a quota or a file size limit reached
    ├── StorageAccessError     the place cannot be written or read
    └── StreamError            frames could not be handed over between solver and trainer
        ├── NotFiniteError         a frame holds NaN or infinite values
        └── FencedError            another trainer has taken over this stream

Each message says what was expected, what was received and what to do.
"""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import final

__all__ = [
    "ChecksumError",
    "FencedError",
    "NotFiniteError",
    "RomflowError",
    "StorageAccessError",
    "StorageFullError",
    "StoreError",
    "StoreMismatchError",
    "StreamError",
    "UserError",
    "storage_errors",
]

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_REFUSED = frozenset({errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR})


class RomflowError(Exception):
    """Root of all errors that romflow raises on purpose."""


@final
class UserError(RomflowError):
    """The input is wrong; the message names the entry and says what would be right."""


class StoreError(RomflowError):
    """The dataset cannot answer this request, or was used in the wrong order."""


@final
class StoreMismatchError(StoreError):
    """The folder already holds a dataset of another layout.

    Parameters
    ----------
    entry
        Name of the first entry of the layout that differs.
    expected
        What the existing dataset holds.
    received
        What the new layout asks for.
    """

    def __init__(self, entry: str, expected: object, received: object) -> None:
        super().__init__(
            f"The dataset exists with another layout: `{entry}` differs. "
            f"Expected (stored): {expected}. Received: {received}. "
            "Use another name or folder for the new study, or give the stored study unchanged."
        )
        self.entry = entry
        self.expected = expected
        self.received = received

    def __reduce__(self) -> tuple[type, tuple[str, object, object]]:
        # The default would call __init__ with the message alone when a worker sends it back.
        return (type(self), (self.entry, self.expected, self.received))


@final
class ChecksumError(RomflowError):
    """Stored data differ from the checksum of their commit record."""


@final
class StorageFullError(RomflowError):
    """No room left on the device, or a quota or file size limit was reached."""


@final
class StorageAccessError(RomflowError):
    """The place cannot be written or read."""


class StreamError(RomflowError):
    """Frames could not be handed over between a solver and a trainer."""


@final
class NotFiniteError(StreamError):
    """A frame holds NaN or infinite values; its sample is quarantined."""


@final
class FencedError(StreamError):
    """Another trainer has taken over this stream; the one that gets this error must stop."""


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Translate the operating system's storage errors into romflow's.

    Parameters
    ----------
    path
        The place that is about to be written or read; the message names it.

    Yields
    ------
    None

    Raises
    ------
    StorageFullError
        For ENOSPC, EDQUOT and EFBIG.
    StorageAccessError
        For EACCES, EROFS, EPERM and ENOTDIR.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFullError(_full_message(path, error)) from error
        if error.errno in _REFUSED:
            raise StorageAccessError(_access_message(path, error)) from error
        raise


def _full_message(path: Path, error: OSError) -> str:
    return (
        f"No room to write {path} ({error.strerror}; {_free(path)}). "
        "Free space, raise the quota or the file size limit (`ulimit -f`), or choose another "
        "place; then start again: committed samples are kept."
    )


def _access_message(path: Path, error: OSError) -> str:
    culprit = error.filename or path
    return (
        f"Cannot use {path}: {error.strerror} ({culprit}). Expected a folder that this user may "
        "write. Choose another place or change its permissions."
    )


def _free(path: Path) -> str:
    """Say how much is free on the file system that would hold `path`."""
    for place in (path, *path.parents):
        if place.is_dir():
            return f"{shutil.disk_usage(place).free / 1e9:.2f} GB free on its file system"
    return "free space unknown"
