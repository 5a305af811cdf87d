r"""The scalar equation of backward Euler for Norton flow with kinematic hardening.

The back stress at the end of a step is :math:`X = \tfrac23 C\theta\,(a_0 + \Delta p\,N)` with
:math:`\theta = 1/(1 + D\Delta p)`, and the stress deviator :math:`s^{tr} - 2\mu\Delta p\,N`. Hence
:math:`s - X` is parallel to :math:`\xi = s^{tr} - \tfrac23 C\theta\,a_0`, and with the von Mises
norm J one number per point is unknown. It is the viscous stress v, not the increment
:math:`\Delta p = \Delta t\,(v/K)^n`, because the equation

.. math::
   h(v) = J(\xi) - \Delta p\,(3\mu + C\theta) - R(p_0 + \Delta p) - v = 0, \quad
   R(p) = R_0 + H p + Q\,(1 - e^{-b p})

has a bounded slope near v = 0 and Newton's method converges from its steep side at once, for any
n. Own form of the reduction of Chaboche and Cailletaud (1996, 10.1016/0045-7825(95)00906-0).
"""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import final

import numpy as np

from solvers.laws.bracketed_newton import bracketed_newton
from solvers.laws.flow_tangent import Flow, Points
from solvers.laws.mandel import norm
from solvers.mesh import FloatArray, IntArray

__all__ = ["ViscoplasticReturn", "ViscoplasticValues"]

# Residuals relative to the trial stress; rounding leaves about 1e-15.
_TOLERANCE = 1e-13
_LIMIT = 200
# Smaller increments are none: quotients with them would overflow.
_LEAST = 1e-200


