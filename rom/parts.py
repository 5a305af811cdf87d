r"""Items, such as the cells of a mesh, shared out over processes in blocks that depend on none.

A sum of floating-point numbers depends on its order, and what follows from small singular values
makes the last digit matter: with another order come other modes, and other cubature points. So the
items are cut into blocks whose number depends on that of the items alone, each process takes whole
blocks, and results of blocks are combined along one binary tree,

.. math:: s_{[a, b)} = s_{[a, m)} \oplus s_{[m, b)}, \qquad m = \lfloor (a + b) / 2 \rfloor .

Every process adds up the largest parts of the tree that are its own, and sends only these. The
result has the same bits whatever the number of processes, as long as they are of one kind, with as
many threads for linear algebra each.

Source: Demmel, Nguyen (2013), "Fast reproducible floating-point summation",
doi:10.1109/ARITH.2013.9, for the aim; a fixed tree is the simplest way.
"""

from bisect import bisect_right
from collections.abc import Callable
from typing import final

import numpy as np
from numpy.typing import NDArray

from infra.errors import RomflowError
from rom.reduction import Reducer, Serial

__all__ = ["Parts", "gathered", "raise_together"]

type _Floats = NDArray[np.float64]
type _Leaf = Callable[[int, slice], _Floats]
type _Merge = Callable[[_Floats, _Floats], _Floats]

# More processes than blocks leave some idle; many small blocks cost more than few large ones.
_ITEMS, _LEAST, _FEW = 2048, 4, 16
# Of fewer items no more than `_LEAST` blocks are made.
_SMALL = 256


@final
class Parts:
    """Which items are here, and how results are combined; see the module.

    Parameters
    ----------
    n
        Number of items, the same everywhere, at least 1.
    reducer
        The processes; by default this one alone.
    """

    def __init__(self, n: int, reducer: Reducer | None = None) -> None:
        self.n, self.reducer = n, reducer or Serial()
        count = _count(n)
        self._edges = [n * block // count for block in range(count + 1)]
        self._owners = [block * self.reducer.size // count for block in range(count)]
        own = [block for block, rank in enumerate(self._owners) if rank == self.reducer.rank]
        self._first = own[0] if own else 0
        self.blocks = tuple(slice(*self._edges[block : block + 2]) for block in own)

    @property
    def here(self) -> slice:
        """The items of this process, consecutive; may be none."""
        return slice(self.blocks[0].start, self.blocks[-1].stop) if self.blocks else slice(0, 0)

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Numbers of the items of this process."""
        return np.arange(self.here.start, self.here.stop)

    @property
    def all_blocks(self) -> tuple[slice, ...]:
        """The blocks of all processes."""
        return tuple(slice(a, b) for a, b in zip(self._edges, self._edges[1:], strict=False))

    def number(self, place: int) -> int:
        """Return the number among all blocks of the one at a place in `blocks`."""
        return self._first + place

    def place(self, item: int) -> int | None:
        """Return the place in `blocks` of the one with an item; None if it is not here."""
        block = bisect_right(self._edges, item) - 1
        here = self._owners[block] == self.reducer.rank
        return block - self._first if here else None

    def combined(self, leaf: _Leaf, shape: tuple[int, ...], merge: _Merge) -> _Floats:
        """Return the results of all blocks combined along the tree, the same on each process.

        Parameters
        ----------
        leaf
            Gives the result of a block of this process: called with its place in `blocks`, and its
            items.
        shape
            Of the results.
        merge
            Combines two results, of earlier and of later blocks, into one of this shape.
        """
        found = self._pieces(0, len(self._owners))
        sent = np.zeros((len(found), *shape))
        for place, (start, stop) in enumerate(found):
            if self._owners[start] == self.reducer.rank:
                sent[place] = self._grown(start, stop, leaf, merge)
        known = dict(zip(found, self.reducer.sum(sent), strict=True))
        return self._joined(0, len(self._owners), known, merge)

    def total(self, leaf: _Leaf, shape: tuple[int, ...]) -> _Floats:
        """Return the sum of the results of all blocks, see `combined`."""
        return self.combined(leaf, shape, np.add)

    def whole(self, own: _Floats) -> _Floats:
        """Return the rows (n, ...) of all items from those of this process (m, ...)."""
        rows = np.zeros((self.n, *own.shape[1:]))
        rows[self.here] = own
        return self.reducer.sum(rows)

    def first_of_largest(self, own: _Floats) -> tuple[int, float]:
        """Return the number and value of the largest of some values; the first one of equal ones.

        Parameters
        ----------
        own
            Values of the items of this process.
        """
        place = int(own.argmax()) if len(own) else -1
        value = float(own[place]) if len(own) else -np.inf
        pairs = gathered(self.reducer, np.array([value, self.here.start + place]))
        value, number = pairs[int(pairs[:, 0].argmax())]
        return int(number), float(value)

    def _pieces(self, start: int, stop: int) -> list[tuple[int, int]]:
        """Return the largest parts of the tree that belong to one process each, in order."""
        if self._owners[start] == self._owners[stop - 1]:
            return [(start, stop)]
        middle = (start + stop) // 2
        return [*self._pieces(start, middle), *self._pieces(middle, stop)]

    def _grown(self, start: int, stop: int, leaf: _Leaf, merge: _Merge) -> _Floats:
        if stop - start == 1:
            place = start - self._first
            return leaf(place, self.blocks[place])
        middle = (start + stop) // 2
        early = self._grown(start, middle, leaf, merge)
        return merge(early, self._grown(middle, stop, leaf, merge))

    def _joined(
        self, start: int, stop: int, known: dict[tuple[int, int], _Floats], merge: _Merge
    ) -> _Floats:
        if (start, stop) in known:
            return known[start, stop]
        middle = (start + stop) // 2
        early = self._joined(start, middle, known, merge)
        return merge(early, self._joined(middle, stop, known, merge))


def _count(n: int) -> int:
    """Return the number of blocks of n items."""
    return min(n, max(_LEAST, min(_FEW, n // _SMALL), n // _ITEMS))


def gathered(reducer: Reducer, own: _Floats) -> _Floats:
    """Return arrays of one shape of all processes, (processes, ...), the same on each."""
    rows = np.zeros((reducer.size, *own.shape))
    rows[reducer.rank] = own
    return reducer.sum(rows)


def raise_together(
    reducer: Reducer, error: RomflowError | None, elsewhere: Callable[[str], RomflowError]
) -> None:
    """Raise on all processes if there is an error on one: else the others would wait for it.

    Parameters
    ----------
    reducer
        The processes.
    error
        Of this process, if any.
    elsewhere
        Makes the error of processes that have none of their own, from a message.
    """
    failed = reducer.sum(np.array([float(error is not None)]))[0]
    if error is not None:
        raise error
    if failed:
        raise elsewhere(
            f"Expected all {reducer.size} processes to succeed; {failed:.0f} others failed. See "
            "their messages."
        )
