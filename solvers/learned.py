"""What a solver has learned, kept beside a chunk so that a resumed run goes on with it.

A chunk without a file of its own starts from another one's, so that parallel chunks do not all pay
for the same trials. Where choices have to be the same each time (`cost: operations`), it does
not: which chunk ends first depends on the machine.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["read_learned", "write_learned"]

_SUFFIX = ".learned.json"


def write_learned(jobs: Path, number: int, state: Mapping[str, Any]) -> None:
    """Replace the file of a chunk. It may be lost in a power failure: nothing depends on it.

    Parameters
    ----------
    jobs : folder of the chunks' job files
    number : place of the chunk in its study
    state : JSON-able values
    """
    path = jobs / f"{number:06d}{_SUFFIX}"
    staged = path.with_suffix(".writing")
    staged.write_text(json.dumps(state))
    staged.replace(path)


def read_learned(jobs: Path, number: int, *, others: bool) -> dict[str, Any] | None:
    """Return what the chunk has learned before, or else what another one has; None without any.

    Parameters
    ----------
    jobs, number : as in `write_learned`
    others : whether another chunk's will do

    Notes
    -----
    A file that cannot be read counts as none: learning begins anew.
    """
    own = jobs / f"{number:06d}{_SUFFIX}"
    rest = sorted(jobs.glob(f"*{_SUFFIX}"), key=_size, reverse=True) if others else []
    for path in (own, *rest):
        try:
            found = json.loads(path.read_text())
        except (OSError, ValueError):
            continue
        if isinstance(found, dict):
            return found
    return None


def _size(path: Path) -> tuple[int, str]:
    """Order files by what they hold, then by name."""
    try:
        return path.stat().st_size, path.name
    except OSError:
        return 0, path.name