@final
@dataclass(frozen=True, eq=False)
class ViscoplasticValues:
    """Coefficients at the temperatures of m points: (m,) each, or (1,) if it is constant.

    Attributes
    ----------
    norton_stress, norton_exponent : K in MPa s^(1/n), n
    kinematic_modulus, kinematic_recall : C in MPa, D
    yield_stress, hardening : R0 and H, MPa
    saturation, saturation_rate : Q in MPa, b
    """

    norton_stress: FloatArray
    norton_exponent: FloatArray
    kinematic_modulus: FloatArray
    kinematic_recall: FloatArray
    yield_stress: FloatArray
    hardening: FloatArray
    saturation: FloatArray
    saturation_rate: FloatArray

    def radius(self, plasticity: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the radius R (m,) of the elastic domain and its derivative (m,), MPa."""
        grown = self.yield_stress + self.hardening * plasticity
        if not self.saturation.any():
            return grown, self.hardening
        rest = self.saturation * np.exp(-self.saturation_rate * plasticity)
        return grown + self.saturation - rest, self.hardening + self.saturation_rate * rest

    def subset(self, points: Points) -> "ViscoplasticValues":
        """Return the coefficients of some points."""
        values = (getattr(self, field.name) for field in fields(self))
        return ViscoplasticValues(*(v if len(v) == 1 else v[points] for v in values))


@final
@dataclass(frozen=True, eq=False)
class ViscoplasticReturn:
    """The return of m points whose trial stress is outside the elastic domain.

    Attributes
    ----------
    trial : (m, 6) trial stress deviators, MPa
    back_strain : (m, 6) the variable of kinematic hardening before the step
    plasticity : (m,) accumulated before the step
    shear : (m,) twice the shear modulus, MPa
    values : coefficients
    duration : seconds, positive
    """

    trial: FloatArray
    back_strain: FloatArray
    plasticity: FloatArray
    shear: FloatArray
    values: ViscoplasticValues
    duration: float

    def solve(self) -> tuple[FloatArray, int, IntArray]:
        """Return the increments (m,), the iterations, and the points that did not converge."""
        size = self._norm(np.zeros_like(self.shear), self._products)
        radius, _ = self.values.radius(self.plasticity)
        # Rounding may leave none where the caller found some.
        excess = np.maximum(size - radius, np.finfo(np.float64).eps * size)
        stiffness = 1.5 * self.shear
        # The back stress may at most vanish: more than this can never be relaxed.
        most = excess + self._back_stress
        high = np.minimum(most, self._viscous(most / stiffness))
        root, iterations, failed = bracketed_newton(
            self._equation,
            np.minimum(high, self._guess(excess, stiffness + self.values.kinematic_modulus)),
            (np.zeros_like(high), high),
            _TOLERANCE * (size + radius),
            _LIMIT,
        )
        increment = self._increment(root, self.values)
        return np.where(increment > _LEAST, increment, 0.0), iterations, failed

    def flow(self, increment: FloatArray) -> Flow:
        """Return the flow of the points for their increments (m,)."""
        values = self.values
        theta = 1.0 / (1.0 + values.kinematic_recall * increment)
        scale = 2.0 / 3.0 * values.kinematic_modulus
        relative = self.trial - (scale * theta)[:, None] * self.back_strain
        drift = (scale * values.kinematic_recall * theta**2)[:, None] * self.back_strain
        along = np.einsum("mi,mi->m", relative, drift) / norm(relative)
        _, hardening = values.radius(self.plasticity + increment)
        slope = (
            1.5 * self.shear
            + values.kinematic_modulus * theta**2
            + hardening
            - np.sqrt(1.5) * along
            + self._viscous_slope(increment)
        )
        return Flow(increment, relative, slope, drift)

    def _guess(self, excess: FloatArray, stiffness: FloatArray) -> FloatArray:
        """Return viscous stresses (m,) near the root: a step of Newton's method in the increment.

        Where the viscous stress hardly depends on the increment (large n) that is nearly the
        root; where it uses up the excess, there is hardly any flow.
        """
        resisted = self._viscous(excess / stiffness)
        rest = np.maximum(excess - resisted, 0.0)
        return np.where(rest > 0.0, self._viscous(rest / stiffness), excess)

    @cached_property
    def _products(self) -> FloatArray:
        """Products (3, m) of the relative stress before flow and the back strain."""
        scale = 2.0 / 3.0 * self.values.kinematic_modulus[:, None]
        relative = self.trial - scale * self.back_strain
        pairs = ((relative, relative), (relative, self.back_strain), (self.back_strain,) * 2)
        return np.stack([np.einsum("mi,mi->m", a, b) for a, b in pairs])

    @cached_property
    def _back_stress(self) -> FloatArray:
        """Von Mises norm (m,) of the back stress before the step."""
        return np.asarray(self.values.kinematic_modulus * np.sqrt(2.0 / 3.0 * self._products[2]))

    def _equation(self, viscous: FloatArray, points: Points) -> tuple[FloatArray, FloatArray]:
        """Return h (k,) and its derivative (k,) at viscous stresses (k,) of some points."""
        values, products = self.values.subset(points), self._products[:, points]
        modulus, recall = values.kinematic_modulus, values.kinematic_recall
        step = self._increment(viscous, values)
        theta = 1.0 / (1.0 + recall * step)
        shift = 2.0 / 3.0 * modulus * recall * step * theta
        size = self._norm(shift, products)
        radius, hardening = values.radius(self.plasticity[points] + step)
        stiffness = 1.5 * self.shear[points]
        value = size - step * (stiffness + modulus * theta) - radius - viscous
        drift = modulus * recall * theta**2 * (products[1] + shift * products[2])
        drift = np.divide(drift, size, out=np.zeros_like(size), where=size > 0.0)
        slope = drift - stiffness - modulus * theta**2 - hardening
        return value, slope * step * values.norton_exponent / viscous - 1.0

    @staticmethod
    def _norm(shift: FloatArray, products: FloatArray) -> FloatArray:
        """Return J (k,) of the relative stress before flow plus `shift` back strains."""
        square = products[0] + shift * (2.0 * products[1] + shift * products[2])
        return np.sqrt(1.5 * np.maximum(square, 0.0))

    def _increment(self, viscous: FloatArray, values: ViscoplasticValues) -> FloatArray:
        ratio = viscous / values.norton_stress
        return np.asarray(self.duration * ratio**values.norton_exponent)

    def _viscous_slope(self, increment: FloatArray) -> FloatArray:
        """Return the derivative (m,) of the viscous stress, infinite without an increment."""
        slope = np.full_like(increment, np.inf)
        viscous, scaled = self._viscous(increment), self.values.norton_exponent * increment
        return np.divide(viscous, scaled, out=slope, where=increment > 0.0)

    def _viscous(self, increment: FloatArray) -> FloatArray:
        rate = increment / self.duration
        return np.asarray(self.values.norton_stress * rate ** (1.0 / self.values.norton_exponent))
