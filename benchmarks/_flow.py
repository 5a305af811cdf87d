"""Our flow solver on one problem, set up the way the benchmarks need it."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, final

import numpy as np
from _report import one_thread

from infra.cluster import find_mpiexec
from solvers.chunk import make_problem
from solvers.discretisation import Discretisation, distribute
from solvers.flow_operators import FlowOperators
from solvers.incompressible import FlowState, FlowStepper, StepTerms
from solvers.linear import ITERATIVE
from solvers.mesh import FloatArray, ReferenceMesh
from solvers.problem import FlowCase
from solvers.quantities import FlowMonitor

__all__ = ["Flow", "local_values", "run_ranks"]


@final
@dataclass
class Flow:
    """A running flow: advance it, read its quantities."""

    mesh: ReferenceMesh
    case: FlowCase
    disc: Discretisation
    operators: FlowOperators
    stepper: FlowStepper
    state: FlowState
    monitor: FlowMonitor
    terms: StepTerms | None = None

    @classmethod
    def make(
        cls,
        name: str,
        settings: dict[str, Any],
        mu: dict[str, float],
        comm: Any,
        *,
        rtol: float = 1e-12,
        disc: Discretisation | None = None,
    ) -> Self:
        """Set up the problem `name` with parameters `mu` over its defaults; collective."""
        problem = make_problem(name, settings)
        if disc is None:
            mesh = comm.bcast(problem.reference_mesh() if comm.rank == 0 else None)
            disc = distribute(mesh, comm)
        case = problem.case({**problem.defaults, **mu}, disc.reference)
        operators = FlowOperators(disc, case.outflow)
        stepper = FlowStepper(
            operators,
            case.viscosity,
            case.conditions,
            options=ITERATIVE,
            rtol=rtol,
            rotational=True,
        )
        state = stepper.start(0.0, case.velocity, case.pressure)
        monitor = FlowMonitor(operators, case)
        return cls(disc.reference, case, disc, operators, stepper, state, monitor)

    def advance(self, step: float) -> None:
        """Do one time step."""
        self.terms = self.stepper.advance(self.state, step)

    def quantities(self) -> tuple[dict[str, float], float]:
        """Return quantities of interest and Courant number of the last step; collective."""
        assert self.terms is not None, "advance first"
        return self.monitor.after_step(self.state, self.terms)

    def run(self, steps: int, step: float) -> list[dict[str, float]]:
        """Do `steps` steps and return the quantities after each."""
        values = []
        for _ in range(steps):
            self.advance(step)
            values.append(self.quantities()[0])
        return values

    def velocity(self) -> FloatArray:
        """Return the (n_nodes, gdim) velocity in canonical order on rank 0."""
        gather = self.disc.gather_quadratic
        return np.stack([gather(vector.array_r) for vector in self.state.velocity[0]], axis=-1)

    def change(self) -> float:
        """Return the largest change of the velocity over the last step, over the step, m/s^2."""
        now, before = self.state.velocity[:2]
        step = self.state.steps[0]
        local = max(
            float(np.abs(a.array_r - b.array_r).max(initial=0.0))
            for a, b in zip(now, before, strict=True)
        )
        return max(self.disc.mesh.comm.allgather(local)) / step


def local_values(vector: Any) -> FloatArray:
    """Return a copy of a ghosted vector's local array, ghosts included."""
    with vector.localForm() as local:
        return np.array(local.getArray(readonly=True))


def run_ranks(script: Path, ranks: int, *texts: str, **environment: str) -> None:
    """Run a Python script on `ranks` MPI processes and wait for it.

    Raises
    ------
    CalledProcessError
        If it fails.
    """
    command = [str(find_mpiexec()), "-n", str(ranks), sys.executable, str(script), *texts]
    root = str(Path(__file__).resolve().parent.parent)
    subprocess.run(command, check=True, env={**one_thread(), "PYTHONPATH": root, **environment})
