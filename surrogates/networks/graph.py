"""The graph of a mesh: its edges in both directions, with what a network may know of them.

NumPy only. A linear finite element couples exactly the nodes that share a cell, so the graph is
the sparsity of the mass matrix without its diagonal.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import final

import numpy as np
import numpy.typing as npt

from infra.errors import UserError

__all__ = ["FloatArray", "IntArray", "MeshGraph", "mesh_graph", "scaled_points"]

type FloatArray = npt.NDArray[np.float64]
type IntArray = npt.NDArray[np.int64]


@final
@dataclass(frozen=True)
class MeshGraph:
    """Directed edges between the points of a mesh; each connection appears in both directions.

    Attributes
    ----------
    points : (n, gdim) float64, metres
    senders, receivers : (e,) int64
        Edge k goes from node ``senders[k]`` to node ``receivers[k]``; ordered by receiver, then
        by sender; no edge twice and none from a node to itself.
    """

    points: FloatArray
    senders: IntArray
    receivers: IntArray

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return len(self.points)

    @property
    def n_edges(self) -> int:
        """Number of directed edges."""
        return len(self.senders)

    @cached_property
    def starts(self) -> IntArray:
        """(n + 1,) the edges into node i are ``starts[i]:starts[i + 1]``."""
        return np.searchsorted(self.receivers, np.arange(self.n_nodes + 1))

    @cached_property
    def features(self) -> FloatArray:
        r"""Relative positions and lengths of the edges, in units of the mean length.

        Row k is :math:`[(x_s - x_r) / \bar\ell,\ |x_s - x_r| / \bar\ell]`, shape (e, gdim + 1):
        invariant under shifts and changes of the unit of length.
        """
        relative = self.points[self.senders] - self.points[self.receivers]
        length = np.linalg.norm(relative, axis=1, keepdims=True)
        mean = length.mean() if self.n_edges else 1.0
        return np.concatenate([relative, length], axis=1) / mean


def mesh_graph(points: FloatArray, cells: IntArray) -> MeshGraph:
    """Return the graph of a mesh of simplices.

    Parameters
    ----------
    points : (n, gdim), metres
    cells : (m, gdim + 1) nodes of each simplex

    Raises
    ------
    UserError
        If a cell names a node that does not exist.
    """
    n = len(points)
    if cells.size and not 0 <= cells.min() <= cells.max() < n:
        raise UserError(
            f"mesh: expected cells with nodes in 0..{n - 1}, received "
            f"{cells.min()}..{cells.max()}; give cells and points of one mesh"
        )
    pairs = [cells[:, list(pair)] for pair in combinations(range(cells.shape[1]), 2)]
    both = np.concatenate([*pairs, *(pair[:, ::-1] for pair in pairs)]).astype(np.int64)
    keys = np.unique(both[:, 0] * n + both[:, 1])
    receivers, senders = np.divmod(keys, n)
    apart = receivers != senders
    return MeshGraph(points, senders[apart], receivers[apart])


def scaled_points(points: FloatArray) -> FloatArray:
    """Shift and scale positions to [-1, 1], all axes alike, so that shapes are kept.

    Parameters
    ----------
    points : (n, gdim), metres

    Returns
    -------
    FloatArray
        (n, gdim), dimensionless.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    half = 0.5 * float((high - low).max())
    return (points - 0.5 * (low + high)) / (half if half > 0 else 1.0)
