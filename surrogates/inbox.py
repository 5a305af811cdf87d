"""Frames between reception and training: some in memory, the others on disk only."""

from collections import deque
from collections.abc import Iterable
from typing import final

from surrogates.arrivals import Arrival

__all__ = ["Inbox", "arrival_bytes"]

# What an arrival takes besides its values, about: objects of Python, and of the C library.
_OBJECTS = 1024


def arrival_bytes(n_values: int) -> int:
    """Return the memory that an arrival of so many values takes in an inbox, bytes."""
    return 4 * n_values + _OBJECTS


@final
class Inbox:
    """A queue of arrivals that never takes more memory than it may.

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
        """Bytes of the arrivals that are in memory."""
        return self._bytes

    def put(self, arrival: Arrival) -> None:
        """Append an arrival, or its number if it does not fit."""
        size = arrival_bytes(arrival.values.size)
        if self._bytes + size > self._memory:
            self._queue.append(arrival.number)
            return
        self._queue.append(arrival)
        self._bytes += size

    def put_numbers(self, numbers: Iterable[int]) -> None:
        """Append arrivals that are in the journal."""
        self._queue.extend(numbers)

    def take(self, limit: int) -> list[int | Arrival]:
        """Take out up to `limit` arrivals, or numbers, in their order."""
        taken = [self._queue.popleft() for _ in range(min(limit, len(self._queue)))]
        in_memory = (entry.values for entry in taken if isinstance(entry, Arrival))
        self._bytes -= sum(arrival_bytes(values.size) for values in in_memory)
        return taken
