r"""What a linear problem in time is for one parameter vector: an equation, and what is stored.

.. math::
   C\,\partial_t u - \nabla\cdot(D \nabla u) + w\cdot\nabla u + c\,u = f, \qquad u(0) = u_0

with the conditions of a `TransportEquation`. Capacity, coefficients and data do not depend on
time. Everything here is plain NumPy; `solvers.transient` solves it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

from solvers.mesh import FloatArray
from solvers.sequence.traits import Traits
from solvers.steady_case import (
    Coefficient,
    PointFunction,
    Prescribed,
    Quantity,
    TransportEquation,
    Unknown,
    constant,
)

__all__ = ["TransientCase", "held_parts"]


@final
@dataclass(frozen=True, eq=False)
class TransientCase:
    """A linear problem in time for one parameter vector.

    Attributes
    ----------
    unknown : what is stored at every output time
    equation : the part without the time derivative, real
    capacity : C, (n_cells,), positive
    initial : the solution at t = 0, a function of points; prescribed values hold from t = 0 on
    traits : what holds for the matrices of all samples, all with the same time step
    held : boundary parts with one prescribed value, later ones hold where parts meet: the name of
        the parameter that gives it, or the number
    coefficients : what is stored once beside the solution
    quantities : numbers that are stored at every output time
    """

    unknown: Unknown
    equation: TransportEquation
    capacity: FloatArray
    initial: PointFunction
    traits: Traits
    held: Mapping[str, str | float] = field(default_factory=dict)
    coefficients: tuple[Coefficient, ...] = ()
    quantities: tuple[Quantity, ...] = ()


def held_parts(held: Mapping[str, str | float], mu: Mapping[str, float]) -> tuple[Prescribed, ...]:
    """Return the conditions that `TransientCase.held` describes, for the parameters `mu`."""
    return tuple(
        Prescribed(part, constant(mu[value] if isinstance(value, str) else value))
        for part, value in held.items()
    )
