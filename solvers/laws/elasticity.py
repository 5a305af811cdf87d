r"""Isotropic linear elasticity with thermal expansion.

.. math::
   \sigma = 3k\,P_v\,\varepsilon^e + 2\mu\,P_d\,\varepsilon^e, \quad
   \varepsilon^e = \varepsilon - \varepsilon^p - \alpha(T)(T - T_{ref})\,1

with :math:`3k = E/(1-2\nu)`, :math:`2\mu = E/(1+\nu)`, and the projectors on the volumetric and
the deviatoric part. The expansion :math:`\alpha` is the secant one, from :math:`T_{ref}` to T.
"""

from dataclasses import dataclass, field
from typing import final

import numpy as np

from infra.errors import UserError
from solvers.laws.coefficients import Bounds, Table, require
from solvers.laws.mandel import deviator_projector, trace, volume_projector
from solvers.mesh import FloatArray

__all__ = ["Elasticity", "Moduli"]

_EXPANSION = Bounds("between -0.01 and 0.01 per K", -0.01, 0.01)


@final
@dataclass(frozen=True)
class Moduli:
    """Elastic moduli at n points.

    Attributes
    ----------
    volume : (n,) three times the bulk modulus, MPa
    shear : (n,) twice the shear modulus, MPa
    """

    volume: FloatArray
    shear: FloatArray

    def stress(self, strain: FloatArray) -> FloatArray:
        """Return the stress (n, 6) of elastic strains (n, 6), MPa."""
        stress = self.shear[:, None] * strain
        stress[:, :3] += ((self.volume - self.shear) * trace(strain) / 3.0)[:, None]
        return stress

    def energy(self, strain: FloatArray) -> FloatArray:
        """Return the elastic energy (n,) of elastic strains (n, 6), MPa."""
        return 0.5 * np.einsum("ni,ni->n", self.stress(strain), strain)

    def tangent(self) -> FloatArray:
        """Return the elastic tangents (n, 6, 6), MPa."""
        pairs = np.stack([self.volume, self.shear], axis=1)
        projectors = np.stack([volume_projector().ravel(), deviator_projector().ravel()])
        return np.asarray(pairs @ projectors).reshape(-1, 6, 6)


@final
@dataclass(frozen=True)
class Elasticity:
    """Coefficients of the elastic and thermal part of a law.

    Attributes
    ----------
    young : Young's modulus E, MPa, positive
    poisson : Poisson's ratio, between -1 and 0.5, both excluded
    expansion : secant thermal expansion, 1/K
    reference_temperature : temperature without thermal strain, degrees Celsius

    Raises
    ------
    UserError
        If a coefficient is impossible; the message names it.
    """

    young: Table
    poisson: Table
    expansion: Table = field(default_factory=lambda: Table.constant(0.0))
    reference_temperature: float = 20.0

    def __post_init__(self) -> None:
        require("elasticity", "young", self.young, Bounds("> 0", low=0.0))
        require("elasticity", "poisson", self.poisson, Bounds("between -1 and 0.5", -1.0, 0.5))
        # A larger one is given in another unit, such as 1e-6/K.
        require("elasticity", "expansion", self.expansion, _EXPANSION)
        if not np.isfinite(self.reference_temperature):
            raise UserError(
                "elasticity: reference_temperature: expected a finite number, received "
                f"{self.reference_temperature}"
            )

    def moduli(self, temperature: FloatArray) -> Moduli:
        """Return the moduli at temperatures (n,), degrees Celsius."""
        young, poisson = self.young.at(temperature), self.poisson.at(temperature)
        return Moduli(young / (1.0 - 2.0 * poisson), young / (1.0 + poisson))

    def thermal_strain(self, temperature: FloatArray) -> FloatArray:
        """Return the thermal strain (n, 6) at temperatures (n,), degrees Celsius."""
        strain = np.zeros((len(temperature), 6))
        growth = self.expansion.at(temperature) * (temperature - self.reference_temperature)
        strain[:, :3] = growth[:, None]
        return strain
