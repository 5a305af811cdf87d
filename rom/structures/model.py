r"""The numbers of a hyper-reduced structure.

.. math:: u(t) = \sum_d g_d(t) L_d + \sum_i q_i(t) \psi_i

with modes :math:`\psi` that are orthonormal in L2 and vanish where displacements are prescribed.
The law is evaluated at few points; those of the cubature rule, with positive weights, integrate
the internal force, and the others only help to reconstruct fields.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError
from rom.structures.dual import DualBasis, DualModes
from rom.structures.lifting import Lifting
from rom.structures.load_vectors import centrifugal_force, pressure_force
from rom.structures.reduced_loads import ReducedLoads
from rom.structures.state import ReducedState
from rom.structures.strain_operator import interpolation
from solvers.laws.law import Law
from solvers.loads import Amplitude, LoadCase
from solvers.structure_mesh import StructureMesh

__all__ = ["ReducedStructure"]

type _Floats = NDArray[np.float64]
type _Ints = NDArray[np.int64]


@final
@dataclass(frozen=True, eq=False)
class ReducedStructure:
    """A reduced model of a structure; it does not change.

    Attributes
    ----------
    mesh, law
        Of the full-order model.
    lifting
        Prescribed displacements.
    modes
        psi, (3 N, n), mm per unit of q.
    singular_values
        Of all displacements that were seen, descending, at least n.
    places
        Numbers of the m material points at which the law is evaluated: those of the cubature rule,
        then others.
    weights
        Of the former, positive, mm^3.
    strains
        Of the modes at these points, (m, 6, n).
    lift_strains
        Of the lifts, (moved, m, 6).
    power
        Stresses whose work the rule integrates.
    duals
        Bases of stress and internal variables by name.
    """

    mesh: StructureMesh
    law: Law
    lifting: Lifting
    modes: _Floats
    singular_values: _Floats
    places: _Ints
    weights: _Floats
    strains: _Floats
    lift_strains: _Floats
    power: DualModes
    duals: Mapping[str, DualBasis]

    def __post_init__(self) -> None:
        # One layout, whether they were computed or read: sums round alike.
        for name in ("modes", "singular_values", "places", "weights", "strains", "lift_strains"):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name)))

    @property
    def rank(self) -> int:
        """Number n of modes."""
        return int(self.modes.shape[1])

    @property
    def integration_points(self) -> int:
        """Number of points of the cubature rule; the others do not count."""
        return len(self.weights)

    @cached_property
    def flat_strains(self) -> _Floats:
        """Strains of the modes, (6 m, n)."""
        return np.ascontiguousarray(self.strains.reshape(-1, self.rank))

    @cached_property
    def weighted(self) -> _Floats:
        """Weights times strains at the points of the rule, (n, 6 m'): stresses to forces."""
        own = self.strains[: self.integration_points] * self.weights[:, None, None]
        return np.ascontiguousarray(own.reshape(-1, self.rank).T)

    @cached_property
    def weighted_norms(self) -> _Floats:
        """Weights times norms of these strains, (n, m'): sizes of stresses to sizes of forces."""
        own = np.linalg.norm(self.strains[: self.integration_points], axis=1)
        return np.ascontiguousarray(own.T * self.weights)

    def start(self, time: float = 0.0) -> ReducedState:
        """Return the state of virgin material without displacement."""
        m = len(self.places)
        return ReducedState(
            time, np.zeros(self.rank), np.zeros((m, 6)), self.law.initial_state(m)
        )  # fmt: skip

    def strain(self, q: _Floats, lift: _Floats) -> _Floats:
        """Return the strains at the points, (m, 6), for coefficients and lifts."""
        own = (self.flat_strains @ q).reshape(-1, 6)
        return own + np.tensordot(lift, self.lift_strains, 1) if len(lift) else own

    def displacement(self, q: _Floats, lift: _Floats) -> _Floats:
        """Return the displacement, (N, 3), mm."""
        flat = self.modes @ q + lift @ self.lifting.fields
        return np.asarray(flat).reshape(-1, 3)

    def loads(self, case: LoadCase) -> ReducedLoads:
        """Return loads for this model.

        Raises
        ------
        UserError
            If they do not fit the mesh, or prescribe other displacements than the training did.
        """
        case.require_fits(self.mesh)
        self.lifting.require_fits(case)
        lift_times = _bends(case)
        times, temperatures = self._temperatures(case)
        amplitudes, forces = self._forces(case)
        return ReducedLoads(
            amplitudes=amplitudes,
            forces=forces,
            lift_times=lift_times,
            lifts=np.array([self.lifting.values(case, float(t)) for t in lift_times]),
            temperature_times=times,
            temperatures=temperatures,
        )

    def column(self, name: str) -> slice:
        """Return the columns of an internal variable of the law."""
        return self.law.column(name)

    def dual(self, name: str) -> DualBasis:
        """Return the basis of a field.

        Raises
        ------
        UserError
            If the model has none.
        """
        if name not in self.duals:
            raise UserError(
                f"Expected one of the fields {sorted(self.duals)} that the model was built for; "
                f"received {name!r}. Build it again with this one among its fields."
            )
        return self.duals[name]

    def _forces(self, case: LoadCase) -> tuple[tuple[Amplitude, ...], _Floats]:
        amplitudes = [pressure.amplitude for pressure in case.pressures]
        vectors = [p.magnitude * pressure_force(self.mesh, p.region) for p in case.pressures]
        if case.centrifugal is not None:
            amplitudes.append(case.centrifugal.amplitude)
            vectors.append(centrifugal_force(self.mesh, case.centrifugal))
        forces = np.array([self.modes.T @ vector for vector in vectors])
        return tuple(amplitudes), forces.reshape(len(vectors), self.rank)

    def _temperatures(self, case: LoadCase) -> tuple[_Floats, _Floats]:
        history = case.temperature
        if history is None:
            reference = self.law.reference_temperature
            return np.zeros(1), np.full((1, len(self.places)), reference)
        at_points = interpolation(self.mesh, self.places) @ history.fields.T
        return history.times, np.ascontiguousarray(at_points.T)


def _bends(case: LoadCase) -> _Floats:
    """Return all times at which a prescribed displacement bends."""
    times = {t for p in case.prescribed for t in p.amplitude.times}
    return np.array(sorted(times) or [0.0])
