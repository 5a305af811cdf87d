"""The share of the linear systems in a time step: through `SequenceSolver`, and PETSc alone."""

import sys
import time
from typing import Any, final

from _flow import Flow
from _report import Report, arguments, interleaved, middle

from solvers.backend import MPI
from solvers.linear import DIRECT, ITERATIVE, LinearSolver

__all__ = ["main"]

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

    Parameters
    ----------
    report : receives the table
    mesh : settings of the cylinder's mesh
    step : time step, s
    repeats : blocks of 40 steps
    """
    before, now = (Flow.make("cylinder", dict(mesh), {}, MPI.COMM_SELF) for _ in range(2))
    alone = _use_petsc_alone(before)
    flows = {
        "before: PETSc's KSP": (before, lambda: sum(one.seconds for one in alone)),
        "now: SequenceSolver": (now, lambda: _linear_seconds(now)),
    }
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
    times = interleaved(repeats, **{name: lambda name=name: block(name) for name in flows})
    report.section("Share of the linear systems in a step, 1 rank")
    rows = [
        [name, f"{1e3 * middle(values):.3f}", f"{100 * middle(shares[name]):.1f} %"]
        for name, values in times.items()
    ]
    report.table(["linear systems", "ms per step", "share of them"], rows)
    former, present = (middle(values) for values in times.values())
    report.at_most("step_with_sequence_solver_over_petsc_alone", present / former, 1.02)
    rest = {
        name: middle([t * (1 - s) for t, s in zip(values, shares[name], strict=True)])
        for name, values in times.items()
    }
    once, again = rest.values()
    report.note(
        f"The rest of the step is the same code: {1e3 * once:.3f} and {1e3 * again:.3f} ms. "
        "What differs there is not the solver's doing, and is taken out of the second target."
    )
    report.at_most(
        "step_with_sequence_solver_over_petsc_alone_at_equal_rest",
        (present - again + once) / former,
        1.02,
    )


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
