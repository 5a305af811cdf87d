"""PETSc options that belong to one object, and that PETSc has to know."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import Any

from infra.errors import UserError
from solvers.backend import PETSc

__all__ = ["configured", "unique_prefix"]

_NUMBERS = count()


def unique_prefix(name: str) -> str:
    """Return an options prefix that no other object of this process has."""
    return f"romflow_{name}_{next(_NUMBERS)}_"


@contextmanager
def configured(target: Any, prefix: str, options: Mapping[str, str]) -> Iterator[None]:
    """Give a PETSc object its options; inside the block nested objects read theirs.

    Afterwards they are taken out of the global database again.

    Raises
    ------
    UserError
        At the end of the block, if PETSc did not use an option.
    """
    database: Any = PETSc.Options()
    target.setOptionsPrefix(prefix)
    for key, value in options.items():
        database[prefix + key] = value
    try:
        target.setFromOptions()
        yield
        unused = [key for key in options if not database.used(prefix + key)]
    finally:
        for key in options:
            database.delValue(prefix + key)
    if unused:
        raise UserError(
            f"solver options: expected PETSc options without prefix, such as pc_type: gamg; "
            f"received {', '.join(unused)}, which PETSc did not use. Correct or remove them."
        )
