r"""Elastoviscoplasticity: Norton flow, Armstrong-Frederick and isotropic hardening.

.. math::
   f &= J(\mathrm{dev}\,\sigma - X) - R(p), \qquad \dot p = \langle f/K \rangle^n, \qquad
   \dot\varepsilon^p = \tfrac32\,\dot p\,\frac{\mathrm{dev}\,\sigma - X}{J(\mathrm{dev}\,\sigma-X)}
   \\
   X &= \tfrac23 C a, \qquad \dot a = \dot\varepsilon^p - D\,\dot p\,a, \qquad
   R(p) = R_0 + H p + Q\,(1 - e^{-b p})

with :math:`J = \sqrt{3/2}\,|\cdot|` (Lemaitre and Chaboche, 1990, 10.1017/CBO9781139167970;
Armstrong and Frederick, 1966, reprinted as 10.1179/096034007X207589). In uniaxial tension the
stress saturates at :math:`R + C/D + K\dot p^{1/n}`. Backward Euler is reduced to one scalar
equation per point, see `solvers.laws.viscoplastic_return`.
"""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from solvers.laws.coefficients import Bounds, Table, require
from solvers.laws.elasticity import Elasticity
from solvers.laws.flow_tangent import flow_tangent
from solvers.laws.law import Law, LawResponse, LawStep, LocalIntegrationError, Variable
from solvers.laws.mandel import deviator, von_mises
from solvers.laws.viscoplastic_return import ViscoplasticReturn, ViscoplasticValues
from solvers.mesh import FloatArray, IntArray

__all__ = ["ElastoViscoPlastic"]

_NOT_NEGATIVE = Bounds(">= 0", low=0.0, low_included=True)
_BOUNDS = {
    "norton_stress": Bounds("> 0", low=0.0),
    "norton_exponent": Bounds(">= 1", low=1.0, low_included=True),
    "kinematic_modulus": _NOT_NEGATIVE,
    "kinematic_recall": _NOT_NEGATIVE,
    "yield_stress": _NOT_NEGATIVE,
    "hardening": _NOT_NEGATIVE,
    "saturation": _NOT_NEGATIVE,
    "saturation_rate": _NOT_NEGATIVE,
}


@final
@dataclass(frozen=True)
class ElastoViscoPlastic(Law):
    """Norton flow with Armstrong-Frederick and isotropic hardening, see the module.

    Attributes
    ----------
    elasticity : Young's modulus, Poisson's ratio, thermal expansion
    norton_stress : K, MPa s^(1/n), positive
    norton_exponent : n, at least 1
    kinematic_modulus : C, MPa, not negative
    kinematic_recall : D, not negative
    yield_stress : R0, MPa, not negative; zero flows under any stress
    hardening : H, MPa, not negative
    saturation, saturation_rate : Q, MPa, and b, not negative

    Raises
    ------
    UserError
        If a coefficient is impossible; the message names it.
    """

    name: ClassVar[str] = "elastoviscoplastic"
    symmetric: ClassVar[bool] = False
    variables: ClassVar[tuple[Variable, ...]] = (
        Variable("plastic_strain", 6, "1"),
        Variable("accumulated_plasticity", 1, "1"),
        Variable("back_strain", 6, "1"),
    )
    elasticity: Elasticity
    norton_stress: Table
    norton_exponent: Table
    kinematic_modulus: Table
    kinematic_recall: Table
    yield_stress: Table
    hardening: Table
    saturation: Table
    saturation_rate: Table

    def __post_init__(self) -> None:
        for name, bounds in _BOUNDS.items():
            require(self.name, name, getattr(self, name), bounds)

    def stored_energy(
        self, strain: FloatArray, temperature: FloatArray, state: FloatArray
    ) -> FloatArray:
        r"""Return :math:`\psi^e + C a\cdot a/3 + H p^2/2 + Q(p + (e^{-bp}-1)/b)` (n,), MPa."""
        values = self._values(temperature)
        elastic = strain - self.thermal_strain(temperature) - state[:, :6]
        kinematic = (
            values.kinematic_modulus / 3.0 * np.einsum("ni,ni->n", state[:, 7:], state[:, 7:])
        )
        p, b = state[:, 6], values.saturation_rate
        # Without a rate the limit of the last term is zero.
        rate = np.where(b > 0.0, b, 1.0)
        isotropic = 0.5 * values.hardening * p**2 + values.saturation * np.where(
            b > 0.0, p + np.expm1(-rate * p) / rate, 0.0
        )
        return np.asarray(
            self.elasticity.moduli(temperature).energy(elastic) + kinematic + isotropic
        )

    def dissipation(self, step: LawStep, response: LawResponse) -> FloatArray:
        r"""Return :math:`\sigma\cdot\Delta\varepsilon^p - X\cdot\Delta a - (R-R_0)\Delta p`."""
        values = self._values(step.temperature_after)
        change = response.state - step.state
        back = (2.0 / 3.0 * values.kinematic_modulus)[:, None] * response.state[:, 7:]
        work = np.einsum("ni,ni->n", response.stress, change[:, :6])
        kinematic = np.einsum("ni,ni->n", back, change[:, 7:])
        radius, _ = values.radius(response.state[:, 6])
        return np.asarray(work - kinematic - (radius - values.yield_stress) * change[:, 6])

    def _values(self, temperature: FloatArray) -> ViscoplasticValues:
        return ViscoplasticValues(*(getattr(self, name).once(temperature) for name in _BOUNDS))

    def _integrate(self, step: LawStep) -> LawResponse:
        temperature, state = step.temperature_after, step.state.copy()
        moduli, values = self.elasticity.moduli(temperature), self._values(temperature)
        elastic = step.strain_after - self.thermal_strain(temperature) - state[:, :6]
        stress = moduli.stress(elastic)
        outside = _outside(stress, state, values)
        if step.duration == 0.0 or not len(outside):
            return LawResponse(stress, moduli.tangent(), state, 0)
        # Views instead of copies where everything flows.
        active = slice(None) if len(outside) == len(state) else outside
        back = ViscoplasticReturn(
            deviator(stress[active]),
            state[active, 7:],
            state[active, 6],
            moduli.shear[active],
            values.subset(active),
            step.duration,
        )
        increment, iterations, failed = back.solve()
        _require_converged(outside, failed, len(state))
        flow = back.flow(increment)
        recall = 1.0 + back.values.kinematic_recall * increment
        state[active, :6] += flow.strain
        state[active, 7:] = (back.back_strain + flow.strain) / recall[:, None]
        state[active, 6] += increment
        stress[active] -= back.shear[:, None] * flow.strain
        return LawResponse(stress, flow_tangent(moduli, active, flow), state, iterations)


def _outside(stress: FloatArray, state: FloatArray, values: ViscoplasticValues) -> IntArray:
    """Return the numbers (m,) of the points whose trial stress leaves the elastic domain."""
    back = (2.0 / 3.0 * values.kinematic_modulus)[:, None] * state[:, 7:]
    radius, _ = values.radius(state[:, 6])
    return np.flatnonzero(von_mises(stress - back) > radius).astype(np.int64)


def _require_converged(outside: IntArray, failed: IntArray, total: int) -> None:
    if len(failed):
        points = outside[failed]
        raise LocalIntegrationError(
            f"elastoviscoplastic: expected the local equations to converge, {len(points)} of "
            f"{total} points did not (first: {points[0]}); use a smaller step",
            points,
        )
