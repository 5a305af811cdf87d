"""Who asks, and what that allows."""

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

from starlette.requests import Request

from infra.errors import RomflowError
from rom.service.keys import KeyStore, Scope
from rom.service.problem import Problem, ServiceError

__all__ = ["SCHEMES", "Caller", "KeyCheck", "needs", "secured"]

# Security schemes of the OpenAPI document.
SCHEMES: Mapping[str, Any] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "Authorization: Bearer <key>"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "For clients that take an address only: http://any:<key>@host",
    },
}
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="romflow"'}


@final
@dataclass(frozen=True)
class Caller:
    """Who asks.

    Attributes
    ----------
    name
        For limits: an id of a key, or an address.
    scopes
        What is allowed.
    known
        Whether a key was given, or none is needed.
    """

    name: str
    scopes: frozenset[str]
    known: bool

    def require(self, scope: Scope) -> None:
        """Check that a scope is allowed.

        Raises
        ------
        ServiceError
            With the status 401 if no key was given, else 403.
        """
        if scope in self.scopes:
            return
        if not self.known:
            message = (
                f"Expected a key with the scope `{scope}` in `Authorization: Bearer` or "
                "`X-API-Key`; received none. Ask whoever runs the service for one."
            )
            raise ServiceError(Problem(401, "no_key", message, "a key", "none", headers=_CHALLENGE))
        allowed = ", ".join(sorted(self.scopes)) or "none"
        raise ServiceError.of(
            403, "wrong_scope", f"a key with the scope `{scope}`", f"one with {allowed}"
        )


@final
class KeyCheck:
    """Finds out who asks.

    Parameters
    ----------
    keys
        None: nobody needs one.
    refresh
        Seconds between looks at the file.
    clock
        Gives seconds.
    """

    def __init__(self, keys: KeyStore | None, refresh: float, clock: Callable[[], float]) -> None:
        self._keys, self._refresh, self._clock = keys, refresh, clock
        self._next = -float("inf")

    def caller(self, headers: Mapping[bytes, bytes], address: str) -> Caller | None:
        """Return who asks; None for a wrong key.

        Parameters
        ----------
        headers
            Of the request, with names in lower case.
        address
            Where it comes from.
        """
        if self._keys is None:
            return Caller(address, frozenset({"query", "enrich", "admin"}), known=True)
        if (now := self._clock()) >= self._next:
            self._look()
            self._next = now + self._refresh
        given = _given(headers)
        if given is None:
            return Caller(address, frozenset(), known=False)
        record = self._keys.find(given)
        if record is None:
            return None
        scopes = {s for s in ("query", "enrich", "admin") if record.may(s)}
        return Caller(f"key {record.id}", frozenset(scopes), known=True)

    def _look(self) -> None:
        assert self._keys is not None
        try:
            self._keys.reload()
        except RomflowError as error:
            # Nobody is let in on the strength of a file that cannot be read.
            raise ServiceError.of(503, "no_keys", "readable keys", "a damaged file") from error


def needs(scope: Scope) -> Callable[[Request], Awaitable[None]]:
    """Return a dependency of routes that require a scope."""

    async def check(request: Request) -> None:
        caller: Caller = request.scope["romflow.caller"]
        caller.require(scope)

    return check


def secured() -> dict[str, Any]:
    """Return what the OpenAPI document says of a route that requires a scope."""
    return {"security": [{name: []} for name in SCHEMES] + [{}]}


def _given(headers: Mapping[bytes, bytes]) -> str | None:
    """Return the key of a request; an empty text for one that cannot be read."""
    if b"x-api-key" in headers:
        return headers[b"x-api-key"].decode("latin-1")
    scheme, _, rest = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() != "basic":
        return "" if scheme else None
    try:
        return base64.b64decode(rest, validate=True).decode("latin-1").partition(":")[2]
    except (binascii.Error, ValueError):
        return ""
