r"""Residual forces of a structure in an increment of time.

.. math::
   R(u) = F_{ext}(t_{n+1}) - \sum_g w_g B_g^T \sigma(\varepsilon_n, B_g u, T_n, T_{n+1}, y_n)

on the free components of the displacement. The scale of forces that R is compared with is

.. math::
   \max\left(\|F_{ext}\|, \|F_{int}\|, \|\sum_g w_g B_g^T C \varepsilon_{th}\|,
   \|\sum_g w_g B_g^T C\, 10^{-6}\, 1\|\right),

reactions included, so that it is there for every kind of loading: a free thermal expansion has
no other forces, and a body that was unloaded has none at all.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from infra.errors import RomflowError
from solvers.laws.law import Law, LawResponse, LawStep, LocalIntegrationError
from solvers.mesh import FloatArray
from solvers.structures.distribution import Distribution
from solvers.structures.elements import Elements
from solvers.structures.errors import IncrementError
from solvers.structures.state import StructureState

__all__ = ["Balance", "Equilibrium", "Increment"]

# Forces of a strain this large are there in any structure worth computing.
_SMALL_STRAIN = 1e-6


@final
@dataclass(frozen=True, eq=False)
class Increment:
    """What is given in an increment; arrays are the share of a rank.

    Attributes
    ----------
    before : state at its beginning
    strain : (points, 6) at its beginning
    end : time of its end, s
    temperature : (points,) at its end, degrees Celsius
    external : (n, 3) applied nodal forces at its end, N
    held : (n, 3) bool, components that are prescribed
    prescribed : (n, 3) their values at its end, mm; 0 elsewhere
    thermal : norm of the nodal forces of the thermal strain, or of a small one, N
    """

    before: StructureState
    strain: FloatArray
    end: float
    temperature: FloatArray
    external: FloatArray
    held: NDArray[np.bool_]
    prescribed: FloatArray
    thermal: float


@final
@dataclass(frozen=True, eq=False)
class Balance:
    """The forces at some displacement.

    Attributes
    ----------
    displacement : (n, 3) mm
    response : of the law at the points
    residual : (n, 3) residual forces, 0 on prescribed components, N
    size, scale : norm of the residual, and the scale that it is compared with, N
    """

    displacement: FloatArray
    response: LawResponse
    residual: FloatArray
    size: float
    scale: float

    @property
    def relative(self) -> float:
        """Size of the residual relative to the scale."""
        return self.size / self.scale


@final
class Equilibrium:
    """Evaluates residual forces on the ranks of a communicator.

    Parameters
    ----------
    distribution, elements : cells and nodes of this rank
    law : the constitutive law
    """

    def __init__(self, distribution: Distribution, elements: Elements, law: Law) -> None:
        self._distribution, self._elements, self._law = distribution, elements, law

    def balance(self, increment: Increment, displacement: FloatArray) -> Balance:
        """Return the forces at a displacement (n, 3); collective.

        Raises
        ------
        IncrementError
            If the law cannot be integrated at some point of some rank, or forces are not finite.
        """
        response = self._response(increment, self._elements.strains(displacement))
        internal = self.assembled(self._elements.forces(response.stress))
        residual = np.where(increment.held, 0.0, increment.external - internal)
        distribution = self._distribution
        size = distribution.norm(residual)
        forces = (distribution.norm(increment.external), distribution.norm(internal))
        if not np.isfinite(size):
            raise IncrementError("the residual forces became infinite or NaN")
        return Balance(displacement, response, residual, size, max(*forces, increment.thermal))

    def imbalance(
        self, state: StructureState, external: FloatArray, held: NDArray[np.bool_]
    ) -> float:
        """Return the residual of a state's stresses relative to the scale of forces; collective.

        Parameters
        ----------
        state : share of this rank
        external : (n, 3) applied nodal forces at its time, N
        held : (n, 3) bool, components that are prescribed
        """
        internal = self.assembled(self._elements.forces(state.stress))
        distribution = self._distribution
        forces = (distribution.norm(external), distribution.norm(internal))
        scale = max(*forces, self.thermal_force(state.temperature))
        return distribution.norm(np.where(held, 0.0, external - internal)) / scale

    def assembled(self, of_cells: FloatArray) -> FloatArray:
        """Return nodal values (n, 3) as sums over the cells (m, k, 3) of all ranks; collective."""
        nodes = self._distribution.n_nodes
        return self._distribution.added(self._elements.gathered(of_cells, nodes))

    def thermal_force(self, temperature: FloatArray) -> float:
        """Return the norm of the forces of the thermal strain, or of a small one; collective.

        Parameters
        ----------
        temperature : (points,) degrees Celsius
        """
        small = np.zeros((len(temperature), 6))
        small[:, :3] = _SMALL_STRAIN
        strains = (small, self._law.thermal_strain(temperature))
        return max(self._elastic_force(temperature, strain) for strain in strains)

    def _elastic_force(self, temperature: FloatArray, strain: FloatArray) -> float:
        stress = self._law.elasticity.moduli(temperature).stress(strain)
        return self._distribution.norm(self.assembled(self._elements.forces(stress)))

    def _response(self, increment: Increment, strain: FloatArray) -> LawResponse:
        """Integrate the law; what fails on one rank fails on all."""
        before = increment.before
        step = LawStep(
            strain_before=increment.strain,
            strain_after=strain,
            temperature_before=before.temperature,
            temperature_after=increment.temperature,
            state=before.internal,
            duration=increment.end - before.time,
        )
        response: LawResponse | None = None
        failure: RomflowError | None = None
        try:
            response = self._law.integrate(step)
        except LocalIntegrationError as error:
            failure = error
        # Every rank has to learn of it before the next collective call.
        if self._distribution.any(failure is not None):
            raise IncrementError(str(failure or "the law could not be integrated on another rank"))
        assert response is not None, "no failure"
        return response
