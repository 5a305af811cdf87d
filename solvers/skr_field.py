"""Coefficients of SKR's published matrices: the exponential of a Gaussian random field.

Wang et al. (2024, arXiv:2401.09516) draw fields with alpha = 2.5 and tau = 7, scaled by
``tau^(alpha - 1)``, on a square grid of points. See `solvers.published_matrices` for what becomes
of them.
"""

from collections.abc import Mapping, Sequence
from typing import final

import numpy as np
from pydantic import Field

from solvers.boxes import grid_mesh
from solvers.fields import RandomField, grid_tables
from solvers.mesh import FloatArray, ReferenceMesh
from solvers.problem import ProblemSettings

__all__ = ["SkrField", "SkrSettings"]


@final
class SkrSettings(ProblemSettings):
    """Size of the matrix, and the statistics of the field."""

    cells: int = Field(100, ge=4, le=1024, description="points along each side")
    modes: int = Field(256, ge=1, le=4096, description="modes of the random field")
    tau: float = Field(7.0, gt=0, le=100.0, description="inverse correlation length, 1/m")
    alpha: float = Field(2.5, gt=1, le=10.0, description="smoothness, more than 1")


@final
class SkrField:
    """A random coefficient on the inner points of a grid of the unit square.

    Parameters
    ----------
    settings : size and statistics

    Attributes
    ----------
    field : the Gaussian random field
    width : distance of the points, 1 / (points along a side + 1)
    """

    def __init__(self, settings: SkrSettings) -> None:
        self.field = RandomField(2, settings.modes, settings.tau, settings.alpha)
        self.width = 1.0 / (settings.cells + 1)
        self._scale = settings.tau ** (settings.alpha - 1)
        self._points: FloatArray = self.width * np.arange(1.0, settings.cells + 1)
        self._tables = grid_tables([self._points] * 2, self.field.largest)

    def mesh(self) -> ReferenceMesh:
        """Return a mesh through the points, in the order of the grid."""
        return grid_mesh([self._points] * 2)

    def coefficient(self, mu: Mapping[str, float]) -> FloatArray:
        """Return the coefficient (n_y, n_x) at the points."""
        values = np.exp(self._scale * self.field.evaluate(mu, self._tables))
        return np.ascontiguousarray(values.T)

    def features(self, mus: Sequence[Mapping[str, float]]) -> FloatArray:
        """Return weights (n, modes) whose distance is that of the fields."""
        return self._scale * np.stack([self.field.coefficients(mu) for mu in mus])
