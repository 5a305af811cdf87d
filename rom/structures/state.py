"""Where a reduced structure is: in and out of every step, so that runs can be cut and joined."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

__all__ = ["ReducedState", "StepReport"]

type _Floats = NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class ReducedState:
    """A reduced structure at a time.

    Attributes
    ----------
    time
        s.
    q
        Coefficients of the modes, (n,).
    stress
        At the model's points, (m, 6), Mandel components, MPa.
    internal
        Internal variables of the law there, (m, s).
    """

    time: float
    q: _Floats
    stress: _Floats
    internal: _Floats


@final
@dataclass(frozen=True)
class StepReport:
    """What a step took.

    Attributes
    ----------
    iterations
        Of Newton's method, over all sub-steps.
    evaluations
        Of the law at one point each.
    cuts
        How often the step was halved.
    residual
        Relative, at the end.
    """

    iterations: int
    evaluations: int
    cuts: int
    residual: float
