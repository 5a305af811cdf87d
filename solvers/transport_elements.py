r"""Element matrices and loads of the scalar transport equation in linear elements.

With constant gradients :math:`\nabla\phi_i` on a simplex of measure :math:`|T|` with :math:`m`
corners, and :math:`s_i = w \cdot \nabla\phi_i`:

.. math::
   A_{ij} &= |T| \left( D\,\nabla\phi_i\cdot\nabla\phi_j + \frac{s_j}{m}
            + c \frac{1 + \delta_{ij}}{m (m + 1)}
            + \tau s_i \left(s_j + \frac{c}{m}\right) \right) \\
   b_i &= |T|\, f \left( \frac1m + \tau s_i \right)

Streamline diffusion (Brooks and Hughes, 1982, 10.1016/0045-7825(82)90071-8) has
:math:`\tau = \frac{h}{2|w|} (1 - 1/Pe)` in cells with :math:`Pe = |w| h / (2 D) > 1`, and
:math:`\tau = 0` elsewhere; :math:`h = 2 |w| / \sum_i |s_i|` is the length of the cell along the
wind. Where the mesh resolves everything, nothing is added.
"""

from dataclasses import dataclass
from math import factorial
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from solvers.cell_geometry import cell_geometry
from solvers.mesh import FloatArray, IntArray
from solvers.steady_case import TransportEquation

__all__ = ["CellCoefficients", "TransportElements", "facet_masses"]


@final
@dataclass(frozen=True, eq=False)
class CellCoefficients:
    """The coefficients of some cells; see `TransportEquation`."""

    diffusion: NDArray[Any]
    source: NDArray[Any]
    reaction: NDArray[Any] | None
    wind: FloatArray | None
    streamline: bool

    @classmethod
    def of(cls, equation: TransportEquation, cells: IntArray) -> Self:
        """Take the coefficients of the cells with these canonical numbers."""
        reaction = None if equation.reaction is None else equation.reaction[cells]
        wind = None if equation.wind is None else equation.wind[cells]
        diffusion, source = equation.diffusion[cells], equation.source[cells]
        return cls(diffusion, source, reaction, wind, equation.streamline)


@final
@dataclass(frozen=True, eq=False)
class TransportElements:
    """Geometry of some cells.

    Attributes
    ----------
    measure : (n,) areas or volumes
    gradients : (n, m, gdim) gradients of the basis functions, 1/m
    stiffness : (n, m, m) element matrices for D = 1
    """

    measure: FloatArray
    gradients: FloatArray
    stiffness: FloatArray

    @classmethod
    def of(cls, corners: FloatArray) -> Self:
        """Return the elements of cells with `corners` (n, m, gdim), metres."""
        geometry = cell_geometry(corners)
        measure = geometry.determinant / factorial(corners.shape[2])
        first = -geometry.inverse.sum(axis=1, keepdims=True)
        gradients = np.concatenate([first, geometry.inverse], axis=1)
        stiffness = measure[:, None, None] * (gradients @ np.swapaxes(gradients, 1, 2))
        return cls(measure, gradients, stiffness)

    def subset(self, cells: IntArray) -> "TransportElements":
        """Return the elements of some of the cells."""
        return TransportElements(self.measure[cells], self.gradients[cells], self.stiffness[cells])

    def matrices(self, given: CellCoefficients) -> NDArray[Any]:
        """Return the element matrices (n, m, m), real or complex."""
        elements: NDArray[Any] = given.diffusion[:, None, None] * self.stiffness
        m = self.gradients.shape[1]
        if given.reaction is not None:
            elements = elements + self._reaction(given.reaction)
        if given.wind is not None:
            crossing = self._crossing(given.wind)
            test = 1.0 / m + self._tau(given, given.wind, crossing)[:, None] * crossing
            elements = elements + (self.measure[:, None] * test)[:, :, None] * crossing[:, None, :]
            elements = elements + self._reacting(given, test - 1.0 / m)
        return elements

    def masses(self, given: CellCoefficients) -> NDArray[Any]:
        """Return what the reaction contributes to `matrices`, (n, m, m), real or complex."""
        assert given.reaction is not None, "its coefficient is the density of the masses"
        elements = self._reaction(given.reaction)
        if given.wind is not None:
            crossing = self._crossing(given.wind)
            streamline = self._tau(given, given.wind, crossing)[:, None] * crossing
            elements = elements + self._reacting(given, streamline)
        return elements

    def loads(self, given: CellCoefficients) -> NDArray[Any]:
        """Return the element loads (n, m), real or complex."""
        m = self.gradients.shape[1]
        test = np.full((len(self.measure), m), 1.0 / m)
        if given.wind is not None:
            crossing = self._crossing(given.wind)
            test = test + self._tau(given, given.wind, crossing)[:, None] * crossing
        return (given.source * self.measure)[:, None] * test

    def _reaction(self, reaction: NDArray[Any]) -> NDArray[Any]:
        m = self.gradients.shape[1]
        weight = reaction * self.measure / (m * (m + 1))
        return weight[:, None, None] * (1.0 + np.eye(m))

    def _crossing(self, wind: FloatArray) -> FloatArray:
        return np.einsum("nid,nd->ni", self.gradients, wind)

    def _tau(self, given: CellCoefficients, wind: FloatArray, crossing: FloatArray) -> FloatArray:
        if not given.streamline:
            return np.zeros(len(crossing))
        # h / (2 |w|) and Pe / |w|, written so that a cell without wind is no special case.
        half = 1.0 / np.maximum(np.abs(crossing).sum(axis=1), np.finfo(np.float64).tiny)
        squares = (wind**2).sum(axis=1)
        peclet = squares * half / np.abs(given.diffusion)
        return np.where(peclet > 1.0, half * (1.0 - 1.0 / np.maximum(peclet, 1.0)), 0.0)

    def _reacting(self, given: CellCoefficients, streamline: FloatArray) -> NDArray[Any]:
        """Return what streamline diffusion adds for the reaction, (n, m, m) or a zero."""
        if given.reaction is None:
            return np.zeros(())
        m = self.gradients.shape[1]
        weight = (given.reaction * self.measure / m)[:, None] * streamline
        return np.repeat(weight[:, :, None], m, axis=2)


def facet_masses(corners: FloatArray) -> FloatArray:
    """Return mass matrices (n, gdim, gdim) of boundary facets with `corners` (n, gdim, gdim)."""
    arms = corners[:, 1:] - corners[:, :1]
    gram = arms @ np.swapaxes(arms, 1, 2)
    gdim = corners.shape[2]
    measure = np.sqrt(np.linalg.det(gram)) / factorial(gdim - 1)
    return (measure / (gdim * (gdim + 1)))[:, None, None] * (1.0 + np.eye(gdim))
