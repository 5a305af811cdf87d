"""Looks after the clients of a reception: whether any came, and which have fallen silent."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from infra.errors import UserError
from infra.streaming.source import ClientStatus

__all__ = ["ClientWatch", "IntakeLimits", "Report"]

type Report = Callable[..., None]
"""Receives an event's name and its values as keywords, for people; called from any thread."""

# Clients are looked at this often, seconds: their list is not free.
_INTERVAL = 0.2


@final
@dataclass(frozen=True)
class IntakeLimits:
    """Bounds of reception.

    Attributes
    ----------
    memory
        Bytes of frames in the inbox.
    first_client
        Seconds until a first client must have said hello.
    silence
        Seconds without a sign of life after which a client is reported. Its sample stays open
        for another attempt until `Intake.close_sample`.
    """

    memory: int = 1 << 28
    first_client: float = 3600.0
    silence: float = 60.0


@final
class ClientWatch:
    """Reports silent clients, each once, and ends a reception to which nobody comes.

    Parameters
    ----------
    limits
        Bounds.
    clients
        Gives the status of all clients.
    report
        Told of ``client-silent``.
    """

    def __init__(
        self,
        limits: IntakeLimits,
        clients: Callable[[], tuple[ClientStatus, ...]],
        report: Report,
    ) -> None:
        self._limits = limits
        self._clients = clients
        self._report = report
        self._started = self._looked = time.monotonic()
        self._silent: set[tuple[int, int]] = set()

    def look(self, *, anyone: bool) -> None:
        """Look after the clients, if that was not done a moment ago.

        Parameters
        ----------
        anyone
            Whether a client has come, or none is needed.

        Raises
        ------
        UserError
            If none came in time.
        """
        now = time.monotonic()
        if now - self._looked < _INTERVAL:
            return
        self._looked = now
        if not anyone and now - self._started > self._limits.first_client:
            raise UserError(
                f"Expected a simulation to connect within {self._limits.first_client:g} s; none "
                "did. See why the simulation jobs do not start (queue, limits, their log), or "
                "allow more time (`first_client`)."
            )
        for client in self._clients():
            self._note((client.sample, client.attempt), now - client.last_seen)

    def _note(self, key: tuple[int, int], silence: float) -> None:
        if silence <= self._limits.silence:
            self._silent.discard(key)
        elif key not in self._silent:
            self._silent.add(key)
            sample, attempt = key
            self._report("client-silent", sample=sample, attempt=attempt, seconds=silence)
