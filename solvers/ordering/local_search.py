r"""Shorten a tour by exchanges of edges: 2-opt, and the move of single points (Or-1-opt).

- A reversal replaces the edges (i, i+1), (j, j+1) by (i, j), (i+1, j+1).
- A move takes i out of (i-1, i, i+1) and puts it into the edge (j, j+1).

A sweep looks at *all* such exchanges of a window of the tour by blocks of the distance matrix,
proposes the best one of each edge and of each point, and carries them out by descending gain as
long as the edges they remove still exist: the gains of exchanges with different edges add up.

Source: Croes (1958), doi:10.1287/opre.6.6.791; Or (1976), thesis, Northwestern University. How far
such exchanges reach: Johnson and McGeoch (1997), "The traveling salesman problem: a case study".
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["improved"]

# The window bounds the cost to O(n w d), the block keeps distances in the cache.
_WINDOW = 2048
_BLOCK = 64
_SWEEPS = 8
# A sweep that shortens the tour by less than this is the last one.
_LEAST_GAIN = 1e-3
# Gains below this share of the mean edge are round-off.
_ROUND_OFF = 1e-9

type _Floats = NDArray[np.float64]
type _Singles = NDArray[np.float32]
type _Integers = NDArray[np.int64]


def improved(points: _Floats, tour: _Integers) -> _Integers:
    """Return a tour that is not longer and has the same ends.

    Parameters
    ----------
    points : shape (n, d)
    tour : permutation of 0..n-1, shape (n,)

    Returns
    -------
    ndarray
        Permutation of 0..n-1, shape (n,)
    """
    tour = tour.copy()
    for sweep in range(_SWEEPS):
        before = _lengths(points[tour]).sum()
        for part in _windows(len(tour), shifted=sweep % 2 == 1):
            tour[part] = tour[part][_swept(points[tour[part]])]
        if _lengths(points[tour]).sum() >= (1 - _LEAST_GAIN) * before:
            break
    return tour


def _windows(n: int, *, shifted: bool) -> list[slice]:
    """Cut the tour into windows; shifted by one half they heal the joints of the others."""
    if n <= _WINDOW:
        return [slice(0, n)]
    starts = range(-_WINDOW // 2 if shifted else 0, n, _WINDOW)
    return [slice(max(low, 0), min(low + _WINDOW, n)) for low in starts]


def _swept(path: _Floats) -> _Integers:
    """Return a better order of the path's points; the first and the last keep their places."""
    places = np.arange(len(path))
    if len(path) < 4 or not path.size:
        return places
    reversals, moves = _proposals(path)
    gains = np.concatenate([_reversal_gains(path, *reversals), _move_gains(path, *moves)])
    pairs = np.concatenate([reversals, moves], axis=1).T
    threshold = _ROUND_OFF * _lengths(path).mean()
    found = places.copy()
    for k in np.argsort(-gains, kind="stable"):
        if gains[k] <= threshold:
            break
        exchange = _reverse if k < len(reversals[0]) else _move
        exchange(found, places, int(pairs[k, 0]), int(pairs[k, 1]))
    return found


def _lengths(path: _Floats) -> _Floats:
    return np.asarray(np.linalg.norm(np.diff(path, axis=0), axis=1))


def _proposals(path: _Floats) -> tuple[_Integers, _Integers]:
    """Return pairs (i, j), shape (2, m): the best reversal of each edge and move of each point."""
    near = np.asarray(path - path.mean(axis=0), dtype=np.float32)
    # Single precision: the gains are computed again, in double precision and from differences.
    near /= np.maximum(np.abs(near).max(), np.finfo(np.float32).tiny)
    squares = np.einsum("ij,ij->i", near, near)
    edges = np.linalg.norm(np.diff(near, axis=0), axis=1)
    table = np.empty((_BLOCK + 1, len(near)), dtype=np.float32)
    costs = np.empty((_BLOCK, len(edges)), dtype=np.float32)
    reversals, moves = [], []
    for low in range(0, len(edges), _BLOCK):
        rows = slice(low, low + _BLOCK + 1)
        distances = np.matmul(-2 * near[rows], near.T, out=table[: len(near) - low])
        distances += squares
        distances += squares[rows, None]
        np.sqrt(np.maximum(distances, 0, out=distances), out=distances)
        reversals.append(_best_reversals(distances, edges, low, costs))
        moves.append(_best_moves(distances, edges, low, costs))
    first = np.arange(len(edges))
    return np.stack([first, np.concatenate(reversals)]), np.stack([first, np.concatenate(moves)])


def _best_reversals(distances: _Singles, edges: _Singles, low: int, costs: _Singles) -> _Integers:
    """Return for each edge (i, i+1) of the block the edge (j, j+1) that is best exchanged with."""
    cost = np.add(distances[:-1, :-1], distances[1:, 1:], out=costs[: len(distances) - 1])
    cost -= edges
    i = np.arange(len(cost))
    cost[i, low + i] = np.inf
    return cost.argmin(axis=1)


def _best_moves(distances: _Singles, edges: _Singles, low: int, costs: _Singles) -> _Integers:
    """Return for each point i of the block the edge (j, j+1) that it is best put into."""
    cost = np.add(distances[:-1, :-1], distances[:-1, 1:], out=costs[: len(distances) - 1])
    cost -= edges
    i = np.arange(len(cost))
    cost[i, low + i] = np.inf
    cost[i, np.maximum(low + i - 1, 0)] = np.inf
    return cost.argmin(axis=1)


def _reversal_gains(path: _Floats, i: _Integers, j: _Integers) -> _Floats:
    """Return by how much each reversal shortens the path."""
    gains = _gap(path, i, i + 1) + _gap(path, j, j + 1) - _gap(path, i, j)
    return gains - _gap(path, i + 1, j + 1)


def _move_gains(path: _Floats, i: _Integers, j: _Integers) -> _Floats:
    """Return by how much each move shortens the path; the first point is not moved."""
    gains = _gap(path, i - 1, i) + _gap(path, i, i + 1) - _gap(path, i - 1, i + 1)
    gains += _gap(path, j, j + 1) - _gap(path, j, i) - _gap(path, i, j + 1)
    gains[i == 0] = 0
    return gains


def _gap(path: _Floats, i: _Integers, j: _Integers) -> _Floats:
    return np.asarray(np.linalg.norm(path[i] - path[j], axis=1))


def _reverse(order: _Integers, places: _Integers, i: int, j: int) -> None:
    """Reverse what lies between two edges, if they still exist and point the same way."""
    step = places[i + 1] - places[i]
    if abs(step) != 1 or places[j + 1] - places[j] != step:
        return
    low, high = sorted((min(places[i], places[i + 1]), min(places[j], places[j + 1])))
    inner = slice(low + 1, high + 1)
    order[inner] = order[inner][::-1].copy()
    places[order[inner]] = np.arange(low + 1, high + 1)


def _move(order: _Integers, places: _Integers, i: int, j: int) -> None:
    """Put point i into an edge, if that edge and both of its own still exist."""
    here, low = places[i], min(places[j], places[j + 1])
    own = abs(places[i - 1] - here) == abs(places[i + 1] - here) == 1
    if not own or abs(places[j + 1] - places[j]) != 1:
        return
    between = slice(low + 1, here + 1) if low < here else slice(here, low + 1)
    order[between] = np.roll(order[between], 1 if low < here else -1)
    places[order[between]] = np.arange(between.start, between.stop)
