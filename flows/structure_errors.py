"""Numerical events of structures by their names: what is given makes them, not the storage."""

from collections.abc import Iterator
from contextlib import contextmanager

from infra.errors import (
    ChecksumError,
    RomflowError,
    StorageAccessError,
    StorageFullError,
    StoreError,
    UserError,
)

__all__ = ["STORAGE_ERRORS", "named_refusals", "refusal"]

# What ends a command with the code of storage that cannot be used.
STORAGE_ERRORS = (StorageAccessError, StorageFullError, ChecksumError, StoreError, OSError)


def refusal(error: RomflowError) -> str:
    """Return the message of an event with its name; a wrong input needs none."""
    return str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"


@contextmanager
def named_refusals() -> Iterator[None]:
    """Make numerical events wrong inputs with their names; all else is as it was.

    Raises
    ------
    UserError
        For inverted elements, a law without an answer, a cubature that does not reach its
        tolerance, a step that does not converge.
    """
    try:
        yield
    except (UserError, *STORAGE_ERRORS):
        raise
    except RomflowError as error:
        raise UserError(refusal(error)) from error
