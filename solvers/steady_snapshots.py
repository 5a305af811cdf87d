"""What a steady problem stores: the arrays of its dataset, their units and names. No PETSc here."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from infra.description import DatasetDescription
from infra.layout import ArraySpec, Layout, ParameterColumn, StaticArray
from infra.records import Json, Sample
from solvers.mesh import ReferenceMesh
from solvers.parameters import ParameterSpace
from solvers.problem import Problem
from solvers.snapshots import AXES
from solvers.steady_case import Coefficient, SteadyCase

__all__ = [
    "RESIDUAL",
    "coefficient_arrays",
    "is_steady_mesh_of",
    "mesh_arrays",
    "steady_layout",
]

# The certificate of every sample.
RESIDUAL = "residual"
# What the topology is called, by dimension: UGRID's cells, and their connectivity.
_CELLS = {2: ("face", "face_node_connectivity"), 3: ("volume", "volume_node_connectivity")}


def steady_layout(
    name: str,
    problem: Problem,
    space: ParameterSpace,
    samples: Sequence[Sample],
    mesh: ReferenceMesh,
    attrs: Mapping[str, Any],
) -> Layout:
    """Return the layout of a steady problem's dataset; it has no time.

    Unknowns live on the vertices, coefficients on vertices or cells, and quantities of interest
    are one number per sample, as is the relative true residual of the linear system.

    Parameters
    ----------
    name, attrs : name of the dataset and further global attributes
    problem, space, samples : what is computed
    mesh : reference mesh
    """
    case = problem.case(samples[0].mu, mesh)
    assert isinstance(case, SteadyCase), "a problem of kind steady"
    return Layout(
        name=name,
        title=problem.title,
        samples=tuple(samples),
        parameters=tuple(ParameterColumn(p.name, p.unit, p.description) for p in space.parameters),
        dims={"vertex": mesh.n_vertices, "cell": len(mesh.cells), "corner": mesh.gdim + 1},
        times=np.empty(0),
        arrays=(*_fields(case, mesh.gdim), *_numbers(case)),
        static=mesh_arrays(mesh),
        attrs=attrs,
    )


def is_steady_mesh_of(description: DatasetDescription, mesh: ReferenceMesh) -> bool:
    """Tell whether a steady dataset was made for the vertices and cells of this mesh."""
    stored = {array.name: array.sha256 for array in description.static}
    return all(stored.get(a.name) == a.sha256 for a in (s.describe() for s in mesh_arrays(mesh)))


def coefficient_arrays(coefficients: Sequence[Coefficient], gdim: int) -> list[ArraySpec]:
    """Return the arrays of coefficients, one value per sample and vertex or cell."""
    location = {"vertex": "node", "cell": _CELLS[gdim][0]}
    return [
        ArraySpec(
            c.name, ("sample", c.on), c.units, c.long_name,
            attrs={"mesh": "mesh", "location": location[c.on], "role": "coefficient"},
        )
        for c in coefficients
    ]  # fmt: skip


def _fields(case: SteadyCase, gdim: int) -> list[ArraySpec]:
    return [
        *coefficient_arrays(case.coefficients, gdim),
        *(
            ArraySpec(
                u.name, ("sample", "vertex"), u.units, u.long_name,
                attrs={"mesh": "mesh", "location": "node", "role": "solution"},
            )
            for u in case.unknowns
        ),
    ]  # fmt: skip


def _numbers(case: SteadyCase) -> list[ArraySpec]:
    text = "true relative residual of the linear system, ||b - A x|| / ||b||"
    own = [(q.name, q.units, q.long_name) for q in case.quantities]
    return [
        ArraySpec(name, ("sample",), units, long_name)
        for name, units, long_name in (*own, (RESIDUAL, "1", text))
    ]


def mesh_arrays(mesh: ReferenceMesh) -> tuple[StaticArray, ...]:
    """Return topology, cells and positions of the vertices."""
    axes = AXES[: mesh.gdim]
    role = _CELLS[mesh.gdim][1]
    topology: dict[str, Json] = {
        "cf_role": "mesh_topology",
        "topology_dimension": mesh.gdim,
        "node_coordinates": " ".join(f"node_{a}" for a in axes),
        role: "cell_vertices",
    }
    return (
        StaticArray("mesh", (), np.array(0, np.int32), "1", "topology of the mesh", topology),
        StaticArray(
            "cell_vertices",
            ("cell", "corner"),
            mesh.cells.astype(np.int32),
            "1",
            "vertices of the cells",
            {"cf_role": role, "start_index": 0},
        ),
        *(
            StaticArray(f"node_{a}", ("vertex",), values.copy(), "m", f"{a} of the vertex")
            for a, values in zip(axes, mesh.points.T, strict=True)
        ),
    )
