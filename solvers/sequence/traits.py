"""What is known about all matrices of a sequence before the first one is seen."""

from dataclasses import dataclass
from typing import final

from infra.errors import UserError

__all__ = ["Grid", "Traits"]


@final
@dataclass(frozen=True)
class Grid:
    """A uniform grid of cells on which the unknowns lie in row-major order.

    Attributes
    ----------
    shape : cells per axis, slowest first
    spacing : edge lengths of a cell, same order, in one unit
    """

    shape: tuple[int, ...]
    spacing: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.shape) != len(self.spacing) or min((*self.shape, 1)) < 1:
            raise UserError(
                "grid: expected as many spacings as axes and at least one cell on each, received "
                f"shape {self.shape}, spacing {self.spacing}"
            )

    @property
    def size(self) -> int:
        """Number of cells."""
        count = 1
        for cells in self.shape:
            count *= cells
        return count


@final
@dataclass(frozen=True)
class Traits:
    """Properties that every matrix of a sequence has.

    Attributes
    ----------
    symmetric : every matrix is symmetric
    definite : every matrix is positive definite (only together with `symmetric`)
    dimension : dimension of the mesh behind the matrix; direct methods grow dearer with it
    constant : every system has the same matrix; only right-hand sides differ
    grid : the cell-centred grid with zero Dirichlet values behind a diffusion matrix, if so

    Raises
    ------
    UserError
        If they contradict each other.
    """

    symmetric: bool = False
    definite: bool = False
    dimension: int = 2
    constant: bool = False
    grid: Grid | None = None

    def __post_init__(self) -> None:
        if self.definite and not self.symmetric:
            raise UserError(
                "traits: expected symmetric = True with definite = True, received symmetric = "
                "False; a matrix that is not symmetric has definite = False"
            )
        if self.grid is not None and not self.definite:
            raise UserError(
                "traits: expected a grid only for positive definite matrices (diffusion), received "
                f"{self}"
            )
