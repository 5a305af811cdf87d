"""Frames as channels on the nodes of one mesh, and back.

The fields of a flow live in two places: velocity on all nodes, pressure on the vertices. The
networks on meshes work on one graph, that of the location with the most points; the fields of
other locations are interpolated linearly to it (the pressure of an edge's midpoint is the mean
of its ends) and are read back by linear interpolation from it (a vertex is a node: its value is
taken as it is). So every node sees all fields, and each field keeps its own values.
"""

from typing import final

import numpy as np
from scipy.sparse import block_array, csr_array, eye_array
from torch import Tensor, nn

from infra.field_space import FieldSpace
from surrogates.networks.prolongation import p1_interpolation
from surrogates.networks.sparse import SparseMap

__all__ = ["NodeChannels", "base_location"]


def base_location(space: FieldSpace) -> str:
    """Return the location with the most points; the first among equals.

    Raises
    ------
    UserError
        If a location has no points or no cells.
    """
    sizes = {name: len(space.points_of(name)) for name in space.locations}
    for name in space.locations:
        space.cells_of(name)
    return max(sizes, key=lambda name: sizes[name])


@final
class NodeChannels(nn.Module):
    """Carry frames (B, n_values) to the base location's nodes (n, B, c), one channel per field.

    Nodes come first: a row of the sparse maps between nodes is then one block of memory.

    Parameters
    ----------
    space : FieldSpace
        With points and cells of every location.
    """

    def __init__(self, space: FieldSpace) -> None:
        super().__init__()
        base = base_location(space)
        self.n_nodes, self.n_fields = len(space.points_of(base)), len(space.fields)
        to, back = {}, {}
        for name in space.locations:
            to[name] = _interpolation(space, name, base)
            back[name] = _interpolation(space, base, name)
        self._to = SparseMap(_diagonal([to[f.location] for f in space.fields]))
        self._back = SparseMap(_diagonal([back[f.location] for f in space.fields]))

    def to_nodes(self, frames: Tensor) -> Tensor:
        """Return (n, B, c) from frames (B, n_values)."""
        flat: Tensor = self._to(frames.T)
        return flat.reshape(self.n_fields, self.n_nodes, -1).permute(1, 2, 0)

    def to_frames(self, channels: Tensor) -> Tensor:
        """Return frames (B, n_values) from channels (n, B, c)."""
        flat = channels.permute(2, 0, 1).reshape(self.n_fields * self.n_nodes, -1)
        frames: Tensor = self._back(flat)
        return frames.T


def _interpolation(space: FieldSpace, start: str, end: str) -> csr_array:
    if start == end:
        return csr_array(eye_array(len(space.points_of(start))))
    return p1_interpolation(space.points_of(start), space.cells_of(start), space.points_of(end))


def _diagonal(blocks: list[csr_array]) -> csr_array:
    """Return the matrix of the blocks along its diagonal."""
    grid = np.full((len(blocks), len(blocks)), None, object)
    np.fill_diagonal(grid, blocks)
    return csr_array(block_array(grid.tolist()))
