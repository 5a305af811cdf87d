"""The full-order model of steady linear problems: one sample in, one solution into a sink."""

import resource
import time
from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np

from infra.errors import UserError
from infra.records import Sample, SolveReport
from infra.stream import TrajectorySink
from solvers.backend import MPI
from solvers.errors import CoefficientError, DivergedError, SampleError
from solvers.finite_data import not_finite_text
from solvers.full_order_model import FullOrderModel, Progress
from solvers.linear_space import distribute_linear
from solvers.matrix_system import MatrixSystem
from solvers.mesh import FloatArray, ReferenceMesh
from solvers.problem import Problem
from solvers.ranks import on_rank_zero
from solvers.settings import LinearSettings
from solvers.steady_case import SteadyCase, TransportEquation
from solvers.steady_snapshots import RESIDUAL
from solvers.steady_solver import Solved, SteadySolver
from solvers.steady_system import SteadySystem
from solvers.transport_system import TransportSystem

__all__ = ["SteadyModel"]

# Right-hand sides of one operator that are solved together.
_BLOCK = 16


@final
class SteadyModel(FullOrderModel):
    """A steady linear problem; matrix, solver and what it has learned serve all samples.

    Where all samples have one operator, the right-hand sides of those that are expected next are
    solved together.

    Parameters
    ----------
    problem : what is computed
    mesh : reference mesh, on all ranks
    comm : MPI communicator
    settings : of the linear solver
    seed : seed of the solver's choices
    horizon : solves expected in a chunk; set-ups are judged by their share of it
    """

    def __init__(
        self,
        problem: Problem,
        mesh: ReferenceMesh,
        comm: Any,
        settings: LinearSettings,
        *,
        seed: int = 0,
        horizon: int = 200,
    ) -> None:
        self._problem = problem
        self._mesh = mesh
        self._comm = comm
        self._settings = settings
        self._seed = seed
        self._horizon = horizon
        self._expected: list[Sample] = []
        self._solver: SteadySolver | None = None
        self._kept: dict[int, Solved | None] = {}
        self._learned: Mapping[str, Any] | None = None

    @property
    def options(self) -> Mapping[str, str]:
        """What decides how the systems are made and solved."""
        given = self._settings.model_dump()
        return {f"linear_{key}": str(value) for key, value in given.items()} | {
            "linear_seed": str(self._seed)
        }

    def expect(self, samples: Sequence[Sample]) -> None:
        """Learn which samples come next; see `FullOrderModel.expect`."""
        self._expected = list(samples)

    def state(self) -> Mapping[str, Any] | None:
        """Return what the solver has learned; see `FullOrderModel.state`."""
        if self._solver is None or self._settings.method != "auto":
            return None
        return self._solver.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on with it as soon as there is a solver; see `FullOrderModel.restore`."""
        self._learned = state

    def solve(
        self,
        sample: Sample,
        sink: TrajectorySink | None,
        progress: Progress | None = None,  # noqa: ARG002 - a solution has no frames
    ) -> SolveReport:
        """Compute a solution; see `FullOrderModel.solve`."""
        clock, cpu = time.perf_counter(), time.process_time()
        case = self._case(sample)
        solver = self._ready(case)
        solved = self._solved(solver, sample, case)
        fields = solver.system.gather(solved.values)
        on_rank_zero(self._comm, lambda: _put(sink, case, fields, solved.residual))
        return self._report(solved, clock, cpu)

    def _case(self, sample: Sample) -> SteadyCase:
        """Return the checked case of a sample; the same, or the same error, on all ranks."""
        try:
            self._problem.check(sample.mu)
            case = self._problem.case(sample.mu, self._mesh)
        except UserError as error:
            raise CoefficientError(str(error)) from error
        assert isinstance(case, SteadyCase), "a problem of kind steady"
        wrong = not_finite_text(case.equation, case.coefficients, self._mesh)
        if wrong:
            raise CoefficientError(wrong)
        return case

    def _ready(self, case: SteadyCase) -> SteadySolver:
        if self._solver is None:
            system: SteadySystem
            if isinstance(case.equation, TransportEquation):
                system = TransportSystem(distribute_linear(self._mesh, self._comm), case)
            else:
                system = MatrixSystem(case, self._comm)
            self._solver = SteadySolver(
                system, case, self._problem.name, self._settings, self._horizon, self._seed
            )
            if self._learned is not None:
                self._solver.restore(self._learned)
        return self._solver

    def _solved(self, solver: SteadySolver, sample: Sample, case: SteadyCase) -> Solved:
        if not (case.traits.constant and solver.blocks):
            return solver.solve(case)
        if sample.index not in self._kept:
            block = {sample.index: case, **self._next_cases(sample)}
            self._kept = dict(zip(block, solver.solve_block(list(block.values())), strict=True))
        return self._kept.pop(sample.index) or solver.solve(case)

    def _next_cases(self, sample: Sample) -> dict[int, SteadyCase]:
        """Return cases of samples that follow; what is wrong with one shows when it is due."""
        places = [i for i, s in enumerate(self._expected) if s.index == sample.index]
        following = self._expected[places[0] + 1 :] if places else []
        cases: dict[int, SteadyCase] = {}
        for other in following[: _BLOCK - 1]:
            try:
                cases[other.index] = self._case(other)
            except SampleError:
                continue
        return cases

    def _report(self, solved: Solved, clock: float, cpu: float) -> SolveReport:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
        return SolveReport(
            reason="finished",
            steps=0,
            frames=0,
            wall_seconds=time.perf_counter() - clock,
            cpu_seconds=self._comm.allreduce(time.process_time() - cpu),
            counts=solved.work.counts() | {f"solved_by_{solved.configuration}": 1},
            values={
                "residual": solved.residual,
                "linear_setup_seconds": solved.work.setup_seconds,
                "linear_solve_seconds": solved.work.solve_seconds,
                "peak_memory_bytes": self._comm.allreduce(peak, op=MPI.MAX),
            },
        )


def _put(
    sink: TrajectorySink | None, case: SteadyCase, fields: FloatArray, residual: float
) -> None:
    """Hand everything to the sink."""
    if not np.isfinite(fields).all():
        raise DivergedError(
            "the solution became infinite or NaN: expected finite values. Check the parameters of "
            "this sample, or choose another linear.method."
        )
    if sink is None:
        return
    for unknown, values in zip(case.unknowns, fields.T, strict=True):
        sink.put(unknown.name, values)
    for coefficient in case.coefficients:
        sink.put(coefficient.name, coefficient.values)
    for quantity in case.quantities:
        sink.put(quantity.name, np.array(quantity.evaluate(fields)))
    sink.put(RESIDUAL, np.array(residual))
