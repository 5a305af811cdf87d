"""Arrays of a client that no frame needs any more."""

from typing import final

from infra.streaming.frames import Values
from infra.streaming.packets import Packet

__all__ = ["Spares"]


@final
class Spares:
    """Keeps some for the next frames; its owner serialises the calls.

    Parameters
    ----------
    most
        How many.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._arrays: list[Values] = []

    def take(self) -> Values | None:
        """Return one, if there is one."""
        return self._arrays.pop() if self._arrays else None

    def keep(self, packet: Packet) -> None:
        """Keep the array of a packet, if nobody can need it any more and there is room."""
        # One that was sent twice may still be on its way when the answer to the first has come.
        if packet.vector is not None and packet.sends < 2 and len(self._arrays) < self._most:
            self._arrays.append(packet.vector)

    def forget(self) -> None:
        """Free all, and keep no more."""
        self._most = 0
        self._arrays.clear()
