r"""Second-order backward differences on a variable step.

.. math::
   \dot u^{n+1} \approx (\alpha_0 u^{n+1} + \alpha_1 u^n + \alpha_2 u^{n-1}) / \Delta t, \quad
   u^{n+1} \approx (1 + r) u^n - r u^{n-1}, \quad r = \Delta t / \Delta t_{old}

with :math:`\alpha_0 = (1+2r)/(1+r)`, :math:`\alpha_1 = -(1+r)`, :math:`\alpha_2 = r^2/(1+r)`
(Hairer, Norsett, Wanner, 1993, III.5, 10.1007/978-3-540-78862-1). Zero-stable for
:math:`r < 1 + \sqrt 2`; the first step is backward Euler (:math:`r = 0`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

__all__ = ["MAX_RATIO", "Differences", "differences", "extrapolation"]

# Below the stability limit 1 + sqrt(2), with room for the splitting.
MAX_RATIO = 1.5


@final
@dataclass(frozen=True)
class Differences:
    """Coefficients of one step; `now`, `last`, `before` multiply levels n+1, n, n-1."""

    now: float
    last: float
    before: float
    ratio: float


def differences(step: float, previous: float | None) -> Differences:
    """Return the coefficients for `step` after a step `previous` (None: the first), seconds."""
    if previous is None:
        return Differences(1.0, -1.0, 0.0, 0.0)
    r = step / previous
    return Differences((1 + 2 * r) / (1 + r), -(1 + r), r * r / (1 + r), r)


def extrapolation(step: float, steps: Sequence[float]) -> list[float]:
    """Return the Lagrange weights that carry known levels forward by `step`.

    The levels lie at the times 0, -s1, -(s1 + s2), ... for the past `steps` s1, s2, ..., newest
    first, in seconds. The weights are exact for polynomials of as many coefficients as there are
    levels; without past steps there is one level and the weight is one.
    """
    nodes = [0.0]
    for past in steps:
        nodes.append(nodes[-1] - past)
    weights = []
    for i, node in enumerate(nodes):
        others = [other for k, other in enumerate(nodes) if k != i]
        shares = ((step - other) / (node - other) for other in others)
        weights.append(math.prod(shares, start=1.0))
    return weights
