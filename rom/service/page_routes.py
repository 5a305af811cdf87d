"""The engineers' page: a few files, sent to anybody; what they show is asked for with a key."""

from collections.abc import Mapping
from typing import Annotated, final

from fastapi import APIRouter, Header
from starlette.responses import RedirectResponse, Response

from rom.service.page_files import Contents, PageFile, page_files
from rom.service.problem import ServiceError

__all__ = ["page_router"]

_INDEX = "index.html"


@final
class _Shelf:
    """Files that are read once and kept."""

    def __init__(self, files: Mapping[str, PageFile]) -> None:
        self._files = files
        self._kept: dict[str, Contents] = {}

    def take(self, name: str) -> Contents:
        if name not in self._files:
            raise ServiceError.of(404, "unknown_file", "a file of the page", repr(name[:100]))
        if name not in self._kept:
            self._kept[name] = self._files[name].contents()
        return self._kept[name]


def page_router() -> APIRouter:
    """Return the routes of the page: ``/`` leads to ``/page/``, which is its document.

    Raises
    ------
    UserError
        If the library for curves is not installed.
    """
    router = APIRouter(include_in_schema=False)
    shelf = _Shelf(page_files())

    @router.get("/")
    async def root() -> RedirectResponse:
        """Lead to the page."""
        return RedirectResponse("page/")

    # Not asynchronous: the first look at a file reads and compresses it, in a thread.
    @router.get("/page/")
    @router.get("/page/{name}")
    def file(
        name: str = _INDEX,
        accept_encoding: Annotated[str, Header()] = "",
        if_none_match: Annotated[str, Header()] = "",
    ) -> Response:
        """Send a file of the page."""
        return _reply(shelf.take(name), accept_encoding, if_none_match)

    return router


def _reply(contents: Contents, accept_encoding: str, if_none_match: str) -> Response:
    # Kept by the browser, but asked for again: a new version of romflow shows at once.
    headers = {"ETag": contents.tag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if contents.tag in if_none_match:
        return Response(status_code=304, headers=headers)
    if "gzip" in accept_encoding:
        headers["Content-Encoding"] = "gzip"
        return Response(contents.compressed, 200, headers, contents.media_type)
    return Response(contents.plain, 200, headers, contents.media_type)
