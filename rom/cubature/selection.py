r"""Sparse non-negative least squares, point by point.

.. math:: \min_{w \ge 0} \| J_s w - b \|

A point is added, the least squares problem of the active points is solved, and while weights are
not positive the way to its solution is gone only as far as they allow, where the points that stop
it are dropped (Lawson and Hanson). The residual falls with each point, so that no set of points
comes twice; the number of steps is bounded all the same.

What was chosen early is not what would be chosen late: at the end the points whose loss costs
least are dropped and others chosen for them, as long as fewer points come out.

Sources: Lawson and Hanson (1974), "Solving least squares problems", chapter 23,
doi:10.1137/1.9781611971217; Hernández, Caicedo, Ferrer (2017), doi:10.1016/j.cma.2016.10.022;
Zhang (2011), "Adaptive forward-backward greedy algorithm", doi:10.1109/TIT.2011.2146690, for
dropping.
"""

from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from rom.cubature.column_qr import ColumnQR
from rom.cubature.compression import Compressed
from rom.cubature.pricing import Pricing

__all__ = ["Goal", "Selected", "select"]

type _Floats = NDArray[np.float64]
type _Ints = NDArray[np.int64]

# Weights below this part of the mean one are zero.
_ZERO = 1e-12
# Rounds of dropping and choosing again, and the part of the points that is dropped in each.
_ROUNDS, _DROPPED = 8, 0.1


@final
@dataclass(frozen=True)
class Goal:
    """When a selection ends.

    Attributes
    ----------
    residual
        Norm of the residual of the rows without the last, at most.
    volume
        Size of the residual of the last row, at most.
    steps
        Points that may be added, dropped ones counted again.
    """

    residual: float
    volume: float
    steps: int


@final
@dataclass(frozen=True, eq=False)
class Selected:
    """A sparse rule.

    Attributes
    ----------
    points
        In the order in which they are held, (n,).
    weights
        Positive, (n,).
    residual
        b - J w, (m,).
    steps
        Points that were added, dropped ones counted again.
    """

    points: _Ints
    weights: _Floats
    residual: _Floats
    steps: int


def select(problem: Compressed, goal: Goal, start: _Ints, weights: _Floats | None) -> Selected:
    """Return points and weights; they miss the goal if no more points help, or steps run out.

    Parameters
    ----------
    problem
        Rows and their integrals.
    goal
        When it ends.
    start
        Points to begin with, without double ones; may be empty.
    weights
        Non-negative weights of these from before, in the same order; None: not known.
    """
    run, pricing = _Selection(problem), Pricing(problem)
    run.begin(start, weights)
    run.grow(pricing, goal)
    best = run.selected()
    for _ in range(_ROUNDS if run.reached(goal) and run.steps else 0):
        run.shrink()
        run.grow(pricing, goal)
        if not run.reached(goal) or len(run.active) >= len(best.points):
            break
        best = run.selected()
    return replace(best, steps=run.steps)


@final
class _Selection:
    """The active points, their weights (all positive) and the residual."""

    def __init__(self, problem: Compressed) -> None:
        self._problem = problem
        self._qr = ColumnQR(problem.target)
        self.active: list[int] = []
        self.weights: _Floats = np.empty(0)
        self.residual: _Floats = problem.target
        # Active points, and those that did not help since the residual fell last.
        self.closed = np.zeros(problem.parts.n, np.bool_)
        self.steps = 0

    def reached(self, goal: Goal) -> bool:
        own, volume = self.residual[:-1], self.residual[-1]
        return bool(np.linalg.norm(own) <= goal.residual and abs(volume) <= goal.volume)

    def selected(self) -> Selected:
        return Selected(np.array(self.active, np.int64), self.weights, self.residual, self.steps)

    def grow(self, pricing: Pricing, goal: Goal) -> None:
        """Add points until the goal is reached, none helps, or steps run out."""
        full = len(self._problem.target)
        while self.steps < goal.steps and len(self.active) < full and not self.reached(goal):
            chosen = pricing.choose(self.residual, self.closed)
            if chosen is None:
                return
            self.add(chosen)
            self.steps += 1

    def shrink(self) -> None:
        """Drop the points that can be missed most easily."""
        count = max(1, int(_DROPPED * len(self.active)))
        self._drop(np.sort(np.argsort(self._qr.losses(), kind="stable")[:count]))
        self._settle()
        self.closed[:] = False
        self.closed[self.active] = True

    def begin(self, points: _Ints, weights: _Floats | None) -> None:
        """Take over points from before: their weights are solved for again."""
        known = np.ones(len(points)) if weights is None else weights
        taken = [self._append(int(point)) for point in points]
        self.weights = np.maximum(known[np.array(taken, np.bool_)], 0.0)
        if self.active:
            self._drop(np.flatnonzero(self.weights <= 0))
            self._settle()

    def add(self, point: int) -> None:
        before = float(np.linalg.norm(self.residual))
        if not self._append(point):
            self.closed[point] = True
            return
        self.weights = np.r_[self.weights, 0.0]
        self._settle()
        if np.linalg.norm(self.residual) < before:
            self.closed[:] = False
            self.closed[self.active] = True
        else:
            self.closed[point] = True

    def _append(self, point: int) -> bool:
        if not self._qr.append(self._problem.columns(np.array([point]))[0]):
            return False
        self.active.append(point)
        self.closed[point] = True
        return True

    def _settle(self) -> None:
        """Go to the least squares solution of the active points, dropping those in the way."""
        while self.active:
            wanted = self._qr.solve()
            least = _ZERO * float(np.abs(wanted).max())
            blocked = wanted <= least
            if not blocked.any():
                self.weights, self.residual = wanted, self._qr.residual()
                return
            gap = self.weights[blocked] - wanted[blocked]
            steps = np.divide(
                self.weights[blocked], gap, out=np.zeros_like(gap), where=gap > 0
            )  # fmt: skip
            self.weights = self.weights + steps.min(initial=1.0) * (wanted - self.weights)
            gone = blocked & (self.weights <= least)
            if not gone.any():  # rounding kept the one that stopped it above zero
                gone[np.flatnonzero(blocked)[steps.argmin()]] = True
            self._drop(np.flatnonzero(gone))
        self.residual = self._problem.target

    def _drop(self, places: _Ints) -> None:
        if len(places):
            self._qr.drop(places.tolist())
            gone = set(places.tolist())
            self.active = [point for i, point in enumerate(self.active) if i not in gone]
            self.weights = np.delete(self.weights, places)
