"""The share of the linear systems in a time step: through `SequenceSolver`, and PETSc alone."""

import math
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, final

from _flow import Flow
from _report import Report, arguments, interleaved, middle

from solvers.backend import MPI
from solvers.linear import DIRECT, ITERATIVE, LinearSolver

__all__ = ["main"]

_WAYS = ("before: PETSc's KSP", "now: SequenceSolver")
# The cylinder as `ns_throughput.py` times it.
DEFAULT_MESH = {"size": 0.0125, "far_size": 0.035}


@final
class _Alone:
    """PETSc's KSP as flows used it before there was a `SequenceSolver`, with a clock."""

    def __init__(self, matrix: Any, name: str, options: dict[str, str]) -> None:
        self._solver = LinearSolver(matrix, name, options, 1e-12)
        self.seconds = 0.0

    def refilled(self) -> None:
        """Tell PETSc of new values."""
        self._solver.refilled()

    def solve(self, b: Any, x: Any) -> None:
        """Solve under the clock."""
        started = time.perf_counter()
        self._solver.solve(b, x)
        self.seconds += time.perf_counter() - started


def solver_share(report: Report, mesh: dict[str, float], step: float, repeats: int) -> None:
    """Advance the same flow both ways, in turn, and report milliseconds and shares.

    Of two equal flows in one process the one made first is some per cent faster. So each way is
    first once, and the ratio is the geometric mean of both.

    Parameters
    ----------
    report : receives the table
    mesh : settings of the cylinder's mesh
    step : time step, s
    repeats : blocks of 40 steps
    """
    report.section("Share of the linear systems in a step, 1 rank")
    rows: list[list[object]] = []
    ratios = []
    for names in (_WAYS, _WAYS[::-1]):
        times, shares = _race(names, mesh, step, repeats)
        rows += [
            [name, names[0], f"{1e3 * middle(times[name]):.3f}", f"{100 * shares[name]:.1f} %"]
            for name in _WAYS
        ]
        ratios.append(middle(times[_WAYS[1]]) / middle(times[_WAYS[0]]))
    report.table(["linear systems", "made first", "ms per step", "share of them"], rows)
    ratio = math.sqrt(ratios[0] * ratios[1])
    report.at_most("step_with_sequence_solver_over_petsc_alone", ratio, 1.02)


def _race(
    names: tuple[str, ...], mesh: dict[str, float], step: float, repeats: int
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Make the flows in this order; return seconds of a step, and the share of the systems."""
    flows: dict[str, tuple[Flow, Callable[[], float]]] = {}
    for name in names:
        flow = Flow.make("cylinder", dict(mesh), {}, MPI.COMM_SELF)
        alone = _use_petsc_alone(flow) if name == _WAYS[0] else []
        flows[name] = flow, partial(_seconds, flow, alone)
    shares: dict[str, list[float]] = {name: [] for name in flows}

    def block(name: str) -> float:
        flow, solving = flows[name]
        solved, started = solving(), time.perf_counter()
        for _ in range(40):
            flow.advance(step)
        seconds = time.perf_counter() - started
        shares[name].append((solving() - solved) / seconds)
        return seconds / 40

    for name in flows:
        block(name)
        shares[name].clear()
    times = interleaved(repeats, **{name: partial(block, name) for name in flows})
    return times, {name: middle(values) for name, values in shares.items()}


def _seconds(flow: Flow, alone: list[_Alone]) -> float:
    return sum(one.seconds for one in alone) if alone else _linear_seconds(flow)


def _use_petsc_alone(flow: Flow) -> list[_Alone]:
    """Replace the solvers of a flow by PETSc's own."""
    stepper: Any = flow.stepper
    operators: Any = flow.operators
    stepper.momentum = _Alone(stepper._matrix, "momentum", ITERATIVE)
    operators.poisson = _Alone(operators._poisson, "pressure", DIRECT)
    operators.projection = _Alone(operators.pressure_mass, "pressure_mass", DIRECT)
    return [stepper.momentum, operators.poisson, operators.projection]


def _linear_seconds(flow: Flow) -> float:
    operators = flow.operators
    systems = (flow.stepper.momentum, operators.poisson, operators.projection)
    return sum(system.total.seconds for system in systems)


def main() -> int:
    """Measure on the cylinder's default mesh."""
    quick = arguments(__doc__).quick
    report = Report("solver_share", "Linear systems in a step of the flow", quick=quick)
    solver_share(report, DEFAULT_MESH, 1 / 1600, 4 if quick else 15)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
