"""Frames to images on a uniform grid and back, for networks that need a grid."""

from typing import final

import numpy as np
import torch
from torch import Tensor, nn

from infra.field_space import FieldSpace
from surrogates.resampling import LinearMap, UniformGrid, grid_over, grid_to_points, mesh_to_grid

__all__ = ["Gather", "GridBridge"]


@final
class Gather(nn.Module):
    """A `LinearMap` on tensors: values (..., n) to (..., m). It has no weights to learn.

    Parameters
    ----------
    linear
        Places and weights; the weights become float32.
    """

    places: Tensor
    weights: Tensor

    def __init__(self, linear: LinearMap) -> None:
        super().__init__()
        # They follow from the mesh, so they are not saved.
        self.register_buffer("places", torch.from_numpy(linear.places), persistent=False)
        weights = torch.from_numpy(linear.weights.astype(np.float32))
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, values: Tensor) -> Tensor:
        """Apply the map along the last axis."""
        taken = values.index_select(-1, self.places.flatten())
        return (taken.reshape(*values.shape[:-1], *self.places.shape) * self.weights).sum(-1)


@final
class GridBridge(nn.Module):
    """Maps frames (B, n) of F fields to images (B, F, *shape) and back.

    Parameters
    ----------
    space
        Fields and mesh; every location needs points and cells.
    resolution
        As for `surrogates.resampling.grid_over`.

    Raises
    ------
    UserError
        If points or cells are unknown, or the grid cannot be made.
    """

    static: Tensor

    def __init__(self, space: FieldSpace, resolution: int | None) -> None:
        super().__init__()
        self._space = space
        self.grid = grid_over(space.points_of(space.locations[0]), resolution)
        self._to_grid, self._to_mesh = nn.ModuleDict(), nn.ModuleDict()
        covered = np.ones(len(self.grid.points), dtype=np.bool_)
        for location in space.locations:
            points, cells = space.points_of(location), space.cells_of(location)
            linear, inside = mesh_to_grid(points, cells, self.grid)
            covered &= inside
            self._to_grid[location] = Gather(linear)
            self._to_mesh[location] = Gather(grid_to_points(self.grid, points))
        self.register_buffer("static", _static(self.grid, covered), persistent=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of grid points along each axis."""
        return self.grid.shape

    @property
    def n_static(self) -> int:
        """Number of constant channels: coordinates in [-1, 1], and 1 inside the mesh."""
        return len(self.static)

    def to_grid(self, frames: Tensor) -> Tensor:
        """Return the fields as images, (B, F, *shape)."""
        parts = torch.split(frames, list(self._space.sizes), dim=1)
        images = [
            self._to_grid[info.location](part)
            for info, part in zip(self._space.fields, parts, strict=True)
        ]
        return torch.stack(images, dim=1).reshape(len(frames), -1, *self.shape)

    def to_mesh(self, images: Tensor) -> Tensor:
        """Return the images (B, F, *shape) as frames, (B, n)."""
        flat = images.flatten(start_dim=2)
        parts = [
            self._to_mesh[info.location](flat[:, i]) for i, info in enumerate(self._space.fields)
        ]
        return torch.cat(parts, dim=1)

    def channels(self, x: Tensor, state: Tensor | None) -> Tensor:
        """Return what a network on the grid sees.

        Parameters
        ----------
        x
            Scaled inputs, (B, p); each becomes a constant image.
        state
            Normalised frames, (B, n), or None.

        Returns
        -------
        Tensor
            (B, F + p + n_static, *shape); without a state the F images are left out.
        """
        constant = x[(..., *[None] * len(self.shape))].expand(*x.shape, *self.shape)
        static = self.static.expand(len(x), *self.static.shape)
        fields = [] if state is None else [self.to_grid(state)]
        return torch.cat([*fields, constant, static], dim=1)


def _static(grid: UniformGrid, covered: np.ndarray) -> Tensor:
    middle, half = (grid.high + grid.low) / 2, (grid.high - grid.low) / 2
    rows = np.concatenate([((grid.points - middle) / half).T, covered[np.newaxis]])
    return torch.from_numpy(rows.astype(np.float32)).reshape(-1, *grid.shape)
