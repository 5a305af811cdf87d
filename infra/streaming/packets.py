"""One frame of a client on its way to the trainer."""

from dataclasses import dataclass
from typing import final

from infra.streaming.frames import Values
from infra.streaming.spool import Place

__all__ = ["OVERHEAD", "Packet"]

OVERHEAD = 512
"""What a packet costs beside its values, bytes."""


@final
@dataclass(eq=False, slots=True)
class Packet:
    """One frame, or this rank's part of it, on its way.

    Attributes
    ----------
    step, digest
        As in `Frame`.
    vector
        The values; None when they lie on disk only.
    queued
        Time of its hand-over, seconds of `time.monotonic`.
    place
        Where it lies in the spool, if it does.
    sends
        How often it was handed to the carrying thread.
    """

    step: int
    digest: int
    vector: Values | None
    queued: float
    place: Place | None = None
    sends: int = 0

    @property
    def memory(self) -> int:
        """Bytes that count for the window; what lies on disk counts for the spool instead."""
        return 0 if self.vector is None else OVERHEAD + self.vector.nbytes
