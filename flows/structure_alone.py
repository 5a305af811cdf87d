"""One work of a kind at a time on a structure: whoever comes second is refused at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.errors import UserError, storage_errors
from infra.files import FileLock

__all__ = ["alone"]


@contextmanager
def alone(place: Path, work: str, after: str) -> Iterator[None]:
    """Let nobody else do a work while the block runs.

    Parameters
    ----------
    place : folder of the work, which is made if need be; its lock lies there
    work : such as "build of plate-rom", for people
    after : what the same command does when the other one has ended, for people

    Raises
    ------
    UserError
        If somebody else is at it.
    StorageAccessError, StorageFullError
        If the folder or its lock cannot be made.
    """
    with storage_errors(place):
        place.mkdir(parents=True, exist_ok=True)
    lock = FileLock(place / ".lock")
    if not lock.acquire(wait=False):
        raise UserError(
            f"Expected one {work} at a time; received a second one. Wait for the other, and give "
            f"the same command again: {after}."
        )
    try:
        yield
    finally:
        lock.release()
