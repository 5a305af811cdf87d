r"""Rate-independent J2 plasticity with linear isotropic hardening.

.. math::
   f = \sqrt{3/2}\,|\mathrm{dev}\,\sigma| - R_0 - H p \le 0, \quad
   \dot\varepsilon^p = \sqrt{3/2}\,\dot p\,\frac{\mathrm{dev}\,\sigma}{|\mathrm{dev}\,\sigma|},
   \quad \dot p \ge 0, \quad \dot p f = 0

Backward Euler has the closed form of the radial return, :math:`\Delta p = f^{tr}/(3\mu + H)`
(Simo and Hughes, 1998, section 3.3, 10.1007/b98904).
"""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from solvers.laws.coefficients import Bounds, Table, require
from solvers.laws.elasticity import Elasticity
from solvers.laws.flow_tangent import Flow, flow_tangent
from solvers.laws.law import Law, LawResponse, LawStep, Variable
from solvers.laws.mandel import norm
from solvers.mesh import FloatArray

__all__ = ["LinearHardening"]

_ROOT = float(np.sqrt(1.5))
_NOT_NEGATIVE = Bounds(">= 0", low=0.0, low_included=True)


@final
@dataclass(frozen=True)
class LinearHardening(Law):
    """J2 plasticity with linear isotropic hardening, see the module.

    Attributes
    ----------
    elasticity : Young's modulus, Poisson's ratio, thermal expansion
    yield_stress : R0, MPa, positive
    hardening : H, MPa per unit of plastic strain, not negative

    Raises
    ------
    UserError
        If a coefficient is impossible; the message names it.
    """

    name: ClassVar[str] = "linear-hardening"
    symmetric: ClassVar[bool] = True
    variables: ClassVar[tuple[Variable, ...]] = (
        Variable("plastic_strain", 6, "1"),
        Variable("accumulated_plasticity", 1, "1"),
    )
    elasticity: Elasticity
    yield_stress: Table
    hardening: Table

    def __post_init__(self) -> None:
        require(self.name, "yield_stress", self.yield_stress, Bounds("> 0", low=0.0))
        require(self.name, "hardening", self.hardening, _NOT_NEGATIVE)

    def stored_energy(
        self, strain: FloatArray, temperature: FloatArray, state: FloatArray
    ) -> FloatArray:
        r"""Return :math:`\psi^e + H p^2/2` (n,), MPa; arguments as in `Law`."""
        elastic = strain - self.thermal_strain(temperature) - state[:, :6]
        stored = 0.5 * self.hardening.at(temperature) * state[:, 6] ** 2
        return np.asarray(self.elasticity.moduli(temperature).energy(elastic) + stored)

    def dissipation(self, step: LawStep, response: LawResponse) -> FloatArray:
        r"""Return :math:`\sigma\cdot\Delta\varepsilon^p - H p\,\Delta p` (n,), MPa."""
        change = response.state - step.state
        work = np.einsum("ni,ni->n", response.stress, change[:, :6])
        hardening = self.hardening.at(step.temperature_after) * response.state[:, 6]
        return np.asarray(work - hardening * change[:, 6])

    def _integrate(self, step: LawStep) -> LawResponse:
        temperature, state = step.temperature_after, step.state.copy()
        moduli = self.elasticity.moduli(temperature)
        elastic = step.strain_after - self.thermal_strain(temperature) - state[:, :6]
        stress = moduli.stress(elastic)
        deviator = stress.copy()
        deviator[:, :3] -= stress[:, :3].mean(axis=1, keepdims=True)
        hardening = self.hardening.at(temperature)
        limit = self.yield_stress.at(temperature) + hardening * state[:, 6]
        excess = _ROOT * norm(deviator) - limit
        outside = np.flatnonzero(excess > 0.0).astype(np.int64)
        if not len(outside):
            return LawResponse(stress, moduli.tangent(), state, 0)
        # Views instead of copies where everything flows.
        active = slice(None) if len(outside) == len(state) else outside
        slope = 1.5 * moduli.shear[active] + hardening[active]
        flow = Flow(excess[active] / slope, deviator[active], slope)
        state[active, :6] += flow.strain
        state[active, 6] += flow.increment
        stress[active] -= moduli.shear[active, None] * flow.strain
        return LawResponse(stress, flow_tangent(moduli, active, flow), state, 0)
