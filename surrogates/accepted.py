"""Frames that are going to be accepted together."""

from typing import final

import numpy as np
from numpy.typing import NDArray

from infra.streaming.frames import Frame, FrameKey
from surrogates.journal import Entry

__all__ = ["Batch"]

# So many frames, or bytes of them, are written to the journal at once.
_MOST, _MOST_BYTES = 128, 1 << 22


@final
class Batch:
    """Gathers frames whose verdict is known and that are not safe yet; each step of a sample once.

    It is small: the journal's lock is not held for long, and nobody waits long for an answer.
    """

    def __init__(self) -> None:
        self._frames: list[tuple[Frame, NDArray[np.float64]]] = []
        self._names: set[tuple[int, int]] = set()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._frames)

    def __contains__(self, key: FrameKey) -> bool:
        return (key.sample, key.step) in self._names

    @property
    def sample(self) -> int | None:
        """The sample of the first frame; None if there is none."""
        return self._frames[0][0].key.sample if self._frames else None

    @property
    def full(self) -> bool:
        """Whether it should be written before more are added."""
        return len(self._frames) >= _MOST or self._bytes >= _MOST_BYTES

    def add(self, frame: Frame, mu: NDArray[np.float64]) -> None:
        """Add a frame and the parameters of its sample."""
        self._frames.append((frame, mu))
        self._names.add((frame.key.sample, frame.key.step))
        self._bytes += frame.values.nbytes

    def take(self, number: int, seconds: float) -> list[Entry]:
        """Take all out for the journal.

        Parameters
        ----------
        number
            Of the first of them.
        seconds
            Unix time of all.
        """
        frames, self._frames = self._frames, []
        self._names, self._bytes = set(), 0
        return [
            Entry(number + place, frame.key, frame.values, mu, frame.digest, seconds)
            for place, (frame, mu) in enumerate(frames)
        ]
