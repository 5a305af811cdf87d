r"""The full-order model of a structure: small strains, quasi-static, implicit in time.

Find u with prescribed components such that for all test functions v that vanish there

.. math::
   \int \sigma(\varepsilon(u), y, T) : \varepsilon(v) \,dV
   = \int f\cdot v\,dV - \int_\Gamma p\, n\cdot v\,dA

with the law integrated by backward Euler at the material points. DOLFINx distributes the mesh over
MPI ranks; element operators are batched matrix products (`solvers.structures.elements`), and the
linear systems go to a `SequenceSolver`. States are explicit: what follows a state depends on it
alone, so that a run resumed from any state has the bits of an uninterrupted one on the same number
of ranks (with the default linear settings).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np

from infra.errors import UserError
from solvers.laws.law import Law
from solvers.loads import LoadCase
from solvers.mesh import FloatArray
from solvers.ranks import on_rank_zero
from solvers.sequence.traits import Traits
from solvers.structure_mesh import StructureMesh
from solvers.structures.applied import AppliedForces
from solvers.structures.distribution import Distribution
from solvers.structures.elements import Elements
from solvers.structures.equilibrium import Equilibrium, Increment
from solvers.structures.errors import LoadStepError
from solvers.structures.increments import reach
from solvers.structures.newton import Effort, Newton
from solvers.structures.rigid import require_held
from solvers.structures.settings import StructureSettings
from solvers.structures.state import Share, StepReport, StructureState
from solvers.structures.state_files import save_state
from solvers.structures.stiffness import Stiffness

__all__ = ["Sink", "StructureModel"]

# Called on rank 0 with the number of a time and the whole state then.
type Sink = Callable[[int, StructureState], None]


@final
class StructureModel:
    """A structure under a load case on the ranks of a communicator; making one is collective.

    Parameters
    ----------
    mesh : the whole mesh, on all ranks
    law : the constitutive law
    loads : what acts, as functions of time
    comm : MPI communicator
    settings : tolerances, cuts and linear systems

    Attributes
    ----------
    share : the nodes and material points of this rank

    Raises
    ------
    UserError
        If a load names a region that the mesh does not have, the structure can move as a rigid
        body, or there are more ranks than cells.
    """

    def __init__(
        self,
        mesh: StructureMesh,
        law: Law,
        loads: LoadCase,
        comm: Any,
        settings: StructureSettings | None = None,
    ) -> None:
        self._mesh, self._law, self._loads = mesh, law, loads
        self._applied = AppliedForces(mesh, loads)
        held = loads.fixed(mesh, 0.0)[0] > 0.0
        require_held(mesh.points, held)
        self._settings = StructureSettings() if settings is None else settings
        self._distribution = Distribution(mesh, comm)
        self.share: Share = self._distribution.share
        connectivity = self._distribution.connectivity
        self._elements = Elements(mesh, self._distribution.cells, connectivity)
        self._equilibrium = Equilibrium(self._distribution, self._elements, law)
        self._held = held[self.share.nodes]
        symmetric = law.symmetric or self._settings.tangent == "symmetric-part"
        self._stiffness = Stiffness(
            self._distribution,
            self._held,
            self._elastic_matrices(),
            self._settings.linear,
            Traits(symmetric=symmetric, definite=symmetric, dimension=3),
        )
        self._newton = Newton(
            self._distribution,
            self._elements,
            self._equilibrium,
            self._stiffness,
            self._settings,
        )

    @property
    def options(self) -> Mapping[str, str]:
        """What decides how the equations are made and solved."""
        given = self._settings.model_dump(exclude={"linear"})
        choice = self._stiffness.choice
        linear = choice.settings.model_dump() | {"method": choice.name}
        return {key: str(value) for key, value in given.items()} | {
            f"linear_{key}": str(value) for key, value in linear.items()
        }

    def initial_state(self, t: float) -> StructureState:
        """Return the share of virgin material without displacement at time `t`, s."""
        points = len(self.share.points)
        return StructureState(
            t,
            np.zeros((len(self.share.nodes), 3)),
            self._law.initial_state(points),
            np.zeros((points, 6)),
            self._temperature(t),
        )

    def take(self, loads: LoadCase) -> None:
        """Go over to another load case on the same structure, matrices and solver stay; collective.

        Parameters
        ----------
        loads : prescribes the same components as before, whatever their values

        Raises
        ------
        UserError
            If it does not, or names a region that the mesh does not have.
        """
        applied = AppliedForces(self._mesh, loads)
        held = loads.fixed(self._mesh, 0.0)[0] > 0.0
        if self._distribution.any(not np.array_equal(held[self.share.nodes], self._held)):
            raise UserError(
                "loads: expected the same prescribed components as in the model's first load case, "
                "received others; make another model for them"
            )
        self._loads, self._applied = loads, applied

    def advance(self, state: StructureState, t: float) -> tuple[StructureState, StepReport]:
        """Return the state at time `t`, and what that took; collective.

        Parameters
        ----------
        state : the share of this rank (on one rank the whole state)
        t : s, after the state's time

        Raises
        ------
        UserError
            If the time does not lie ahead, or the state does not fit.
        LoadStepError
            If the smallest increment fails; it has the last state in equilibrium.
        """
        if not t > state.time:
            raise UserError(
                f"time: expected one after that of the state, {state.time:g} s, received {t:g}"
            )
        state.require_fits(len(self.share.nodes), len(self.share.points), self._law.size)
        started, effort, worst = time.perf_counter(), Effort(), [0.0]
        rescued = self._stiffness.rescued

        def solve(before: StructureState, end: float) -> StructureState:
            after = self._solved(before, end, effort)
            worst.append(effort.residual)
            return after

        reached, increments, cuts = reach(state, t, solve, self._settings.max_cuts)
        linear = effort.linear
        return reached, StepReport(
            increments=increments,
            cuts=cuts,
            iterations=effort.iterations,
            evaluations=effort.evaluations,
            linear_iterations=linear.iterations,
            linear_setups=linear.setups,
            linear_rescues=self._stiffness.rescued - rescued,
            linear_seconds=linear.seconds,
            seconds=time.perf_counter() - started,
            residual=max(worst),
        )

    def run(
        self,
        times: Sequence[float] | FloatArray,
        sink: Sink,
        *,
        start: StructureState | None = None,
        rescue: Path | None = None,
    ) -> StepReport:
        """Compute the states at given times one after the other; collective.

        Parameters
        ----------
        times : ascending, s; without `start` the first one is that of the initial state
        sink : gets each state; its errors end the run on all ranks
        start : whole state on rank 0 (None on others) to go on from; later times are computed
        rescue : file for the last state in equilibrium, if the run stops

        Raises
        ------
        UserError
            If the times do not ascend, or nothing lies after the time of `start`.
        LoadStepError
            If a step fails; the message names the rescue file.
        """
        _require_ascending(times)
        if self._distribution.any(start is not None):
            state = self.spread(start)
        else:
            state = self.initial_state(float(times[0]))
            self._hand(sink, 0, state)
        report = StepReport()
        for number, t in enumerate(map(float, times)):
            if t <= state.time:
                continue
            try:
                state, step = self.advance(state, t)
            except LoadStepError as error:
                raise self._rescued(error, rescue) from error
            report = report.plus(step)
            self._hand(sink, number, state)
        return report

    def imbalance(self, state: StructureState) -> float:
        """Return how far a state is from equilibrium, relative to the scale of forces; collective.

        A run that starts from a state that another code or a reduced model has made should look:
        an increment puts right what is wrong, in one go.

        Parameters
        ----------
        state : the share of this rank (on one rank the whole state)
        """
        state.require_fits(len(self.share.nodes), len(self.share.points), self._law.size)
        external = self._applied.at(state.time)[self.share.nodes]
        return self._equilibrium.imbalance(state, external, self._held)

    def collect(self, state: StructureState) -> StructureState | None:
        """Return the whole state on rank 0, in the mesh's numbering; None elsewhere; collective."""
        return self._distribution.collected(state)

    def spread(self, state: StructureState | None) -> StructureState:
        """Return the share of each rank of a whole state, given on rank 0; collective.

        Raises
        ------
        UserError
            If the state is not one of this mesh and law.
        """
        mesh, size = self._mesh, self._law.size

        def checked() -> StructureState:
            assert state is not None, "given on rank 0"
            state.require_fits(mesh.n_nodes, mesh.n_material_points, size)
            return state

        return on_rank_zero(self._distribution.comm, checked).part(self.share)

    def destroy(self) -> None:
        """Free PETSc's objects; collective."""
        self._stiffness.destroy()

    def _solved(self, before: StructureState, end: float, effort: Effort) -> StructureState:
        """Return the state at the end of one increment."""
        nodes = self.share.nodes
        temperature = self._temperature(end)
        increment = Increment(
            before=before,
            strain=self._elements.strains(before.displacement),
            end=end,
            temperature=temperature,
            external=self._applied.at(end)[nodes],
            held=self._held,
            prescribed=self._loads.fixed(self._mesh, end)[1][nodes],
            thermal=self._equilibrium.thermal_force(temperature),
        )
        balance = self._newton.solve(increment, effort)
        response = balance.response
        return StructureState(
            end, balance.displacement, response.state, response.stress, temperature
        )

    def _elastic_matrices(self) -> FloatArray:
        """Return the matrices (m, 3k, 3k) of this rank's cells at the reference temperature."""
        cold = np.full(len(self.share.points), self._law.reference_temperature)
        return self._elements.stiffness(self._law.elasticity.moduli(cold).tangent(), symmetric=True)

    def _temperature(self, t: float) -> FloatArray:
        """Return the temperatures (points,) of this rank's points, degrees Celsius."""
        reference = self._law.reference_temperature
        nodal = self._loads.temperature_at(t, self._mesh.n_nodes, reference)
        return self._elements.at_points(nodal[self.share.nodes])

    def _hand(self, sink: Sink, number: int, state: StructureState) -> None:
        whole = self.collect(state)

        def hand() -> None:
            assert whole is not None, "collected on rank 0"
            sink(number, whole)

        on_rank_zero(self._distribution.comm, hand)

    def _rescued(self, error: LoadStepError, rescue: Path | None) -> LoadStepError:
        """Save the last state in equilibrium and say where."""
        if rescue is None:
            return error
        whole = self.collect(error.state)

        def save() -> None:
            assert whole is not None, "collected on rank 0"
            save_state(rescue, whole)

        on_rank_zero(self._distribution.comm, save)
        text = f"{error} The state at t = {error.state.time:g} s was saved in {rescue}."
        return LoadStepError(text, error.state, rescue)


def _require_ascending(times: Sequence[float] | FloatArray) -> None:
    given = np.asarray(times, dtype=np.float64)
    if given.ndim != 1 or len(given) < 2 or not (np.diff(given) > 0).all():
        raise UserError(
            "times: expected at least two ascending times in seconds, received "
            f"{np.array2string(given, threshold=8)}"
        )
