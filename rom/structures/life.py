r"""The life indicator: the plastic strain range of a cycle, and the number of cycles it allows.

.. math::
   \Delta\varepsilon_p(t) = \tfrac12 \bigl(p(t) - p(t - \tau)\bigr), \qquad
   \frac{\Delta\varepsilon_p}{2} = \varepsilon_f' (2 N)^c

with the accumulated plasticity p and the duration :math:`\tau` of a cycle. In a cycle that flows
forth and back by the range, p grows by twice the range; where the first cycle is not complete, its
beginning takes the place of :math:`t - \tau`. The range of a stabilised cycle is what low-cycle
fatigue is described by; earlier cycles tell that of the transition. Without the coefficients of a
material the range itself is the indicator.

Sources: Manson (1953), "Behavior of materials under conditions of thermal stress", NACA TN 2933;
Coffin (1954), "A study of the effects of cyclic thermal stresses on a ductile metal", Transactions
of the ASME 76. The relation is for uniaxial cycles; taking p for it is our choice.
"""

from typing import final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

__all__ = ["CYCLES", "MOST_CYCLES", "RANGE", "LifeSettings", "cycles_to_failure", "strain_range"]

type _Floats = NDArray[np.float64]

# Beyond it low-cycle fatigue says nothing; also where nothing flows.
MOST_CYCLES = 1e9
# Names of the quantities.
RANGE = "largest_life_indicator"
CYCLES = "cycles_to_failure"


@final
class LifeSettings(BaseModel):
    """Coefficients of Manson and Coffin.

    Attributes
    ----------
    ductility
        eps_f', the fatigue ductility coefficient.
    exponent
        c, the fatigue ductility exponent, negative.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    ductility: float = Field(gt=0.0, le=10.0, description="fatigue ductility coefficient")
    exponent: float = Field(gt=-2.0, lt=0.0, description="fatigue ductility exponent")


def strain_range(now: _Floats, before: _Floats) -> _Floats:
    """Return the plastic strain range for p at a time and one cycle earlier."""
    return np.asarray(0.5 * np.maximum(now - before, 0.0))


def cycles_to_failure(largest: float, life: LifeSettings) -> float:
    """Return N for a plastic strain range, at most `MOST_CYCLES`."""
    if largest <= 0.0:
        return MOST_CYCLES
    with np.errstate(over="ignore"):
        reversals = np.float64(largest / (2.0 * life.ductility)) ** (1.0 / life.exponent)
    return float(min(0.5 * reversals, MOST_CYCLES))
