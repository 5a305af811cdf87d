"""The full-order model of incompressible flow: one sample in, its frames into a sink."""

import resource
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np

from infra.errors import UserError
from infra.records import Sample, SolveReport
from infra.stream import TrajectorySink
from solvers.backend import MPI
from solvers.discretisation import Discretisation, distribute
from solvers.errors import DivergedError, GeometryError
from solvers.flow_fields import FieldReader
from solvers.flow_operators import FlowOperators
from solvers.full_order_model import FullOrderModel, Progress
from solvers.incompressible import FlowState, FlowStepper
from solvers.linear import DIRECT, ITERATIVE, with_choices
from solvers.mesh import FloatArray, ReferenceMesh, cell_quality
from solvers.problem import FlowCase, Problem
from solvers.quantities import FlowMonitor
from solvers.ranks import on_rank_zero
from solvers.settings import SolverSettings, TimeSettings
from solvers.snapshots import AXES
from solvers.stepping import StepControl

__all__ = ["FlowModel"]


@final
class FlowModel(FullOrderModel):
    """Incompressible flow of a `Problem`.

    Constant matrices and pressure factors are made with the first sample and made anew only for
    a sample of another geometry.

    Parameters
    ----------
    problem : what is computed
    mesh : reference mesh, on all ranks
    comm : MPI communicator
    times : output times and steps
    solver : solver settings
    positions : whether the dataset keeps the node positions of each sample
    """

    def __init__(
        self,
        problem: Problem,
        mesh: ReferenceMesh,
        comm: Any,
        times: TimeSettings,
        solver: SolverSettings,
        *,
        positions: bool,
    ) -> None:
        self._positions = positions
        self._problem = problem
        self._mesh = mesh
        self._times = times
        self._solver = solver
        self._disc: Discretisation = distribute(mesh, comm)
        self._points = mesh.points
        self._operators: FlowOperators | None = None
        self._pressure = with_choices(DIRECT, solver.pressure)
        self._momentum = with_choices(ITERATIVE, solver.momentum)

    @property
    def options(self) -> Mapping[str, str]:
        """PETSc options as used, with prefixes, and the discretisation's choices."""
        named = {"pressure": self._pressure, "momentum": self._momentum}
        flat = {f"-romflow_{n}_{k}": v for n, some in named.items() for k, v in some.items()}
        # An rtol among the momentum options is the one that PETSc used.
        return (
            {"-romflow_momentum_ksp_rtol": repr(self._solver.rtol)}
            | flat
            | {
                "scheme": "BDF2, incremental pressure correction, "
                + ("rotational" if self._solver.rotational else "standard"),
                "element": "P2/P1",
            }
        )

    def solve(
        self, sample: Sample, sink: TrajectorySink | None, progress: Progress | None = None
    ) -> SolveReport:
        """Compute a trajectory; see `FullOrderModel.solve`."""
        clock, cpu = time.perf_counter(), time.process_time()
        points = self._geometry(sample)
        case = self._problem.case(sample.mu, self._mesh)
        assert isinstance(case, FlowCase), "a problem of kind flow"
        before = self._pressure_work()
        operators = self._place(points, case)
        stepper = FlowStepper(
            operators,
            case.viscosity,
            case.conditions,
            options=self._momentum,
            rtol=self._solver.rtol,
            rotational=self._solver.rotational,
        )
        run = _Run(stepper, FlowMonitor(operators, case), case, StepControl(self._times))
        try:
            self._frames(run, sink, progress)
            if self._positions:
                on_rank_zero(self._disc.mesh.comm, lambda: self._put_positions(sink, points))
            return self._report(run, clock, cpu, before)
        finally:
            run.destroy()

    def _geometry(self, sample: Sample) -> FloatArray:
        """Return the deformed vertices, or refuse what deforms too far."""
        try:
            self._problem.check(sample.mu)
        except UserError as error:
            raise GeometryError(str(error)) from error
        points = self._problem.deform(self._mesh.points, sample.mu)
        # Vertices are sorted within a cell, so that its sign must be taken from the reference.
        sign = np.sign(cell_quality(self._mesh.points, self._mesh.cells))
        worst = float((sign * cell_quality(points, self._mesh.cells)).min())
        if worst < self._solver.min_quality:
            raise GeometryError(
                f"the mesh deforms too far: expected a mean-ratio quality of at least "
                f"{self._solver.min_quality:g} in every cell (solver.min_quality), received "
                f"{worst:.3g}. Narrow the range of the parameters that move the geometry."
            )
        return points

    def _place(self, points: FloatArray, case: FlowCase) -> FlowOperators:
        """Return the operators on a geometry; nothing is computed twice for the same one."""
        moved = not np.array_equal(points, self._points)
        if moved:
            self._disc.deform(points)
            self._points = points
        if self._operators is None:
            self._operators = FlowOperators(self._disc, case.outflow, self._pressure)
        elif moved:
            self._operators.refill()
        return self._operators

    def _frames(self, run: "_Run", sink: TrajectorySink | None, progress: Progress | None) -> None:
        for frame, target in enumerate(self._times.times().tolist()):
            run.advance_to(target)
            values = run.frame_values()
            on_rank_zero(self._disc.mesh.comm, lambda: _write(sink, frame, values))  # noqa: B023 - called at once
            run.recording = True
            if progress is not None and sink is not None:
                progress(frame)

    def _put_positions(self, sink: TrajectorySink | None, points: FloatArray) -> None:
        if sink is None:
            return
        for axis, values in enumerate(self._mesh.node_positions(points).T):
            sink.put(f"node_{AXES[axis]}", values)

    def _pressure_work(self) -> tuple[int, float]:
        """Return factorisations, and seconds in the pressure systems, of all samples so far."""
        if self._operators is None:
            return 0, 0.0
        both = (self._operators.poisson.total, self._operators.projection.total)
        return sum(w.setups for w in both), sum(w.seconds for w in both)

    def _report(
        self, run: "_Run", clock: float, cpu: float, before: tuple[int, float]
    ) -> SolveReport:
        comm, momentum = self._disc.mesh.comm, run.stepper.momentum
        factorisations, seconds = self._pressure_work()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
        return SolveReport(
            reason="finished",
            steps=run.steps,
            frames=self._times.frames,
            wall_seconds=time.perf_counter() - clock,
            cpu_seconds=comm.allreduce(time.process_time() - cpu),
            counts={
                "momentum_iterations": momentum.total.iterations,
                "momentum_solves": momentum.solves,
                "pressure_factorisations": factorisations - before[0],
            },
            values=run.statistics()
            | {
                "peak_memory_bytes": comm.allreduce(peak, op=MPI.MAX),
                "linear_seconds": momentum.total.seconds + seconds - before[1],
            },
        )


