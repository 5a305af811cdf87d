r"""Empirical cubature: few points with positive weights that integrate given functions.

.. math:: \| G_s w - G \omega \| \le \epsilon \| G \omega \|, \qquad w > 0,

and the volume to a hundredth of the tolerance. The functions are first compressed
(`rom.cubature.compression`), the points found one after the other (`rom.cubature.selection`), and
the residual of all functions is checked at the end; if what was left out by the compression is too
much, more of it is kept and the search goes on from the points that were found. Nothing is drawn
at random.

Points may be shared out over processes. Each looks for the best among its own, the best of all is
sent to all, and all solve the same small problem: there is one rule, the same for any number of
processes, and not one for each as in the published method.

Sources: Hernández, Caicedo, Ferrer (2017), doi:10.1016/j.cma.2016.10.022; Farhat, Chapman, Avery
(2015), doi:10.1002/nme.4820 (energy-conserving weights).
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from infra.errors import RomflowError, UserError
from rom.cubature.compression import Compression
from rom.cubature.integrands import Integrands
from rom.cubature.selection import Goal, Selected, select

__all__ = ["CubatureError", "CubatureRule", "cubature"]

type _Floats = NDArray[np.float64]
type _Ints = NDArray[np.int64]

# Parts of the tolerance that the compression may leave out, one search after the other; the last
# leaves nothing out.
_PARTS = (0.1, 0.01, 0.0)
# Of the tolerance; the volume is one number of which more is asked.
_VOLUME = 0.01
# Steps per row; a search takes about one, and some for points that are dropped again.
_STEPS = 10


@final
class CubatureError(RomflowError):
    """No rule within the tolerance was found.

    Attributes
    ----------
    rule
        The best that was reached.
    """

    def __init__(self, message: str, rule: "CubatureRule") -> None:
        super().__init__(message, rule)
        self.rule = rule

    def __str__(self) -> str:
        return str(self.args[0])


@final
@dataclass(frozen=True, eq=False)
class CubatureRule:
    """A sparse rule.

    Attributes
    ----------
    points
        Numbers of points of the full rule, ascending, (n,).
    weights
        Positive, (n,), in the unit of the full rule's.
    imposed
        Points that were asked for beside these, for other uses than integration, ascending.
    residual
        Relative, of all functions.
    volume_error
        Relative.
    rows
        Functions that were left by the compression.
    steps
        Points that were added, dropped ones counted again.
    """

    points: _Ints
    weights: _Floats
    imposed: _Ints
    residual: float
    volume_error: float
    rows: int
    steps: int

    @property
    def places(self) -> _Ints:
        """All points: those of the rule, then the imposed ones."""
        return np.concatenate([self.points, self.imposed])

    def integrate(self, values: _Floats) -> _Floats:
        """Return the integrals (...) of functions (..., n) at `points`."""
        return np.asarray(values @ self.weights)


def cubature(
    integrands: Integrands,
    tolerance: float = 1e-4,
    *,
    scale: float | None = None,
    start: CubatureRule | None = None,
    imposed: _Ints | None = None,
) -> CubatureRule:
    """Return a sparse rule.

    Parameters
    ----------
    integrands
        The functions at all points, or at those of each of several processes.
    tolerance
        epsilon, in (0, 1).
    scale
        Size of integrals that residuals are relative to; None: the norm of all, see
        `rom.cubature.compression`.
    start
        A rule from before, for fewer or for other functions at the same points.
    imposed
        Numbers of points that are needed beside those of the rule.

    Raises
    ------
    UserError
        If an argument is out of its range.
    CubatureError
        If the tolerance cannot be reached; it holds the best rule.
    """
    extra = _checked(integrands, tolerance, scale, start, imposed)
    compression = Compression(integrands, scale)
    points = np.empty(0, np.int64) if start is None else start.points
    weights = None if start is None else start.weights
    rank, steps = -1, 0
    for part in _PARTS:
        wanted = compression.rank(part * tolerance)
        if wanted == rank:
            continue
        rank = wanted
        problem = compression.rows(rank)
        goal = Goal(
            residual=np.sqrt(1 - part**2) * tolerance * compression.scale,
            volume=_VOLUME * tolerance * problem.target[-1],
            steps=_STEPS * (rank + 1),
        )
        found = select(problem, goal, points, weights)
        points, weights, steps = found.points, found.weights, steps + found.steps
        rule = _rule(integrands, compression, found, extra, rank + 1, steps)
        if rule.residual <= tolerance and rule.volume_error <= _VOLUME * tolerance:
            return rule
    raise CubatureError(
        f"Expected a cubature rule with a residual of at most {tolerance:.3g} and a volume error "
        f"of at most {_VOLUME * tolerance:.3g}; reached {rule.residual:.3g} and "
        f"{rule.volume_error:.3g} with {len(rule.points)} points in {rule.steps} steps. Allow a "
        "larger tolerance, or give fewer functions: those below rounding cannot be integrated.",
        rule,
    )


def _rule(
    integrands: Integrands,
    compression: Compression,
    found: Selected,
    imposed: _Ints,
    rows: int,
    steps: int,
) -> CubatureRule:
    order = np.argsort(found.points)
    points, weights = found.points[order], found.weights[order]
    left = integrands.columns(points) @ weights - compression.integrals
    return CubatureRule(
        points=points,
        weights=weights,
        imposed=np.setdiff1d(imposed, points).astype(np.int64),
        residual=float(np.linalg.norm(left)) / compression.scale,
        volume_error=abs(float(weights.sum()) / integrands.volume - 1.0),
        rows=rows,
        steps=steps,
    )


def _checked(
    integrands: Integrands,
    tolerance: float,
    scale: float | None,
    start: CubatureRule | None,
    imposed: _Ints | None,
) -> _Ints:
    """Check the arguments and return the imposed points."""
    if not 0 < tolerance < 1 or (scale is not None and not 0 < scale < np.inf):
        raise UserError(
            "Expected a tolerance between 0 and 1 and a positive scale; received "
            f"{tolerance} and {scale}."
        )
    extra = np.empty(0, np.int64) if imposed is None else np.unique(imposed).astype(np.int64)
    known = extra if start is None else np.r_[extra, start.points]
    outside = known[(known < 0) | (known >= integrands.points)]
    if len(outside):
        raise UserError(
            f"Expected numbers of points from 0 to {integrands.points - 1}; received "
            f"{outside[:5].tolist()}. Use the numbers of the mesh that the functions live on."
        )
    return extra
