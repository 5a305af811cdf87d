"""Clients that stay connected: one request per second each, or as many as they can."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

__all__ = ["Load", "request_bytes", "saturate", "steady"]


@final
@dataclass
class Load:
    """What clients saw: seconds of each answered request, and the number of failures."""

    seconds: list[float] = field(default_factory=list)
    failures: int = 0

    def quantile(self, part: float) -> float:
        """Return a quantile of the seconds."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def request_bytes(method: str, path: str, host: str, body: bytes = b"") -> bytes:
    """Return a request of a client that stays connected."""
    head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}\r\n".encode() + body


def steady(
    host: str, port: int, requests: Sequence[bytes], clients: int, seconds: float
) -> Load:  # fmt: skip
    """Let so many clients ask once per second each, spread over the second."""
    return asyncio.run(_steady(host, port, requests, clients, seconds))


def saturate(host: str, port: int, request: bytes, clients: int, seconds: float) -> float:
    """Let clients ask again as soon as they have an answer; return requests per second."""
    return asyncio.run(_saturate(host, port, request, clients, seconds))


async def _steady(
    host: str, port: int, requests: Sequence[bytes], clients: int, seconds: float
) -> Load:
    load, rng = Load(), random.Random(1)
    start = time.perf_counter() + 0.5

    async def client(place: int) -> None:
        reader, writer = await asyncio.open_connection(host, port)
        own = requests[place % len(requests)]
        due = start + rng.random()
        while due < start + seconds:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            # From when it was due: a server that falls behind may not hide it.
            try:
                ok = await _exchange(reader, writer, own)
            except (OSError, asyncio.IncompleteReadError):
                load.failures += 1
                reader, writer = await asyncio.open_connection(host, port)
            else:
                load.seconds.append(time.perf_counter() - due)
                load.failures += not ok
            due += 1.0
        writer.close()

    await asyncio.gather(*(client(i) for i in range(clients)))
    return load


async def _saturate(host: str, port: int, request: bytes, clients: int, seconds: float) -> float:
    done = 0
    end = time.perf_counter() + seconds

    async def client() -> None:
        nonlocal done
        reader, writer = await asyncio.open_connection(host, port)
        while time.perf_counter() < end:
            if not await _exchange(reader, writer, request):
                raise RuntimeError("a request failed under load")
            done += 1
        writer.close()

    start = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return done / (time.perf_counter() - start)


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> bool:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    lower = head.lower()
    place = lower.index(b"content-length:") + 15
    await reader.readexactly(int(lower[place : lower.index(b"\r\n", place)]))
    return head[9:12] == b"200"
