"""Order samples so that neighbours are similar.

A solver that recycles subspaces, factors or initial guesses gains most when the next system
resembles the last one. Two tours through the samples' features are offered:

- ``greedy``: always on to the nearest unused sample, as published (see `solvers.ordering.greedy`).
  O(n^2 d) operations;
- ``scalable``: the features are reduced to a few principal coordinates, one pass over the data
  (`solvers.ordering.sketch`), the greedy tour is taken there in pools of bounded size
  (`solvers.ordering.pools`), and exchanges shorten it (`solvers.ordering.local_search`).
"""

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from infra.errors import UserError
from solvers.ordering.canonical import canonical_order
from solvers.ordering.greedy import greedy_tour
from solvers.ordering.local_search import improved
from solvers.ordering.pools import pooled_tour
from solvers.ordering.sketch import principal_coordinates

__all__ = ["Method", "order"]

type Method = Literal["auto", "greedy", "scalable"]

# Up to this many differences n^2 d the published tour takes about half a second: 7000 samples of
# 10 parameters, 220 fields of 100 x 100 pixels.
_GREEDY_WORK = 5e8
# Largest values whose squares, and those of differences many digits below, are safe as they are.
_SMALL, _LARGE = 1e-15, 1e15


def order(points: ArrayLike, *, method: Method = "auto") -> NDArray[np.int64]:
    r"""Return a short tour through `points`.

    The tour begins at the point nearest to the origin (as far as the principal coordinates can
    tell). Renumbering the points leaves the path as it is, and so does repeating the call: no
    random numbers are drawn, ties go by the points' values. The greedy tour takes identical points
    in the order given; in the scalable one they are interchangeable.

    Parameters
    ----------
    points : features of the samples, shape (n, d): unit coordinates, Karhunen-Loeve coefficients,
        whole fields. The distance of two samples is the Euclidean one, so all columns must have
        comparable units
    method : ``"greedy"``, ``"scalable"``, or ``"auto"``: greedy while :math:`n^2 d` is at most
        5 * 10^8, where it takes about half a second and needs no approximation, scalable above

    Returns
    -------
    ndarray
        Permutation of 0..n-1, shape (n,): the sample to compute first, second, ...

    Raises
    ------
    UserError
        For another shape, values that are not finite real numbers, or an unknown method.
    """
    if method not in get_args(Method.__value__):
        raise UserError(
            f"expected method {', '.join(get_args(Method.__value__))}, received {method!r}"
        )
    features = _admitted(np.asarray(points))
    n, d = features.shape
    first = canonical_order(features)
    if method == "greedy" or (method == "auto" and n * n * d <= _GREEDY_WORK):
        return first[greedy_tour(features[first].astype(np.float64))]
    reduced, origin = principal_coordinates(features, first)
    return first[improved(reduced, pooled_tour(reduced, origin))]


def _admitted(features: NDArray[Any]) -> NDArray[Any]:
    """Check the features; return them in floating point, far from overflow and underflow."""
    if features.ndim != 2 or features.dtype.kind not in "biuf":
        raise _refused(features, "another shape or type")
    if features.dtype not in (np.float32, np.float64):
        features = features.astype(np.float64)
    if not features.size:
        return features
    # Two passes without a mask of the data's size; NaN and infinity survive both.
    low, high = float(features.min()), float(features.max())
    if not np.isfinite([low, high]).all():
        count = features.size - int(np.isfinite(features).sum())
        raise _refused(features, f"{count} values that are not finite")
    largest = max(-low, high)
    if largest == 0 or _SMALL < largest < _LARGE:
        return features
    # Powers of two scale without rounding.
    return np.asarray(np.ldexp(features, -int(np.frexp(largest)[1])))


def _refused(features: NDArray[Any], reason: str) -> UserError:
    return UserError(
        "expected finite real features of shape (n, d), one row per sample; received shape "
        f"{features.shape} of type {features.dtype}, {reason}; leave out failed samples and "
        "flatten fields to rows"
    )
