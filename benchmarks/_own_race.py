"""The learned choice beside each of its own configurations, fixed, on the same systems."""

import time
from dataclasses import dataclass, field
from typing import Any, final

from _families import Family

from solvers.errors import LinearSolveError
from solvers.sequence.report import LinearReport
from solvers.sequence.solver import SequenceSolver
from solvers.settings import LinearSettings

__all__ = ["AUTO", "Runner", "race"]

AUTO = "auto"
# A configuration that is so many times as dear as the best one is stopped after some solves.
_HOPELESS, _ENOUGH = 6.0, 6


@final
@dataclass
class Runner:
    """A solver under the clock.

    Attributes
    ----------
    solver, name : the solver and its method
    seconds : of each solve, everything included
    reports : of each solve
    residual : largest relative true residual, measured apart
    refused : systems whose residual cannot be so small in double precision, named by the solver
    """

    solver: SequenceSolver
    name: str
    seconds: list[float] = field(default_factory=list)
    reports: list[LinearReport] = field(default_factory=list)
    residual: float = 0.0
    refused: int = 0
    stopped: bool = False

    @classmethod
    def make(cls, family: Family, method: str, horizon: int, *, seed: int = 0) -> "Runner":
        """Return a runner with a new solver, which knows the matrix and the family's traits."""
        solver = SequenceSolver(
            family.matrix,
            name=family.name,
            settings=LinearSettings(method=method),
            traits=family.traits,
            horizon=horizon,
            seed=seed,
        )
        return cls(solver, method)

    @property
    def total(self) -> float:
        """Seconds of all solves."""
        return sum(self.seconds)

    @property
    def mean(self) -> float:
        """Mean seconds of a solve, all set-ups included."""
        return self.total / len(self.seconds)

    def solve(self, family: Family) -> None:
        """Solve the present system of the family."""
        x: Any = family.b.duplicate()
        started = time.perf_counter()
        self.solver.refilled()
        try:
            report = self.solver.solve(family.b, x)
        except LinearSolveError:
            self.refused += 1
            self.seconds.append(time.perf_counter() - started)
            x.destroy()
            return
        self.seconds.append(time.perf_counter() - started)
        self.reports.append(report)
        family.matrix.mult(x, r := family.b.duplicate())
        r.aypx(-1.0, family.b)
        self.residual = max(self.residual, r.norm() / family.b.norm())
        x.destroy()
        r.destroy()


def race(family: Family, samples: int, *, skip: tuple[str, ...] = ()) -> list[Runner]:
    """Run `auto` and each fixed configuration over the same systems, in turn.

    The first runner returned is `auto`. Who begins changes with each system: the first one finds
    nothing of it in the processor's caches. A configuration that is far dearer than the best is
    stopped early and marked so.
    """
    auto = Runner.make(family, AUTO, samples)
    names = [arm for arm in auto.solver.arms if arm not in skip]
    fixed = [Runner.make(family, name, samples) for name in names]
    for step, index in enumerate(family.tour[:samples]):
        family.fill(int(index))
        turn = [one for one in (auto, *fixed) if not one.stopped]
        first = step % len(turn)
        for one in turn[first:] + turn[:first]:
            one.solve(family)
        if step + 1 >= _ENOUGH:
            _stop(fixed)
    for one in (auto, *fixed):
        one.solver.destroy()
    return [auto, *fixed]


def _stop(fixed: list[Runner]) -> None:
    """Stop what cannot win any more; costs of set-ups are shared by what is left to come."""
    recent = {id(one): sorted(one.seconds[1:])[len(one.seconds) // 2 - 1] for one in fixed}
    best = min(recent.values())
    for one in fixed:
        one.stopped = one.stopped or recent[id(one)] > _HOPELESS * best
