"""The files of the engineers' page: our own, and the curves' library out of its wheel."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import final

from infra.errors import UserError

__all__ = ["CURVES", "Contents", "PageFile", "page_files"]

# The name under which the page asks for the library that draws curves.
CURVES = "plotly.min.js"

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FOLDER = Path(__file__).with_name("page")


@final
@dataclass(frozen=True)
class PageFile:
    """One file, read when it is asked for.

    Attributes
    ----------
    path
        Where it is.
    media_type
        What it is.
    """

    path: Path
    media_type: str

    def contents(self) -> "Contents":
        """Read and compress it."""
        plain = self.path.read_bytes()
        # No time in the header: equal files have equal bytes.
        return Contents(plain, gzip.compress(plain, 6, mtime=0), self.media_type)


@final
@dataclass(frozen=True)
class Contents:
    """What is sent: bytes, the same compressed, their type, and a tag of this version."""

    plain: bytes
    compressed: bytes
    media_type: str

    @property
    def tag(self) -> str:
        """Changes with the contents; a header `ETag`."""
        return f'"{hashlib.sha256(self.plain).hexdigest()[:32]}"'


def page_files() -> Mapping[str, PageFile]:
    """Return the files of the page by the names that it asks for; there are no others.

    Raises
    ------
    UserError
        If the library for curves is not installed.
    """
    own = {
        path.name: PageFile(path, _TYPES[path.suffix])
        for path in sorted(_FOLDER.iterdir())
        if path.suffix in _TYPES
    }
    return own | {CURVES: PageFile(_curves(), _TYPES[".js"])}


def _curves() -> Path:
    # Found without importing it, which would take longer than all else.
    spec = find_spec("plotly")
    places = list(spec.submodule_search_locations or ()) if spec else []
    for place in places:
        path = Path(place) / "package_data" / CURVES
        if path.is_file():
            return path
    raise UserError(
        f"Expected the package plotly with its file {CURVES}, which draws the curves of the page; "
        f"received {places or 'no such package'}. Install what requirements.txt lists."
    )
