"""Figures to files, whole or not at all."""

import io
import secrets
from pathlib import Path

from matplotlib.figure import Figure

from infra.errors import UserError, storage_errors
from infra.files import write_durably

__all__ = ["require_suffix", "save", "write_file"]

_DPI = 150


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG at 150 dots per inch.

    Returns
    -------
    Path
        `path`; folders above it are made.

    Raises
    ------
    UserError
        If the name does not end in ``.png``.
    StorageFullError, StorageAccessError
        If the file cannot be written; an older one is left as it was.
    """
    require_suffix(path, ".png")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    return write_file(path, buffer.getvalue())


def require_suffix(path: Path, suffix: str) -> None:
    """Check the end of a file's name."""
    if path.suffix.lower() != suffix:
        raise UserError(f"file: expected a name that ends in {suffix}, received {path.name!r}.")


def write_file(path: Path, data: bytes) -> Path:
    """Write a file beside its place and move it there, so that no reader sees half of it."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_durably(part, data)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    return path
