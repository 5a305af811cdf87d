"""Taylor-Green vortices: observed orders in time and space, and the same numbers on any ranks.

Errors are relative L2 norms against the exact solution, by quadrature on every cell.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from _flow import Flow, run_ranks
from _report import Report, arguments

from solvers.backend import MPI, basix
from solvers.mesh import FloatArray
from solvers.problems.taylor_green import exact_pressure, exact_velocity

__all__ = ["main"]

VISCOSITY = 0.01
END = 0.5
RANKS = (1, 2, 3)


def flow_at(cells: int, steps: int, end: float, comm: Any, rtol: float = 1e-13) -> Flow:
    """Run the vortices to `end`."""
    flow = Flow.make("taylor-green", {"cells": cells}, {"viscosity": VISCOSITY}, comm, rtol=rtol)
    for _ in range(steps):
        flow.advance(end / steps)
    return flow


def errors(flow: Flow) -> tuple[float, float]:
    """Return the L2 errors of velocity (m^2/s) and pressure, relative to the exact norms.

    Quadrature of degree 8 on each cell with the elements' own basis functions; the pressure's
    mean is taken off, for it is known up to a constant. One rank.
    """
    disc, time = flow.disc, flow.state.time
    points, weights = basix.make_quadrature(basix.CellType.triangle, 8)
    corners = disc.mesh.geometry.x[disc.mesh.geometry.dofmaps[0]][..., :2]
    shape = np.column_stack([1 - points.sum(axis=1), points])
    physical = np.einsum("qi,cid->cqd", shape, corners).reshape(-1, 2)
    measure = (flow.operators.geometry.determinant[:, None] * weights).ravel()
    velocity = _at(2, points, flow.operators.cell_values(flow.state.velocity[0]))
    pressure = _at(1, points, flow.state.pressure.array_r[disc.linear.dofmap.list][..., None])
    exact = exact_velocity(physical, time, VISCOSITY)
    exact_p = exact_pressure(physical, time, VISCOSITY)
    off = pressure[:, 0] - exact_p
    off -= measure @ off / measure.sum()
    return _ratio(measure, velocity - exact, exact), _ratio(measure, off[:, None], exact_p[:, None])


def _at(degree: int, points: FloatArray, nodal: FloatArray) -> FloatArray:
    """Evaluate nodal values (n_cells, n, k) at reference points: (n_cells * q, k)."""
    variant = basix.LagrangeVariant.gll_warped
    element = basix.create_element(basix.ElementFamily.P, basix.CellType.triangle, degree, variant)
    table = element.tabulate(0, points)[0, :, :, 0]
    return np.einsum("qi,cik->cqk", table, nodal).reshape(-1, nodal.shape[-1])


def _ratio(measure: FloatArray, difference: FloatArray, exact: FloatArray) -> float:
    squares = (measure @ difference**2).sum() / (measure @ exact**2).sum()
    return float(np.sqrt(squares))


def order(sizes: list[float], values: list[float]) -> float:
    """Return the slope of the errors over the sizes in the doubly logarithmic plot."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def in_time(report: Report, cells: int, all_steps: tuple[int, ...]) -> None:
    """Report the order in time on one fine mesh.

    The pressure's error in space is the larger part soon; its order in time is therefore taken
    against a run on the same mesh with a step that is 16 times as fine as the finest.
    """
    flows = [flow_at(cells, n, END, MPI.COMM_SELF) for n in all_steps]
    found = [errors(flow) for flow in flows]
    fine = pressure_of(flow_at(cells, 16 * max(all_steps), END, MPI.COMM_SELF))
    remaining = [float(np.abs(pressure_of(f) - fine).max() / np.abs(fine).max()) for f in flows]
    varied = [END / n for n in all_steps]
    report.section(f"Order in time, {cells} x {cells} squares")
    rows = [
        [step, f"{u:.3e}", f"{p:.3e}", f"{r:.3e}"]
        for step, (u, p), r in zip(varied, found, remaining, strict=True)
    ]
    head = ["step, s", "velocity error", "pressure error", "pressure against a fine step"]
    report.table(head, rows)
    slope = order(varied, [u for u, _ in found])
    report.note(
        f"Fitted orders: velocity {slope:.2f}, pressure against a fine step "
        f"{order(varied, remaining):.2f}. Errors are relative L2 norms against the exact solution; "
        "the fourth column is a relative maximum over the vertices."
    )
    report.at_least("order_in_time_velocity", slope, 1.9)


def in_space(report: Report, steps: int, all_cells: tuple[int, ...]) -> None:
    """Report the order in space with one small step."""
    found = [errors(flow_at(n, steps, END, MPI.COMM_SELF)) for n in all_cells]
    varied = [1.0 / n for n in all_cells]
    report.section(f"Order in space, step {END / steps:.2g} s")
    rows = [[n, f"{u:.3e}", f"{p:.3e}"] for n, (u, p) in zip(all_cells, found, strict=True)]
    report.table(["squares a side", "velocity error", "pressure error"], rows)
    slopes = [order(varied, list(values)) for values in zip(*found, strict=True)]
    report.note(f"Fitted orders: velocity {slopes[0]:.2f}, pressure {slopes[1]:.2f}.")
    report.at_least("order_in_space_velocity", slopes[0], 2.8)


def pressure_of(flow: Flow) -> FloatArray:
    """Return the pressure of zero mean over the vertices, in canonical order."""
    values = flow.disc.gather_linear(flow.state.pressure.array_r)
    return np.asarray(values - values.mean())


def agreement(report: Report, cells: int, steps: int) -> None:
    """Compare fields computed on 1, 2 and 3 ranks."""
    with tempfile.TemporaryDirectory() as folder:
        files = {ranks: Path(folder) / f"{ranks}.npz" for ranks in RANKS}
        job = json.dumps({"cells": cells, "steps": steps})
        for ranks, file in files.items():
            run_ranks(Path(__file__), ranks, "--ranks", job, str(file))
        loaded = {ranks: dict(np.load(file)) for ranks, file in files.items()}
    rows, worst = [], 0.0
    for ranks in RANKS[1:]:
        relative = [
            float(np.abs(loaded[ranks][name] - one).max() / np.abs(one).max())
            for name, one in loaded[1].items()
        ]
        rows.append([ranks, *(f"{value:.1e}" for value in relative)])
        worst = max(worst, *relative)
    report.section("Ranks")
    report.table(["ranks", "velocity", "pressure"], rows)
    report.note("Largest relative difference from the fields computed on one rank.")
    report.at_most("ranks_difference", worst, 1e-9)


def worker(job: dict[str, int], target: Path) -> None:
    """Run on all ranks and save the gathered fields on rank 0."""
    comm = MPI.COMM_WORLD
    flow = flow_at(job["cells"], job["steps"], END, comm, rtol=1e-12)
    velocity = flow.velocity()
    pressure = flow.disc.gather_linear(flow.state.pressure.array_r)
    if comm.rank == 0:
        np.savez(target, velocity=velocity, pressure=pressure - pressure.mean())


def main() -> int:
    """Measure both orders and the agreement of ranks."""
    quick = arguments(__doc__).quick
    report = Report("taylor_green", "Taylor-Green vortices: orders and ranks", quick=quick)
    in_time(report, 48 if quick else 64, (8, 16, 32))
    in_space(report, 256 if quick else 2048, (4, 8, 16) if quick else (4, 8, 16, 32))
    agreement(report, 16 if quick else 48, 20 if quick else 100)
    return report.finish()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--ranks"]:
        worker(json.loads(sys.argv[2]), Path(sys.argv[3]))
    else:
        sys.exit(main())
