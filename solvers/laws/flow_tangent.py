r"""Tangents of backward Euler when the plastic strain flows along a known direction.

The trial stress deviator :math:`s^{tr} = 2\mu\,(\mathrm{dev}\,\varepsilon - \varepsilon^p_n)`
returns along the unit direction :math:`n = \xi/|\xi|` by
:math:`\Delta\varepsilon^p = \sqrt{3/2}\,\Delta p\,n`. With
:math:`\mathrm{d}\xi = \mathrm{d}s^{tr} + a\,\mathrm{d}\Delta p` and the scalar equation's
:math:`\mathrm{d}\Delta p = \sqrt{3/2}\;n\cdot\mathrm{d}s^{tr}/A`, the derivative of the stress is

.. math::
   3k\,P_v + 2\mu\,\Bigl[(1-\beta)P_d + (\beta - 3\mu/A)\,n n^T
   - \sqrt{3/2}\,(\beta/A)\,a_\perp n^T\Bigr], \quad \beta = 2\mu\sqrt{3/2}\,\Delta p/|\xi|

where :math:`a_\perp = a - (n\cdot a)n`. Own derivation; for :math:`a = 0` it is the tangent of
Simo and Taylor (1985, 10.1016/0045-7825(85)90070-2).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np

from solvers.laws.elasticity import Moduli
from solvers.laws.mandel import norm
from solvers.mesh import FloatArray, IntArray

__all__ = ["Flow", "Points", "flow_tangent"]

# Numbers of points, or all of them.
type Points = IntArray | slice

_ROOT = float(np.sqrt(1.5))
# Points whose tangents stay in the processor's cache together.
_BLOCK = 2048


@final
@dataclass(frozen=True, eq=False)
class Flow:
    """Plastic flow of m points in a step.

    Attributes
    ----------
    increment : (m,) of the accumulated plasticity, not negative
    relative : (m, 6) the tensor xi that gives the direction, MPa
    slope : (m,) A, minus the derivative of the scalar equation by the increment, MPa; infinite
        where nothing flows
    drift : (m, 6) a, the derivative of xi by the increment, MPa; None if it is zero
    """

    increment: FloatArray
    relative: FloatArray
    slope: FloatArray
    drift: FloatArray | None = None

    @cached_property
    def direction(self) -> FloatArray:
        """The unit directions n (m, 6)."""
        return np.asarray(self.relative / norm(self.relative)[:, None])

    @cached_property
    def strain(self) -> FloatArray:
        """The increments of the plastic strain (m, 6)."""
        return np.asarray(_ROOT * self.increment[:, None] * self.direction)


def flow_tangent(moduli: Moduli, active: Points, flow: Flow) -> FloatArray:
    """Return the consistent tangents of n points, some of which flow.

    Parameters
    ----------
    moduli : of the n points
    active : numbers (m,) of the points that flow, or all
    flow : of these points

    Returns
    -------
    FloatArray
        (n, 6, 6) MPa; not symmetric where the drift is not along the direction.
    """
    twice = moduli.shear[active]
    beta = twice * _ROOT * flow.increment / norm(flow.relative)
    n = flow.direction
    across = (twice * (beta - 1.5 * twice / flow.slope))[:, None] * n
    if flow.drift is not None:
        drift = flow.drift - np.einsum("mi,mi->m", flow.drift, n)[:, None] * n
        across -= (twice * _ROOT * beta / flow.slope)[:, None] * drift
    shear = moduli.shear.copy()
    left, right = np.zeros((2, len(shear), 6))
    shear[active] *= 1.0 - beta
    left[active], right[active] = across, n
    tangent = np.empty((len(shear), 6, 6))
    for start in range(0, len(shear), _BLOCK):
        block = slice(start, start + _BLOCK)
        tangent[block] = Moduli(moduli.volume[block], shear[block]).tangent()
        tangent[block] += left[block, :, None] * right[block, None, :]
    return tangent
