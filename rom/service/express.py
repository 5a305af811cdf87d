"""Questions go straight to their routes.

Between a request and its route, the framework puts a dozen layers: two of exceptions, one of open
files, the trial of one route after the other, the solution of dependencies. Routes made by
`rom.service.posts` need none of them, and they are the ones that are asked thousands of times.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from infra.errors import RomflowError
from rom.service.problem import problem_of
from rom.service.replies import problem_reply

__all__ = ["Express", "PostRoute", "post_route"]

_PARAMETER = re.compile(r"\{(\w+)\}")


@final
@dataclass(frozen=True)
class PostRoute:
    """A route for ``POST``.

    Attributes
    ----------
    path
        With its parameters in braces.
    pattern
        What paths of requests have to match as a whole.
    endpoint
        Serves a request.
    """

    path: str
    pattern: re.Pattern[str]
    endpoint: Callable[[Request], Awaitable[Response]]


def post_route(path: str, endpoint: Callable[[Request], Awaitable[Response]]) -> PostRoute:
    """Return the route of a path with parameters in braces, none of which holds a slash."""
    return PostRoute(path, re.compile(_PARAMETER.sub(r"(?P<\1>[^/]+)", path)), endpoint)


@final
class Express:
    """Serves some routes itself, and leaves all else to the application behind it.

    Parameters
    ----------
    app
        What is behind it.
    routes
        Tried in their order.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[PostRoute]) -> None:
        self._app, self._routes = app, routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "POST" or not self._found(scope):
            await self._app(scope, receive, send)
            return
        try:
            reply = await scope["route"].endpoint(Request(scope, receive))
        except RomflowError as error:
            reply = problem_reply(problem_of(error), scope["path"])
        await reply(scope, receive, send)

    def _found(self, scope: Scope) -> bool:
        for route in self._routes:
            if match := route.pattern.fullmatch(scope["path"]):
                scope["route"], scope["path_params"] = route, match.groupdict()
                return True
        return False
