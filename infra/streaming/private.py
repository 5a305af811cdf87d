"""Files that only their owner may read."""

import os
import stat
import uuid
from contextlib import suppress
from pathlib import Path

from infra.errors import StorageAccessError, storage_errors
from infra.files import flush_folder, write_whole

__all__ = ["require_private_folder", "write_private"]


def write_private(path: Path, data: bytes, *, secret: bool, new: bool = False) -> None:
    """Write a file with mode 600, whole or not at all, durably.

    Parameters
    ----------
    path, data
        The file and what it holds.
    secret
        Whether it is an error if the file system does not keep the mode.
    new
        Whether a file that is there already stays; else it is replaced.

    Raises
    ------
    StorageFullError, StorageAccessError
        If it cannot be written, or not hidden.
    """
    staged = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    with storage_errors(path):
        try:
            file = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                if secret:
                    _require_hidden(path, os.fstat(file).st_mode)
                write_whole(file, data)
                os.fsync(file)
            finally:
                os.close(file)
            if new:
                with suppress(FileExistsError):
                    os.link(staged, path)
            else:
                staged.replace(path)
        finally:
            staged.unlink(missing_ok=True)
        flush_folder(path.parent)


def require_private_folder(folder: Path) -> None:
    """Check that nobody else may put another file in the place of one in this folder.

    Raises
    ------
    StorageAccessError
        If somebody may.
    """
    with storage_errors(folder):
        mode = folder.stat().st_mode
    if mode & (stat.S_IWGRP | stat.S_IWOTH) and not mode & stat.S_ISVTX:
        raise StorageAccessError(
            "Expected a folder that only its owner may change, for the keys of a stream; received "
            f"{folder} with mode {stat.S_IMODE(mode):o}. Run `chmod go-w {folder}`."
        )


def _require_hidden(path: Path, mode: int) -> None:
    """Check that a file system has kept the mode of a file that is about to hold keys."""
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise StorageAccessError(
            f"Expected a file system on which {path} can be hidden from others; received one that "
            f"makes files with mode {stat.S_IMODE(mode):o}. Choose another folder."
        )
