r"""Prescribed values: put in exactly, and extended into the domain.

The extension (lifting) of boundary values g is the discrete harmonic function of the mesh graph,

.. math::
   \sum_{j \in N(i)} \frac{\ell_i - \ell_j}{|x_i - x_j|^2} = 0 \ \text{at free places},
   \qquad \ell_i = g_i \ \text{at prescribed places},

so it stays between the smallest and the largest of the values that touch its part of the mesh.
It is linear in the values, and every entry of `FieldSpace.prescribed` is one number, so it is one
fixed function per entry: they are computed once. Parts of a mesh that touch no prescribed place,
and fields without any, have the lifting zero in normalised units, which is the field's mean.
"""

from typing import final

import numpy as np
import torch
from scipy.sparse import coo_array, csc_array, dia_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu
from torch import Tensor, nn

from infra.errors import UserError
from infra.field_space import FieldSpace
from surrogates.inputs import InputScaling, InputSpec
from surrogates.networks.graph import FloatArray, IntArray, MeshGraph, mesh_graph
from surrogates.normalisation import Normalisation

__all__ = ["PrescribedValues", "harmonic_functions"]


def harmonic_functions(graph: MeshGraph, groups: IntArray, n_groups: int) -> FloatArray:
    """Return one discrete harmonic function per group: 1 on its nodes, 0 on those of others.

    Parameters
    ----------
    graph : of the mesh, n nodes
    groups : (n,) number of each prescribed node's group; -1 where a node is free
    n_groups : number of groups

    Returns
    -------
    FloatArray
        (n, n_groups); rows sum to one, or to zero where no prescribed node can be reached.
    """
    functions = np.zeros((graph.n_nodes, n_groups))
    fixed = np.flatnonzero(groups >= 0)
    functions[fixed, groups[fixed]] = 1.0
    distance = np.linalg.norm(graph.points[graph.senders] - graph.points[graph.receivers], axis=1)
    entries = (distance**-2.0, (graph.receivers, graph.senders))
    couplings = coo_array(entries, shape=(graph.n_nodes,) * 2).tocsr()
    _, component = connected_components(couplings, directed=False)
    reached = np.isin(component, component[fixed])
    free = np.flatnonzero((groups < 0) & reached)
    if len(free):
        rows = couplings[free]
        sums = np.asarray(rows.sum(axis=1)).ravel()
        matrix = dia_array((sums[None], [0]), shape=(len(free),) * 2) - rows[:, free]
        functions[free] = splu(csc_array(matrix)).solve(rows[:, fixed] @ functions[fixed])
    return functions


@final
class PrescribedValues(nn.Module):
    """The prescribed values of a space as functions of the inputs.

    Letters: B items, p inputs, n values of a frame, k prescribed entries.

    Parameters
    ----------
    space : FieldSpace
        With points and cells where values are prescribed.
    inputs : InputSpec

    Raises
    ------
    UserError
        If an entry names a parameter that is no input.
    """

    mask: Tensor
    entry: Tensor
    column: Tensor
    field: Tensor
    numbers: Tensor
    functions: Tensor

    def __init__(self, space: FieldSpace, inputs: InputSpec) -> None:
        super().__init__()
        entries = space.prescribed
        owner = _owners(space)
        names = [info.name for info in space.fields]
        fields = np.array([names.index(e.field) for e in entries], np.int64)
        columns = np.array([_column(e.parameter, i, inputs) for i, e in enumerate(entries)], int)
        numbers = np.array([e.value for e in entries], np.float32)
        # All of it follows from the space, so nothing is saved with the weights.
        for name, array in (
            ("mask", owner >= 0),
            ("entry", np.maximum(owner, 0)),
            ("column", columns),
            ("field", fields),
            ("numbers", numbers),
            ("functions", _functions(space, owner).astype(np.float32)),
        ):
            self.register_buffer(name, torch.tensor(array), persistent=False)

    @property
    def present(self) -> bool:
        """Whether something is prescribed."""
        return len(self.numbers) > 0

    def impose(self, frames: Tensor, inputs: Tensor) -> Tensor:
        """Return physical frames (B, n) with the exact values for physical inputs (B, p)."""
        if not self.present:
            return frames
        values = self._values(inputs).to(frames.dtype)
        return torch.where(self.mask, values[:, self.entry], frames)

    def lifting(self, x: Tensor, scaling: InputScaling, normalisation: Normalisation) -> Tensor:
        """Return the extended values, (B, n), in normalised units.

        Parameters
        ----------
        x : (B, p) scaled inputs
        scaling : that scaled them
        normalisation : of the fields
        """
        wide = 0.5 * (x.to(torch.float64) + 1.0) * scaling.width + scaling.low
        natural = torch.where(scaling.log, wide, 0.0).exp()
        values = self._values(torch.where(scaling.log, natural, wide).float())
        mean, deviation = normalisation.mean[self.field], normalisation.deviation[self.field]
        return ((values - mean) / deviation).float() @ self.functions.T

    def _values(self, inputs: Tensor) -> Tensor:
        """Return the value of each entry, (B, k), physical."""
        return torch.cat([inputs, self.numbers.expand(len(inputs), -1)], dim=1)[:, self.column]


def _column(parameter: str | None, entry: int, inputs: InputSpec) -> int:
    """Return where an entry's value stands in the row of inputs followed by numbers."""
    if parameter is None:
        return inputs.n_inputs + entry
    if parameter not in inputs.parameters:
        raise UserError(
            f"Expected prescribed values by the parameters {list(inputs.parameters)}; received "
            f"{parameter!r}. Train with all parameters of the study as inputs."
        )
    return inputs.names.index(parameter)


def _owners(space: FieldSpace) -> IntArray:
    """Return the last entry that holds each value of a frame, (n,); -1 where it is free."""
    owner = np.full(space.n_values, -1, np.int64)
    for number, entry in enumerate(space.prescribed):
        owner[space.slices[entry.field]][entry.nodes] = number
    return owner


def _functions(space: FieldSpace, owner: IntArray) -> FloatArray:
    """Return the harmonic functions (n, k) of all entries over a frame."""
    functions = np.zeros((space.n_values, len(space.prescribed)))
    for info in space.fields:
        part = space.slices[info.name]
        if (owner[part] >= 0).any():
            points, cells = space.points_of(info.location), space.cells_of(info.location)
            graph = mesh_graph(points, cells)
            functions[part] = harmonic_functions(graph, owner[part], len(space.prescribed))
    return functions
