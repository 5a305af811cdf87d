r"""Incompressible flow: incremental pressure correction of second order.

.. math::
   \partial_t u + (u \cdot \nabla) u - \nu \Delta u + \nabla p = 0, \quad \nabla \cdot u = 0

One step, with BDF2 differences, the extrapolated convecting velocity
:math:`w = (1+r) u^n - r u^{n-1}` and :math:`\pi` the pressure extrapolated by the last
increments:

1. :math:`(\tfrac{\alpha_0}{\Delta t} M + \nu K + C(w))\, u^{n+1}
   = -\tfrac{1}{\Delta t} M (\alpha_1 u^n + \alpha_2 u^{n-1}) + D^T \pi`
2. :math:`K_p \varphi = -\tfrac{\alpha_0}{\Delta t} D u^{n+1}`
3. :math:`p^{n+1} = p^n + \varphi - \nu M_p^{-1} D u^{n+1}` (rotational form; the standard form
   omits the last term)

The end-of-step projection :math:`u - \tfrac{\Delta t}{\alpha_0} \nabla \varphi` is eliminated:
it enters the next step through :math:`\pi`, so that no velocity mass matrix is ever solved with
and the stored velocity satisfies its boundary values exactly. All components share one scalar
matrix. Velocity is of second order in time in L2 (Guermond, Minev and Shen, 2006,
10.1016/j.cma.2005.10.010; Timmermans, Minev and van de Vosse, 1996,
10.1002/(SICI)1097-0363(19960415)22:7<673::AID-FLD373>3.0.CO;2-O).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np

from solvers.backend import PETSc, dolfinx
from solvers.bdf import Differences, differences, extrapolation
from solvers.errors import DivergedError
from solvers.flow_operators import FlowOperators
from solvers.mesh import FloatArray
from solvers.operators import ghosted_vector
from solvers.problem import Inflow
from solvers.sequence.solver import SequenceSolver
from solvers.sequence.traits import Traits
from solvers.settings import LinearSettings

__all__ = ["FlowState", "FlowStepper", "StepTerms"]

type VelocityFunction = Callable[[FloatArray, float], FloatArray]

_SAME = PETSc.Mat.Structure.SAME_NONZERO_PATTERN


@final
@dataclass
class FlowState:
    """Everything a step needs from the past: in it goes, out it comes.

    Attributes
    ----------
    time : seconds
    velocity : the last three levels, newest first, each a list of component vectors
    pressure : linear pressure
    increments : the last two pressure increments, newest first
    scales : step / alpha_0 of the steps that made them, seconds
    steps : the last two steps, newest first, seconds
    """

    time: float
    velocity: list[list[Any]]
    pressure: Any
    increments: list[Any]
    scales: list[float] = field(default_factory=lambda: [0.0, 0.0])
    steps: tuple[float, ...] = ()

    @property
    def step(self) -> float | None:
        """The last step, None before the first, seconds."""
        return self.steps[0] if self.steps else None

    def destroy(self) -> None:
        """Free the vectors; collective."""
        levels = [vector for level in self.velocity for vector in level]
        for vector in (*levels, self.pressure, *self.increments):
            vector.destroy()


@final
@dataclass(frozen=True)
class StepTerms:
    r"""What one step's momentum equation was made of; valid until the next step.

    Attributes
    ----------
    convection : (n_cells, n, n) convection matrices of this rank's cells
    pressure : ghosted vector of the extrapolated pressure :math:`\pi`
    scheme : BDF2 coefficients of the step
    step : seconds
    courant_rate : largest rate at which this rank's cells were crossed, 1/s
    """

    convection: FloatArray
    pressure: Any
    scheme: Differences
    step: float
    courant_rate: float


@final
class FlowStepper:
    """Advance a `FlowState` on fixed geometry and viscosity.

    Parameters
    ----------
    operators : constant matrices and factors
    viscosity : kinematic viscosity, m^2/s
    conditions : prescribed velocities; where parts meet the later one holds
    options : PETSc options of the momentum solver
    rtol : relative residual tolerance of the momentum systems
    rotational : whether to use the rotational pressure update
    """

    def __init__(
        self,
        operators: FlowOperators,
        viscosity: float,
        conditions: Sequence[Inflow],
        *,
        options: Mapping[str, str],
        rtol: float,
        rotational: bool,
    ) -> None:
        self.operators = operators
        self.viscosity = viscosity
        self.rotational = rotational
        self._space = operators.disc.quadratic
        self._boundary = [self._locate(c) for c in conditions]
        self._rows = self._constrained_rows()
        self._constant = operators.mass.copy()
        self._matrix = operators.mass.copy()
        self._matrix.setOption(PETSc.Mat.Option.KEEP_NONZERO_PATTERN, True)
        self._matrix.setOption(PETSc.Mat.Option.NO_OFF_PROC_ZERO_ROWS, True)
        self._scale: float | None = None
        # Explicit options and given guesses: the same bits each time, whatever the clock says.
        self.momentum = SequenceSolver(
            self._matrix,
            name="momentum",
            settings=LinearSettings(rtol=rtol),
            traits=Traits(),
            guess="given",
            options=options,
        )
        self._right = operators.mass.createVecLeft()
        self._work = operators.mass.createVecLeft()
        self._source = operators.pressure_mass.createVecLeft()
        self._extrapolated = ghosted_vector(operators.disc.linear)
        self._divergence = operators.pressure_mass.createVecLeft()

    def start(
        self, time: float, velocity: VelocityFunction, pressure: Callable[[FloatArray], FloatArray]
    ) -> FlowState:
        """Return the state at `time` with interpolated initial fields and exact boundary values."""
        disc = self.operators.disc
        levels = [self._zeros() for _ in range(3)]
        values = velocity(disc.positions(disc.quadratic), time)
        for axis, vector in enumerate(levels[0]):
            with vector.localForm() as local:
                local.array[:] = values[:, axis]
        self._impose(levels[0], time)
        start = self.operators.pressure_mass.createVecLeft()
        start.array[:] = pressure(disc.positions(disc.linear)[: start.local_size])
        return FlowState(time, levels, start, [start.duplicate(), start.duplicate()])

    def advance(self, state: FlowState, step: float) -> StepTerms:
        """Advance `state` in place by `step` seconds.

        Raises
        ------
        DivergedError
            If the velocity is no longer finite.
        LinearSolveError
            If the momentum system misses its tolerance.
        """
        scheme = differences(step, state.step)
        convection, rate = self.operators.convection(self._convecting(state, scheme.ratio))
        self._refill(scheme.now / step, convection)
        new = self._tentative(state, scheme, step)
        increment = self._correct(state, new, scheme.now / step)
        self._shift(state, new, increment, step, scheme)
        return StepTerms(convection, self._extrapolated, scheme, step, rate)

    def destroy(self) -> None:
        """Free the PETSc objects that belong to this stepper; collective."""
        self.momentum.destroy()
        vectors = (self._right, self._work, self._source, self._extrapolated, self._divergence)
        for item in (self._constant, self._matrix, *vectors):
            item.destroy()

    def _convecting(self, state: FlowState, ratio: float) -> FloatArray:
        """Return the extrapolated velocity (n_cells, n, gdim)."""
        values = self.operators.cell_values(state.velocity[0])
        if ratio == 0.0:
            return values
        before = self.operators.cell_values(state.velocity[1])
        return (1 + ratio) * values - ratio * before

    def _refill(self, scale: float, convection: FloatArray) -> None:
        if scale != self._scale:
            self.operators.mass.copy(self._constant, structure=_SAME)
            self._constant.scale(scale)
            self._constant.axpy(self.viscosity, self.operators.stiffness, structure=_SAME)
            self._scale = scale
        self._constant.copy(self._matrix, structure=_SAME)
        self._matrix.setValuesCOO(convection.ravel(), PETSc.InsertMode.ADD_VALUES)
        self._matrix.zeroRows(self._rows, 1.0)
        self.momentum.refilled()

    def _tentative(self, state: FlowState, scheme: Differences, step: float) -> list[Any]:
        """Solve the momentum systems; the oldest level is recycled for the result."""
        pressure = self._effective_pressure(state, scheme, step)
        new = state.velocity[2]
        self._guess(state, step, new)
        self._impose(new, state.time + step)
        owned = self._right.local_size
        for axis, vector in enumerate(new):
            now, before = state.velocity[0][axis], state.velocity[1][axis]
            self._history(scheme, step, now, before)
            self.operators.divergence[axis].multTransposeAdd(pressure, self._right, self._right)
            local = self._rows - self._space.dofmap.index_map.local_range[0]
            self._right.array[local] = vector.array_r[:owned][local]
            self.momentum.solve(self._right, vector)
            vector.ghostUpdate(addv=PETSc.InsertMode.INSERT, mode=PETSc.ScatterMode.FORWARD)
        return new

    def _history(self, scheme: Differences, step: float, now: Any, before: Any) -> None:
        self._work.array[:] = (-scheme.last / step) * now.array_r
        if scheme.before:
            self._work.array[:] -= (scheme.before / step) * before.array_r
        self.operators.mass.mult(self._work, self._right)

    def _effective_pressure(self, state: FlowState, scheme: Differences, step: float) -> Any:
        """Return the pressure that makes the eliminated projection part of the right-hand side."""
        weights = (scheme.last, scheme.before)
        state.pressure.copy(self._extrapolated)
        for weight, scale, increment in zip(weights, state.scales, state.increments, strict=True):
            self._extrapolated.axpy(-weight * scale / step, increment)
        self._extrapolated.ghostUpdate(addv=PETSc.InsertMode.INSERT, mode=PETSc.ScatterMode.FORWARD)
        return self._extrapolated

    def _guess(self, state: FlowState, step: float, new: list[Any]) -> None:
        """Extrapolate through the known levels: one order better than the scheme needs.

        The result overwrites the oldest level, which `new` is.
        """
        weights = extrapolation(step, state.steps)
        for axis, vector in enumerate(new):
            levels = [state.velocity[k][axis].array_r for k in range(len(weights))]
            vector.array[:] = sum(w * v for w, v in zip(weights, levels, strict=True))

    def _correct(self, state: FlowState, new: list[Any], scale: float) -> Any:
        """Compute the increment and update the pressure; the older increment is recycled."""
        operators, source = self.operators, self._source
        source.zeroEntries()
        for matrix, vector in zip(operators.divergence, new, strict=True):
            matrix.multAdd(vector, source, source)
        if not np.isfinite(source.norm()):
            raise DivergedError(
                f"the velocity became infinite or NaN at t = {state.time:.6g} s: "
                "expected finite values. Reduce time.step (or time.cfl), or refine the mesh."
            )
        if self.rotational:
            operators.projection.solve(source, self._divergence)
            state.pressure.axpy(-self.viscosity, self._divergence)
        source.scale(-scale)
        start = source.getOwnershipRange()[0]
        source.array[operators.pressure_rows - start] = 0.0
        increment = state.increments[1]
        operators.poisson.solve(source, increment)
        state.pressure.axpy(1.0, increment)
        return increment

    def _shift(
        self, state: FlowState, new: list[Any], increment: Any, step: float, scheme: Differences
    ) -> None:
        state.velocity = [new, state.velocity[0], state.velocity[1]]
        state.increments = [increment, state.increments[0]]
        state.scales = [step / scheme.now, state.scales[0]]
        state.time += step
        state.steps = (step, *state.steps[:1])

    def _zeros(self) -> list[Any]:
        return [ghosted_vector(self._space) for _ in range(self.operators.disc.reference.gdim)]

    def _locate(self, condition: Inflow) -> tuple[Any, FloatArray, VelocityFunction]:
        disc = self.operators.disc
        facets = disc.facets.find(disc.reference.names[condition.part])
        dim = disc.mesh.topology.dim
        dofs = dolfinx.fem.locate_dofs_topological(self._space, dim - 1, facets)
        dofs = dofs[dofs < self._space.dofmap.index_map.size_local]
        return dofs, disc.positions(self._space)[dofs], condition.velocity

    def _constrained_rows(self) -> Any:
        start = self._space.dofmap.index_map.local_range[0]
        dofs = [dofs for dofs, _, _ in self._boundary]
        return (np.unique(np.concatenate(dofs)) + start).astype(PETSc.IntType)

    def _impose(self, vectors: list[Any], time: float) -> None:
        for dofs, points, value in self._boundary:
            prescribed = value(points, time)
            for axis, vector in enumerate(vectors):
                vector.array[dofs] = prescribed[:, axis]
        for vector in vectors:
            vector.ghostUpdate(addv=PETSc.InsertMode.INSERT, mode=PETSc.ScatterMode.FORWARD)
