r"""Internal variables along a path of displacements: the law alone, no equation is solved.

At each material point, :math:`\varepsilon(t_j) \mapsto \sigma(t_j), y(t_j)` for the steps of the
path. This is what makes the method nonintrusive: of the solver only displacements are read.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from solvers.laws.law import Law, LawStep

__all__ = ["PointState", "replay"]

type _Floats = NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class PointState:
    """Material points at a time.

    Attributes
    ----------
    time
        s.
    strain, temperature
        (m, 6) total, and (m,), degrees Celsius.
    stress
        (m, 6), MPa.
    internal
        Internal variables, (m, s).
    """

    time: float
    strain: _Floats
    temperature: _Floats
    stress: _Floats
    internal: _Floats


def replay(
    law: Law, start: PointState, path: Iterable[tuple[float, _Floats, _Floats]]
) -> Iterator[PointState]:
    """Give the states of material points after each step of a path.

    Parameters
    ----------
    law
        The law.
    start
        Before the first step.
    path
        Time, strain (m, 6) and temperature (m,) after each step.

    Raises
    ------
    LocalIntegrationError
        If the law has no answer to a step.
    """
    state = start
    for time, strain, temperature in path:
        step = LawStep(
            strain_before=state.strain,
            strain_after=strain,
            temperature_before=state.temperature,
            temperature_after=temperature,
            state=state.internal,
            duration=time - state.time,
        )
        response = law.integrate(step)
        state = PointState(time, strain, temperature, response.stress, response.state)
        yield state
