"""Flow around a cylinder against the benchmark of Schaefer and Turek: 2D-1 and 2D-3.

Schaefer and Turek (1996, 10.1007/978-3-322-89849-4_39); 2D-3 with the reference of John (2004,
10.1002/fld.679): drag maximum 2.950921575, lift maximum 0.47795, pressure difference at 8 s
-0.1116. Drag and lift are reactions of the discrete momentum equation.
"""

import sys
import time
from dataclasses import dataclass
from typing import Any, final

from _report import Report, arguments

from infra.records import Sample
from infra.stream import MemorySink
from solvers.backend import MPI
from solvers.chunk import make_problem
from solvers.model import FlowModel
from solvers.settings import SolverSettings, TimeSettings
from solvers.snapshots import flow_layout

__all__ = ["main"]


@final
@dataclass(frozen=True)
class Run:
    """A mesh (edge length at the cylinder and far away, m) and a step (s), or a Courant number."""

    size: float
    far_size: float
    step: float | None = None
    cfl: float | None = None


STEADY_SETTINGS = {"mean_velocity": 0.2}
STEADY_MU = {"reynolds": 20.0, "amplitude": 0.0}
STEADY_END = 10.0
PULSE_SETTINGS = {"mean_velocity": 1.0, "inflow": "pulse", "start": "rest"}
PULSE_MU = {"reynolds": 100.0, "frequency": 1 / 16}
PULSE_END = 8.0
# Output interval, s: frames bound the adaptive step while the flow starts from rest.
FRAME = 0.1

STEADY = (
    Run(0.0125, 0.035, step=0.02),
    Run(0.008, 0.035, step=0.0125),
    Run(0.0045, 0.03, step=0.0125),
    Run(0.0045, 0.03, step=0.00625),
    Run(0.003, 0.025, step=0.005),
)
STEADY_QUICK = (Run(0.0045, 0.035, step=0.0125),)
PULSE = (
    Run(0.0125, 0.035, cfl=1.0),
    Run(0.006, 0.03, cfl=1.0),
    Run(0.0045, 0.03, cfl=1.0),
    Run(0.0045, 0.03, cfl=0.5),
    Run(0.0045, 0.03, step=0.001),
)
PULSE_QUICK = (Run(0.006, 0.035, cfl=1.2),)


def solve(settings: dict[str, Any], mu: dict[str, float], end: float, run: Run) -> dict[str, float]:
    """Run one case to `end` and return its last values and extremes, its cost and its size."""
    clock = time.perf_counter()
    sizes = {"size": run.size, "far_size": run.far_size}
    problem = make_problem("cylinder", {**settings, **sizes})
    mesh = problem.reference_mesh()
    frames = 1 + round(end / FRAME)
    times = TimeSettings(end=end, frames=frames, step=run.step, cfl=run.cfl, courant_limit=5.0)
    sample = Sample(0, {**problem.defaults, **mu}, 0)
    layout = flow_layout("run", problem, problem.space(), [sample], mesh, times.times(), {})
    model = FlowModel(problem, mesh, MPI.COMM_SELF, times, SolverSettings(), positions=False)
    with MemorySink(layout.description, sample, {}) as sink:
        report = model.solve(sample, sink)
        last = {name: float(values[-1]) for name, values in sink._values.items() if values.ndim == 1}
    cost = {"seconds": time.perf_counter() - clock, "steps": float(report.steps)}
    return {**last, **report.values, **cost, "nodes": float(mesh.n_nodes)}


def steady(report: Report, runs: tuple[Run, ...]) -> None:
    """Compute 2D-1; the last run but the checks decides."""
    report.section("2D-1: Re 20, steady")
    found = [solve(STEADY_SETTINGS, STEADY_MU, STEADY_END, run) for run in runs]
    names = ("drag", "lift", "pressure_difference")
    report.table(_head(names), [_row(*pair, names) for pair in zip(runs, found, strict=True)])


def pulse(report: Report, runs: tuple[Run, ...]) -> None:
    """Compute 2D-3."""
    report.section("2D-3: Re 100 at the peak of a pulse of 8 s")
    found = [solve(PULSE_SETTINGS, PULSE_MU, PULSE_END, run) for run in runs]
    names = ("drag_max", "lift_max", "pressure_difference")
    report.table(_head(names), [_row(*pair, names) for pair in zip(runs, found, strict=True)])


def _head(names: tuple[str, ...]) -> list[str]:
    return ["size, m", "far, m", "step", "nodes", "steps", "largest CFL", *names, "seconds"]


def _row(run: Run, found: dict[str, float], names: tuple[str, ...]) -> list[object]:
    step = f"{run.step:g} s" if run.step is not None else f"CFL {run.cfl:g}"
    counts = [int(found["nodes"]), int(found["steps"]), found["courant_max"]]
    values = [f"{found[name]:.5f}" for name in names]
    return [run.size, run.far_size, step, *counts, *values, f"{found['seconds']:.0f}"]


def main() -> int:
    """Run both cases."""
    quick = arguments(__doc__).quick
    report = Report("schaefer_turek", "Schaefer-Turek benchmarks 2D-1 and 2D-3", quick=quick)
    steady(report, STEADY_QUICK if quick else STEADY)
    pulse(report, PULSE_QUICK if quick else PULSE)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
