"""How the folders of all kinds of models are read: each says in its head what it is."""

from collections.abc import Callable, Mapping
from pathlib import Path

from infra.array_folder import TEXT, read_folder
from infra.errors import StoreError
from infra.records import Json
from rom.regression.state import Arrays, Text

__all__ = ["read_headed"]


def read_headed[T](
    folder: Path,
    what: str,
    head: Mapping[str, Json],
    made: Callable[[Arrays, Text], T],
    *,
    verify: bool,
) -> T:
    """Return what is made of the arrays and the text of a folder.

    Parameters
    ----------
    folder
        What `infra.array_folder.write_folder` wrote.
    what
        Its kind in words.
    head
        ``format`` and, where there is one, ``kind``: entries that the text must have.
    made
        Of arrays and text.
    verify
        Whether checksums are computed again.

    Raises
    ------
    UserError
        If there is no model.
    ChecksumError
        If a file differs from what was written.
    StoreError
        If the folder is of another kind or version of romflow, or an entry is missing.
    """
    arrays, text = read_folder(folder, verify=verify)
    if any(text.get(key) != value for key, value in head.items()):
        received = ", ".join(repr(text.get(key)) for key in sorted(head, reverse=True))
        raise StoreError(
            f"Expected a {what} of the format {head['format']} in {folder / TEXT}; received "
            f"{received}. Use the version of romflow that wrote it."
        )
    try:
        return made(arrays, text)
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"Expected a whole model in {folder}; an entry is missing or does not fit: {error}. "
            "Build the model again."
        ) from error
