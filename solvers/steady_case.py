r"""What a steady linear problem is for one parameter vector: an equation, and what is stored.

Either a scalar equation in linear finite elements on the reference mesh,

.. math::
   -\nabla\cdot(D \nabla u) + w\cdot\nabla u + c\,u = f, \qquad
   u = u_D \text{ on } \Gamma_D, \qquad
   D\,\partial_n u + \alpha u = g \text{ on } \Gamma_R,

with coefficients that are constant in each cell (real or complex), or a linear system that the
problem gives as it is. Everything here is plain NumPy; `solvers.steady` solves it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

from solvers.mesh import FloatArray
from solvers.sequence.traits import Traits

__all__ = [
    "Coefficient",
    "MatrixEquation",
    "PointFunction",
    "Prescribed",
    "Quantity",
    "Robin",
    "SteadyCase",
    "TransportEquation",
    "Unknown",
    "constant",
]

# Points (n, gdim) in metres to (n,) values, real or complex.
type PointFunction = Callable[[FloatArray], NDArray[Any]]


@final
@dataclass(frozen=True)
class Unknown:
    """A stored solution on the vertices; a complex one has two, real and imaginary part."""

    name: str
    units: str
    long_name: str


@final
@dataclass(frozen=True, eq=False)
class Coefficient:
    """A coefficient that is stored beside the solution.

    Attributes
    ----------
    name, units, long_name : how it is called
    values : (n_cells,) or (n_vertices,)
    on : where the values are
    """

    name: str
    units: str
    long_name: str
    values: FloatArray
    on: Literal["cell", "vertex"] = "cell"


@final
@dataclass(frozen=True)
class Quantity:
    """A number computed from the solution.

    Attributes
    ----------
    name, units, long_name : how it is called
    evaluate : maps the solution (n_vertices, n_unknowns) to the number
    """

    name: str
    units: str
    long_name: str
    evaluate: Callable[[FloatArray], float]


@final
@dataclass(frozen=True)
class Prescribed:
    """Values :math:`u_D` on a boundary part; where parts meet the later one holds."""

    part: str
    value: PointFunction


@final
@dataclass(frozen=True)
class Robin:
    r"""The condition :math:`D\,\partial_n u + \alpha u = g` on a boundary part.

    Attributes
    ----------
    part : name of the boundary part
    data : g, a flux into the domain if there is no `exchange`
    exchange : :math:`\alpha`, or None for zero
    """

    part: str
    data: PointFunction
    exchange: PointFunction | None = None


@final
@dataclass(frozen=True, eq=False)
class TransportEquation:
    r"""Coefficients of the scalar equation, constant in each cell of the reference mesh.

    Attributes
    ----------
    diffusion, source : D and f, (n_cells,)
    reaction : c, (n_cells,), or None for zero
    wind : w, (n_cells, gdim), or None for none
    prescribed, robin : conditions; other parts have :math:`D\,\partial_n u = 0`
    streamline : streamline diffusion in cells whose Peclet number is above one
    """

    diffusion: NDArray[Any]
    source: NDArray[Any]
    reaction: NDArray[Any] | None = None
    wind: FloatArray | None = None
    prescribed: tuple[Prescribed, ...] = ()
    robin: tuple[Robin, ...] = ()
    streamline: bool = False


@final
@dataclass(frozen=True, eq=False)
class MatrixEquation:
    """A system given by the problem; its unknowns are the vertices of the reference mesh.

    Attributes
    ----------
    matrix : SciPy CSR array (n, n), columns ascending, of one pattern for all samples
    right : (n,)
    """

    matrix: Any
    right: FloatArray


@final
@dataclass(frozen=True, eq=False)
class SteadyCase:
    """A steady linear problem for one parameter vector.

    Attributes
    ----------
    unknowns : one, or two for a complex solution
    equation : what is solved
    traits : what holds for the matrices of all samples
    coefficients, quantities : what is stored beside the solution
    context : numbers that may decide which solver is best, by name
    exact : the solution as a function of points, if it is known
    """

    unknowns: tuple[Unknown, ...]
    equation: TransportEquation | MatrixEquation
    traits: Traits
    coefficients: tuple[Coefficient, ...] = ()
    quantities: tuple[Quantity, ...] = ()
    context: Mapping[str, float] = field(default_factory=dict)
    exact: PointFunction | None = None


def constant(value: complex) -> PointFunction:
    """Return the function that has one value everywhere."""
    return lambda points: np.full(len(points), value)
