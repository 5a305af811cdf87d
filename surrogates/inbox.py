"""Frames between reception and training: some in memory, the others on disk only."""

from collections import deque
from collections.abc import Iterable
from typing import final

from surrogates.arrivals import Arrival

__all__ = ["Inbox"]


@final
class Inbox:
    """A queue of arrivals that never holds more bytes of values than it may.

    A frame that does not fit is queued by its number; whoever takes it reads it from the journal.

    Parameters
    ----------
    memory
        Bytes.
    """

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._queue: deque[int | Arrival] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def nbytes(self) -> int:
        """Bytes of the values that are in memory."""
        return self._bytes

    def put(self, arrival: Arrival) -> None:
        """Append an arrival, or its number if it does not fit."""
        if self._bytes + arrival.values.nbytes > self._memory:
            self._queue.append(arrival.number)
            return
        self._queue.append(arrival)
        self._bytes += arrival.values.nbytes

    def put_numbers(self, numbers: Iterable[int]) -> None:
        """Append arrivals that are in the journal."""
        self._queue.extend(numbers)

    def take(self, limit: int) -> list[int | Arrival]:
        """Take out up to `limit` arrivals, or numbers, in their order."""
        taken = [self._queue.popleft() for _ in range(min(limit, len(self._queue)))]
        self._bytes -= sum(entry.values.nbytes for entry in taken if isinstance(entry, Arrival))
        return taken
