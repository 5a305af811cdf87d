"""What every request passes: its address, its key, its rate, its size, and the clock."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rom.service.access import KeyCheck
from rom.service.limits import TokenBuckets
from rom.service.metrics import Metrics
from rom.service.problem import Problem, ServiceError
from rom.service.replies import problem_reply
from rom.service.settings import ServiceSettings

__all__ = ["Gate"]

# Browsers shall not guess types; what is no page needs no more.
_HEADERS = [(b"x-content-type-options", b"nosniff")]
_PAGE_HEADERS = [
    *_HEADERS,
    (b"referrer-policy", b"no-referrer"),
    (
        b"content-security-policy",
        b"default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        b"object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
]
# Bodies of these are never read.
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})


@final
class Gate:
    """The outermost layer of the service.

    Parameters
    ----------
    app
        What is behind it.
    settings
        Limits.
    keys
        Finds out who asks.
    metrics
        Count requests.
    own_names
        Names by which clients may call the service; None: any.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: ServiceSettings,
        keys: KeyCheck,
        metrics: Metrics,
        own_names: frozenset[str] | None,
    ) -> None:
        self._app, self._settings, self._keys, self._metrics = app, settings, keys, metrics
        self._names = own_names
        rate = settings.rate
        self._buckets = (
            None if rate is None else TokenBuckets(rate, settings.burst, time.monotonic)
        )  # fmt: skip

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        status = 500
        headers = _PAGE_HEADERS if scope["path"].startswith("/page") else _HEADERS

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *headers]
            await send(message)

        try:
            try:
                body = scope["romflow.body"] = await self._admitted(scope, receive)
            except ServiceError as error:
                await problem_reply(error.problem, scope["path"])(scope, receive, answer)
            else:
                await self._app(scope, _Replay(body, receive), answer)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.request(method, route, status, time.perf_counter() - start)

    async def _admitted(self, scope: Scope, receive: Receive) -> bytes:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        self._check_name(headers)
        address = scope["client"][0] if scope.get("client") else "unknown"
        caller = self._keys.caller(headers, address)
        self._check_rate(address if caller is None else caller.name)
        if caller is None:
            expected, received = "a valid key", "another, or a form that is unknown"
            message = f"Expected {expected}; received {received}. It may have been revoked."
            challenge = {"WWW-Authenticate": 'Bearer realm="romflow"'}
            raise ServiceError(Problem(401, "wrong_key", message, expected, received, challenge))
        scope["romflow.caller"] = caller
        return b"" if scope["method"] in _BODILESS else await self._body(headers, receive)

    def _check_name(self, headers: Mapping[bytes, bytes]) -> None:
        if self._names is None:
            return
        host = headers.get(b"host", b"").decode("latin-1")
        name = host[: host.rfind("]") + 1] if host.startswith("[") else host.partition(":")[0]
        if name.lower() not in self._names:
            raise ServiceError.of(
                400, "wrong_host", f"the header `Host` out of {sorted(self._names)}", repr(host)
            )

    def _check_rate(self, caller: str) -> None:
        wait = self._buckets.take(caller) if self._buckets else 0.0
        if wait:
            seconds = str(max(1, round(wait + 0.5)))
            expected = f"at most {self._settings.rate:g} requests per second"
            message = f"Expected {expected}; received more. Try again in {seconds} s."
            raise ServiceError(
                Problem(429, "too_many", message, expected, "more", {"Retry-After": seconds})
            )

    async def _body(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        if headers.get(b"content-encoding", b"identity") not in (b"identity", b""):
            raise ServiceError.of(
                415, "compressed", "a body that is not compressed", "a compressed one"
            )
        announced = headers.get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > self._settings.body_limit:
            raise self._too_large()
        try:
            async with asyncio.timeout(self._settings.body_seconds):
                return await self._read(receive)
        except TimeoutError:
            raise ServiceError.of(
                408, "too_slow", f"a body within {self._settings.body_seconds:g} s", "a part of it"
            ) from None

    async def _read(self, receive: Receive) -> bytes:
        parts, size = [], 0
        while True:
            message: Any = await receive()
            if message["type"] == "http.disconnect":
                raise ServiceError.of(400, "cut_off", "a whole body", "a part of it")
            part = message.get("body", b"")
            size += len(part)
            if size > self._settings.body_limit:
                raise self._too_large()
            parts.append(part)
            if not message.get("more_body", False):
                return b"".join(parts)

    def _too_large(self) -> ServiceError:
        limit = f"a body of at most {self._settings.body_limit} bytes"
        return ServiceError.of(413, "too_large", limit, "a larger one", "Send it in parts.")


@final
class _Replay:
    """Gives the body that has been read, then what comes after it."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}