@final
@dataclass
class _Run:
    """One simulation under way."""

    stepper: FlowStepper
    monitor: FlowMonitor
    case: FlowCase
    control: StepControl
    steps: int = 0
    recording: bool = False
    largest_courant: float = 0.0
    quantities: dict[str, float] = field(default_factory=dict)
    extremes: dict[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.state: FlowState = self.stepper.start(0.0, self.case.velocity, self.case.pressure)
        self.reader = FieldReader(self.stepper.operators)
        self.rate = self.reader.courant_rate(self.state)
        self.quantities = dict.fromkeys((*self.monitor.names, "courant"), float("nan"))

    def advance_to(self, target: float) -> None:
        """Step to the output time `target` and set the time to it exactly."""
        while self.state.time < target:
            now = self.state.time
            step = self.control.next_step(now, target, self.state.step, self.rate)
            terms = self.stepper.advance(self.state, step)
            values, courant = self.monitor.after_step(self.state, terms)
            self.control.check(self.state.time, courant)
            self.rate = courant / step
            self._keep(values, courant)
            if self.state.time > target - 1e-9 * step:
                self.state.time = target

    def frame_values(self) -> dict[str, Any]:
        """Return the values of a frame on rank 0, checked to be finite."""
        values = self.reader.frame(self.state)
        bad = [name for name, value in values.items() if not np.isfinite(value).all()]
        if on_rank_zero(self.stepper.operators.disc.mesh.comm, lambda: bad):
            raise DivergedError(
                f"{', '.join(bad) or 'a field'} became infinite or NaN at t = "
                f"{self.state.time:.6g} s: expected finite values. Reduce time.step (or time.cfl)."
            )
        return values | {name: np.float64(value) for name, value in self.quantities.items()}

    def statistics(self) -> dict[str, float]:
        """Return extremes over the steps after the first output time."""
        values = {"courant_max": self.largest_courant}
        for name, (low, high) in self.extremes.items():
            values |= {f"{name}_min": low, f"{name}_max": high}
        return values

    def destroy(self) -> None:
        """Free PETSc's objects; collective."""
        self.stepper.destroy()
        self.state.destroy()
        self.reader.destroy()

    def _keep(self, values: dict[str, float], courant: float) -> None:
        self.steps += 1
        self.largest_courant = max(self.largest_courant, courant)
        self.quantities = {**values, "courant": courant}
        if not self.recording:
            return
        for name, value in values.items():
            low, high = self.extremes.get(name, (value, value))
            self.extremes[name] = min(low, value), max(high, value)


def _write(sink: TrajectorySink | None, frame: int, values: Mapping[str, Any]) -> None:
    if sink is not None:
        sink.write(frame, values)
