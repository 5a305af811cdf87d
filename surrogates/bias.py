"""How often each item was visited: the bias of training on a stream, counted.

Items are numbered as they came. A stream that is read in passing favours some of them: those
that came first in the published reservoir, by a factor of 2 to 10 (our reckoning from the curves
of Meyer et al., 2023, 10.1145/3581784.3607083).
"""

from dataclasses import asdict, dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from infra.records import Json

__all__ = ["Bias", "Visits"]

_FIRST = 1024


@final
@dataclass(frozen=True)
class Bias:
    r"""Statistics of the visits of each item.

    Attributes
    ----------
    items
        Items that came.
    visits
        Sum of their visits.
    never_seen
        Items without a visit.
    most
        Visits of the most visited item.
    deciles
        Mean visits over tenths of the items in order of arrival; fewer tenths if there are fewer
        than ten items.
    ratio
        Largest over smallest of the deciles; infinite if one has no visit.
    cv
        Standard deviation of the items' visits over their mean.
    """

    items: int
    visits: int
    never_seen: int
    most: int
    deciles: tuple[float, ...]
    ratio: float
    cv: float

    def to_dict(self) -> dict[str, Json]:
        """Return the statistics for JSON; an infinite ratio becomes None."""
        values: dict[str, Json] = asdict(self)
        ratio = self.ratio if np.isfinite(self.ratio) else None
        return {**values, "deciles": [*self.deciles], "ratio": ratio}


@final
class Visits:
    """Counts visits by item; 4 bytes each, in an array that doubles when it is full."""

    def __init__(self) -> None:
        self._counts = np.zeros(_FIRST, dtype=np.int32)
        self._items = 0
        self._total = 0
        self._visited = 0

    @property
    def items(self) -> int:
        """Items that came."""
        return self._items

    @property
    def total(self) -> int:
        """Visits of all items."""
        return self._total

    @property
    def visited(self) -> int:
        """Items with at least one visit."""
        return self._visited

    @property
    def counts(self) -> NDArray[np.int32]:
        """Visits by item, shape (items,): a copy."""
        return self._counts[: self._items].copy()

    def add(self) -> int:
        """Note that an item came; return its number."""
        if self._items == len(self._counts):
            self._counts = np.concatenate([self._counts, np.zeros_like(self._counts)])
        self._items += 1
        return self._items - 1

    def visit(self, items: NDArray[np.int64]) -> None:
        """Note one visit for every entry; an item may be there more than once."""
        self._visited += len(np.unique(items[self._counts[items] == 0]))
        np.add.at(self._counts, items, 1)
        self._total += len(items)

    def bias(self) -> Bias:
        """Return the statistics."""
        counts = self._counts[: self._items]
        if not len(counts):
            return Bias(0, 0, 0, 0, (), 1.0, 0.0)
        tenths = np.array_split(counts, min(10, len(counts)))
        deciles = tuple(float(tenth.mean()) for tenth in tenths)
        low, high, mean = min(deciles), max(deciles), float(counts.mean())
        return Bias(
            items=len(counts),
            visits=self._total,
            never_seen=len(counts) - self._visited,
            most=int(counts.max()),
            deciles=deciles,
            ratio=high / low if low else float("inf"),
            cv=float(counts.std()) / mean if mean else 0.0,
        )

    def restore(self, counts: NDArray[np.int32]) -> None:
        """Go on from counts by item, shape (items,)."""
        self._items = len(counts)
        self._counts = np.zeros(max(_FIRST, 1 << self._items.bit_length()), dtype=np.int32)
        self._counts[: self._items] = counts
        self._total = int(counts.sum())
        self._visited = int(np.count_nonzero(counts))
