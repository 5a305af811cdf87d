"""Durable files and locks on a POSIX file system: the few operations that a store needs.

A file is complete only if it was written elsewhere, flushed to the device and then renamed or
linked into place; the folder that received it must be flushed too, or a power failure loses
the name. Locks are `flock` locks: the kernel frees them when their process dies, however.
"""

import errno
import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import final

from infra.errors import StorageAccessError, StorageFullError, storage_errors

__all__ = [
    "FileLock",
    "flush_folder",
    "flush_tree",
    "locked",
    "replace_durably",
    "require_space",
    "write_durably",
    "write_whole",
]

_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP})


@final
class FileLock:
    """An exclusive lock on a file; it dies with the process that holds it.

    The file itself is never removed: another process may be waiting on it.

    Parameters
    ----------
    path
        The lock file.
    make
        Whether it is made if it does not exist.
    """

    def __init__(self, path: Path, *, make: bool = True) -> None:
        self._path = path
        self._flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if make else 0)
        self._file: int | None = None

    def acquire(self, *, wait: bool = True) -> bool:
        """Take the lock.

        Parameters
        ----------
        wait
            Whether to wait until the holder frees it.

        Returns
        -------
        bool
            Whether it was taken; always True if `wait`.

        Raises
        ------
        FileNotFoundError
            If there is no such file, and it is not to be made.
        StorageAccessError
            If the file cannot be opened, or the file system has no locks.
        """
        with storage_errors(self._path):
            file = os.open(self._path, self._flags, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        except OSError as error:
            os.close(file)
            raise _lock_error(self._path, error) from error
        self._file = file
        return True

    def release(self) -> None:
        """Free the lock; nothing happens if it is not held."""
        if self._file is not None:
            file, self._file = self._file, None
            os.close(file)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock on this file, waiting for it, while the block runs."""
    lock = FileLock(path)
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


def write_whole(file: int, data: bytes | memoryview) -> None:
    """Write all bytes to an open file descriptor; the system may take them in parts."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def write_durably(path: Path, data: bytes) -> None:
    """Write a new file and flush it to the device; its name is not durable yet."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        write_whole(file, data)
        os.fsync(file)
    finally:
        os.close(file)


def replace_durably(path: Path, data: bytes) -> None:
    """Replace a file: readers, also after a power failure, see the old data or the new, whole."""
    staged = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        write_durably(staged, data)
        staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)
    flush_folder(path.parent)


def flush_folder(path: Path) -> None:
    """Flush a folder, so that the names inside it survive a power failure."""
    file = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def flush_tree(root: Path) -> None:
    """Flush every file and folder below a folder, and the folder itself."""
    for folder, _, files in os.walk(root):
        for name in files:
            file = os.open(Path(folder, name), os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(file)
            finally:
                os.close(file)
        flush_folder(Path(folder))


def require_space(path: Path, needed: int) -> None:
    """Check that the file system of this folder has room.

    Parameters
    ----------
    path
        An existing folder.
    needed
        Bytes.

    Raises
    ------
    StorageFullError
        If less is free.
    """
    free = shutil.disk_usage(path).free
    if free < needed:
        raise StorageFullError(
            f"Expected {needed / 1e9:.3f} GB free for {path}; received {free / 1e9:.3f} GB. "
            "Free space, choose another place, or study fewer samples, frames or nodes."
        )


def _lock_error(path: Path, error: OSError) -> OSError | StorageAccessError:
    if error.errno not in _NO_LOCKS:
        return error
    return StorageAccessError(
        f"Expected a file system with `flock` locks for {path}; received: {error.strerror}. "
        "Mount it with locks (Lustre: option `flock`), or choose another place."
    )
