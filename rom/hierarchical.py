r"""Hierarchical approximate POD: a basis of all trajectories, of which one is in memory at a time.

Each leaf (one trajectory, or several short ones) is compressed on its own, the results are merged
and compressed again, and the last set gives the basis. In any order, by any tree,

.. math:: \sum_i \| u_i - \tilde u_i \|^2 \le \epsilon^2 \sum_i \| u_i - c \|^2,

that is, the root mean square projection error is at most the tolerance times the root mean square
size. Ours: instead of shares that are fixed for each level in advance, every step may use what
earlier ones left of the budget (`rom.compressed`), so that the number of trajectories need not be
known, and trajectories can be added to a finished basis.

Source: Himpele, Leibner, Rave (2018), "Hierarchical approximate proper orthogonal decomposition",
SIAM J. Sci. Comput. 40, A3267-A3292, doi:10.1137/16M1085413.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError
from rom.basis import Basis, require_variation
from rom.compressed import CompressedSet, Compression
from rom.decomposition import Method
from rom.products import InnerProduct
from rom.snapshots import Progress, Snapshots

__all__ = ["HierarchicalPod", "HierarchicalReport", "Mapper", "hierarchical_pod"]

type _Floats = NDArray[np.float64]
type _Leaf = Callable[[tuple[int, ...]], CompressedSet]
# Applies the function to each group of samples and gives the results in any order.
type Mapper = Callable[[_Leaf, Iterable[tuple[int, ...]]], Iterable[CompressedSet]]

# Part of the budget of the steps before the root that leaves may use.
_LEAVES = 0.5


@final
@dataclass(frozen=True)
class HierarchicalReport:
    """What a hierarchical POD did.

    Attributes
    ----------
    n_snapshots, n_leaves
        How much it has seen.
    energy
        Sum of the squared norms of the (centred) snapshots.
    discarded
        Sum of all squares that were left out.
    largest
        Columns of the largest block that was decomposed: each of n values.
    """

    n_snapshots: int
    n_leaves: int
    energy: float
    discarded: float
    largest: int

    @property
    def bound(self) -> float:
        """Proven bound of the relative root mean square projection error."""
        return math.sqrt(self.discarded / self.energy)


@final
class HierarchicalPod:
    """Takes in trajectories in any order, and gives the basis of all at any time.

    Parameters
    ----------
    compression
        Product, tolerance and the rest.
    leaves
        Number of leaves that will come: they are merged in a balanced tree, of which as many
        sets as it has levels are held at once. None: each is merged with all before, one set is
        held, and any number may come.
    """

    def __init__(self, compression: Compression, leaves: int | None = None) -> None:
        self._compression = compression
        self._levels = None if leaves is None else 1 + math.ceil(math.log2(max(leaves, 1)))
        self._stack: list[tuple[int, CompressedSet]] = []
        self._n_leaves = 0

    @property
    def leaf_part(self) -> float:
        """Part of the budget that a leaf may use, see `Compression`."""
        return _LEAVES if self._levels is None else 1 / self._levels

    def add(self, rows: _Floats) -> None:
        """Take in snapshots, shape (k, n)."""
        self.take(self._compression.leaf(rows, self.leaf_part))

    def take(self, leaf: CompressedSet) -> None:
        """Take in a leaf that was compressed elsewhere, with `leaf_part`."""
        self._n_leaves += 1
        self._stack.append((0, leaf))
        while len(self._stack) > 1 and (
            self._levels is None or self._stack[-2][0] == self._stack[-1][0]
        ):
            (level, left), (_, right) = self._stack[-2:]
            self._stack[-2:] = [(level + 1, self._merged(left, right, level + 1))]

    def basis(self, rank: int | None = None) -> tuple[Basis, HierarchicalReport]:
        """Return the basis of all that was taken in, and how it was made.

        Parameters
        ----------
        rank
            At most so many modes, whatever the tolerance says; the report tells the bound.

        Raises
        ------
        UserError
            If there are too few snapshots, or they are all the same or zero.
        """
        compression = self._compression
        whole = self._whole((rank or 1) + compression.centre)
        factors, discarded = compression.root(whole, rank)
        size = 0.0
        if whole.mean is not None:
            size = float(compression.product.norms(whole.mean[:, None])[0]) ** 2 * whole.n_snapshots
        energy = whole.energy if factors.modes.shape[1] else 0.0
        require_variation(energy, size, whole.n_snapshots, centred=compression.centre)
        return (
            Basis(
                factors.modes,
                factors.singular_values,
                whole.mean,
                compression.product,
                whole.n_snapshots,
            ),
            HierarchicalReport(
                whole.n_snapshots, self._n_leaves, whole.energy, discarded, whole.largest
            ),
        )

    def _whole(self, least: int) -> CompressedSet:
        """Return all sets as one; those that wait stay as they are."""
        found = sum(entry.n_snapshots for _, entry in self._stack)
        if found < least:
            raise UserError(
                f"Expected at least {least} snapshots; received {found}. Compute more, or ask for "
                "fewer modes."
            )
        *rest, (level, whole) = self._stack
        for other_level, other in reversed(rest):
            level = max(level, other_level) + 1
            whole = self._merged(other, whole, level)
        return whole

    def _merged(self, left: CompressedSet, right: CompressedSet, level: int) -> CompressedSet:
        part = 1.0 if self._levels is None else min(1.0, (level + 1) / self._levels)
        return self._compression.merged(left, right, part)


def hierarchical_pod(
    snapshots: Snapshots,
    product: InnerProduct,
    tolerance: float,
    *,
    rank: int | None = None,
    centre: bool = True,
    shape: Literal["incremental", "tree"] = "incremental",
    share: float = 0.95,
    rows: int = 32,
    method: Method = "auto",
    memory: int | None = None,
    mapper: Mapper = map,
    progress: Progress | None = None,
) -> tuple[Basis, HierarchicalReport]:
    """Return a basis of all snapshots, see the module.

    Parameters
    ----------
    snapshots
        Read once, trajectory by trajectory.
    product
        The inner product.
    tolerance
        The relative root mean square error that is allowed, in (0, 1).
    rank
        At most so many modes, whatever the tolerance says.
    centre
        Whether the mean snapshot is taken off; it is found on the way.
    shape
        ``incremental``: a leaf is merged as soon as it is there. ``tree``: pairwise.
    share
        Part of the tolerance that is kept for the root: closer to 1, fewer modes at the end and
        larger blocks on the way.
    rows
        Short trajectories are put together to leaves of about so many snapshots.
    method
        As in `rom.decomposition.decompose`.
    memory
        Bytes that the snapshots of one leaf may take; None: no limit.
    mapper
        Computes the leaves. The built-in `map` makes one after the other, here; with Dask,
        ``lambda leaf, groups: client.gather(client.map(leaf, groups))`` makes them anywhere.
        `snapshots` and `product` then travel to the workers.
    progress
        Called with the number of trajectories done, and of all.

    Returns
    -------
    tuple
        The basis, and the report with its bound.

    Raises
    ------
    UserError
        If `memory` does not hold a trajectory, or as `HierarchicalPod.basis` and `Compression`.
    """
    snapshots.require_memory(1, memory)
    groups = list(_groups(snapshots, rows, memory))
    compression = Compression(product, tolerance, share, centre, method)
    result = HierarchicalPod(compression, len(groups) if shape == "tree" else None)
    leaf = partial(_leaf, snapshots, compression, result.leaf_part)
    done = 0
    for compressed in mapper(leaf, groups):
        result.take(compressed)
        done += compressed.n_snapshots // len(snapshots.times)
        if progress is not None:
            progress(done, len(snapshots))
        del compressed  # or it would stay in memory while the next one is made
    return result.basis(rank)


def _groups(snapshots: Snapshots, rows: int, memory: int | None) -> Iterator[tuple[int, ...]]:
    wanted = max(1, rows // len(snapshots.times))
    if memory is not None:
        wanted = min(wanted, memory // snapshots.trajectory_bytes)
    indices = snapshots.indices
    return (indices[start : start + wanted] for start in range(0, len(indices), wanted))


def _leaf(
    snapshots: Snapshots, compression: Compression, part: float, indices: tuple[int, ...]
) -> CompressedSet:
    if len(indices) == 1:
        return compression.leaf(snapshots.trajectory(indices[0]).values, part)
    return compression.leaf(snapshots.subset(indices).matrix(), part)
