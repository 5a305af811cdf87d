"""The full-order model of linear problems in time: one sample in, its frames into a sink."""

import resource
import time
from collections.abc import Mapping
from typing import Any, final

import numpy as np

from infra.errors import UserError
from infra.records import Sample, SolveReport
from infra.stream import TrajectorySink
from solvers.backend import MPI
from solvers.errors import CoefficientError, DivergedError
from solvers.finite_data import not_finite_text
from solvers.full_order_model import FullOrderModel, Progress
from solvers.linear_space import distribute_linear
from solvers.mesh import FloatArray, ReferenceMesh
from solvers.problem import Problem
from solvers.ranks import on_rank_zero
from solvers.settings import LinearSettings, TimeSettings
from solvers.steady_snapshots import RESIDUAL
from solvers.transient_case import TransientCase
from solvers.transient_stepper import TransientStepper
from solvers.transient_steps import equal_steps

__all__ = ["TransientModel"]


@final
class TransientModel(FullOrderModel):
    """A linear problem in time; matrix, factor and what was learned serve all steps and samples.

    Parameters
    ----------
    problem : what is computed
    mesh : reference mesh, on all ranks
    comm : MPI communicator
    times : output times and a fixed step
    settings : of the linear solver
    seed : seed of the solver's choices
    horizon : samples expected in a chunk; set-ups are judged by their share of all steps

    Raises
    ------
    UserError
        If no equal steps meet the output times.
    """

    def __init__(
        self,
        problem: Problem,
        mesh: ReferenceMesh,
        comm: Any,
        times: TimeSettings,
        settings: LinearSettings,
        *,
        seed: int = 0,
        horizon: int = 200,
    ) -> None:
        self._problem = problem
        self._mesh = mesh
        self._comm = comm
        self._steps = equal_steps(times)
        self._settings = settings
        self._seed = seed
        self._horizon = horizon * (self._steps.total + 1)
        self._stepper: TransientStepper | None = None
        self._learned: Mapping[str, Any] | None = None

    @property
    def options(self) -> Mapping[str, str]:
        """What decides how the systems are made and solved."""
        given = self._settings.model_dump()
        return {f"linear_{key}": str(value) for key, value in given.items()} | {
            "linear_seed": str(self._seed),
            "scheme": "Crank-Nicolson, begun with four half steps of backward Euler",
            "element": "P1",
            "step": repr(self._steps.step),
        }

    def state(self) -> Mapping[str, Any] | None:
        """Return what the solver has learned; see `FullOrderModel.state`."""
        if self._stepper is None or self._settings.method != "auto":
            return None
        return self._stepper.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on with it as soon as there is a solver; see `FullOrderModel.restore`."""
        self._learned = state

    def solve(
        self, sample: Sample, sink: TrajectorySink | None, progress: Progress | None = None
    ) -> SolveReport:
        """Compute a trajectory; see `FullOrderModel.solve`."""
        clock, cpu = time.perf_counter(), time.process_time()
        case = self._case(sample)
        stepper = self._ready(case)
        stepper.start(case)
        for frame, step in enumerate(self._steps.frames):
            stepper.advance_to(step)
            values = stepper.gather()
            on_rank_zero(self._comm, lambda: _write(sink, case, frame, values))  # noqa: B023 - called at once
            if progress is not None and sink is not None:
                progress(frame)
        on_rank_zero(self._comm, lambda: _put(sink, case, stepper.residual))
        return self._report(stepper, clock, cpu)

    def _case(self, sample: Sample) -> TransientCase:
        """Return the checked case of a sample; the same, or the same error, on all ranks."""
        try:
            self._problem.check(sample.mu)
            case = self._problem.case(sample.mu, self._mesh)
        except UserError as error:
            raise CoefficientError(str(error)) from error
        assert isinstance(case, TransientCase), "a problem of kind transient"
        initial = case.initial(self._mesh.points)
        further = {"capacity": case.capacity, "initial values": initial}
        wrong = not_finite_text(case.equation, case.coefficients, self._mesh, **further)
        if wrong:
            raise CoefficientError(wrong)
        if not case.capacity.min() > 0.0:
            raise CoefficientError(
                f"capacity: expected positive values, received {case.capacity.min():.3g}. Check "
                "the parameters of this sample."
            )
        return case

    def _ready(self, case: TransientCase) -> TransientStepper:
        if self._stepper is None:
            space = distribute_linear(self._mesh, self._comm)
            self._stepper = TransientStepper(
                space,
                case,
                self._steps.step,
                self._problem.name,
                self._settings,
                self._horizon,
                self._seed,
            )
            if self._learned is not None:
                self._stepper.restore(self._learned)
        return self._stepper

    def _report(self, stepper: TransientStepper, clock: float, cpu: float) -> SolveReport:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
        solved = {f"solved_by_{name}": count for name, count in stepper.solved_by.items()}
        return SolveReport(
            reason="finished",
            steps=stepper.done,
            frames=len(self._steps.frames),
            wall_seconds=time.perf_counter() - clock,
            cpu_seconds=self._comm.allreduce(time.process_time() - cpu),
            counts=stepper.work.counts() | solved,
            values={
                "residual": stepper.residual,
                "linear_setup_seconds": stepper.work.setup_seconds,
                "linear_solve_seconds": stepper.work.solve_seconds,
                "peak_memory_bytes": self._comm.allreduce(peak, op=MPI.MAX),
            },
        )


def _write(
    sink: TrajectorySink | None, case: TransientCase, frame: int, values: FloatArray
) -> None:
    """Hand a frame, values (n_vertices, 1), to the sink."""
    if not np.isfinite(values).all():
        raise DivergedError(
            f"the solution became infinite or NaN before frame {frame}: expected finite values. "
            "Check the parameters of this sample, or choose another linear.method."
        )
    if sink is None:
        return
    numbers = {q.name: np.array(q.evaluate(values)) for q in case.quantities}
    sink.write(frame, {case.unknown.name: values[:, 0], **numbers})


def _put(sink: TrajectorySink | None, case: TransientCase, residual: float) -> None:
    if sink is None:
        return
    for coefficient in case.coefficients:
        sink.put(coefficient.name, coefficient.values)
    sink.put(RESIDUAL, np.array(residual))
