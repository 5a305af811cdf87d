"""Replies that leave in one piece: head and body in one call of the system.

uvicorn writes the head of a reply at once and the body behind it. Each write is a packet, and the
first one wakes the client for nothing. Here writes of one turn of the event loop go together.
"""

import asyncio
from typing import Any, cast, final

from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["GatheringProtocol"]


@final
class GatheringProtocol(H11Protocol):
    """uvicorn's protocol with a transport that gathers; see the module."""

    def connection_made(  # type: ignore[override]  # narrower, as the parent's
        self, transport: asyncio.Transport
    ) -> None:
        """Begin a connection."""
        super().connection_made(cast(asyncio.Transport, _Gathering(transport, self.loop)))


@final
class _Gathering:
    """A transport that writes at the end of a turn; all else is that of the one it wraps."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._parts: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not data:
            return
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        parts, self._parts = self._parts, []
        if parts and not self._transport.is_closing():
            self._transport.writelines(parts)
