"""Linear elasticity with thermal expansion, as a law without internal variables."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from solvers.laws.elasticity import Elasticity
from solvers.laws.law import Law, LawResponse, LawStep, Variable
from solvers.mesh import FloatArray

__all__ = ["ThermoElastic"]


@final
@dataclass(frozen=True)
class ThermoElastic(Law):
    r"""Isotropic thermo-elasticity, see `solvers.laws.elasticity`.

    Attributes
    ----------
    elasticity : Young's modulus, Poisson's ratio, thermal expansion
    """

    name: ClassVar[str] = "thermoelastic"
    symmetric: ClassVar[bool] = True
    variables: ClassVar[tuple[Variable, ...]] = ()
    elasticity: Elasticity

    def stored_energy(
        self,
        strain: FloatArray,
        temperature: FloatArray,
        state: FloatArray,  # noqa: ARG002 - there is none
    ) -> FloatArray:
        """Return the elastic energy (n,), MPa; arguments as in `Law`."""
        elastic = strain - self.thermal_strain(temperature)
        return self.elasticity.moduli(temperature).energy(elastic)

    def dissipation(
        self,
        step: LawStep,
        response: LawResponse,  # noqa: ARG002 - nothing is dissipated
    ) -> FloatArray:
        """Return zeros (n,): nothing is dissipated."""
        return np.zeros(len(step.state))

    def _integrate(self, step: LawStep) -> LawResponse:
        moduli = self.elasticity.moduli(step.temperature_after)
        elastic = step.strain_after - self.thermal_strain(step.temperature_after)
        return LawResponse(moduli.stress(elastic), moduli.tangent(), step.state.copy(), 0)
