"""What a flow stores: the arrays of its dataset, their units and names. No PETSc here."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from infra.description import DatasetDescription
from infra.layout import ArraySpec, Layout, ParameterColumn, StaticArray
from infra.records import Json, Sample
from solvers.mesh import FloatArray, ReferenceMesh
from solvers.parameters import ParameterSpace
from solvers.problem import FlowCase, Force, PressureDifference, Problem

__all__ = [
    "AXES",
    "FRAME_SERIES",
    "flow_layout",
    "geometry_varies",
    "is_mesh_of",
    "stores_positions",
]

AXES = ("x", "y", "z")
# Series that every flow has beside the forces and pressure differences of its problem.
FRAME_SERIES = {
    "kinetic_energy": ("m4 s-2", "kinetic energy over density, per metre of depth"),
    "divergence": ("m s-1", "L2 norm of the velocity's divergence"),
    "courant": ("1", "Courant number of the last step"),
}
_ON_NODES = {"mesh": "mesh", "location": "node"}


def geometry_varies(problem: Problem, mesh: ReferenceMesh, samples: Sequence[Sample]) -> bool:
    """Tell whether any sample moves the reference mesh."""
    return any(
        not np.array_equal(problem.deform(mesh.points, sample.mu), mesh.points)
        for sample in samples
    )


def stores_positions(description: DatasetDescription) -> bool:
    """Tell whether a flow's dataset keeps the node positions of each sample."""
    return "node_x" in description.specs


def is_mesh_of(description: DatasetDescription, mesh: ReferenceMesh) -> bool:
    """Tell whether a flow's dataset was made for the nodes and cells of this mesh."""
    stored = {array.name: array.sha256 for array in description.static}
    expected = [array.describe() for array in _static(mesh, stores_positions(description))]
    return all(stored.get(array.name) == array.sha256 for array in expected)


def flow_layout(
    name: str,
    problem: Problem,
    space: ParameterSpace,
    samples: Sequence[Sample],
    mesh: ReferenceMesh,
    times: FloatArray,
    attrs: Mapping[str, Any],
) -> Layout:
    """Return the layout of a flow's dataset.

    Velocity lives on the quadratic nodes (vertices first, then edge midpoints), pressure on the
    vertices: ``node i < n_vertices`` is vertex i. Where parameters deform the mesh, the node
    positions are stored per sample.

    Parameters
    ----------
    name, attrs : name of the dataset and further global attributes
    problem, space, samples : what is computed
    mesh : reference mesh
    times : (n_times,) output times, s
    """
    varies = geometry_varies(problem, mesh, samples)
    case = problem.case(samples[0].mu, mesh)
    assert isinstance(case, FlowCase), "a problem of kind flow"
    axes = AXES[: mesh.gdim]
    return Layout(
        name=name,
        title=problem.title,
        samples=tuple(samples),
        parameters=tuple(ParameterColumn(p.name, p.unit, p.description) for p in space.parameters),
        dims={
            "node": mesh.n_nodes,
            "vertex": mesh.n_vertices,
            "face": 4 * len(mesh.cells),
            "cell": len(mesh.cells),
            "corner": 3,
        },
        times=times,
        arrays=(*_fields(axes), *(_positions(axes) if varies else ()), *_series(case)),
        static=_static(mesh, varies),
        attrs=attrs,
    )


def _fields(axes: Sequence[str]) -> list[ArraySpec]:
    dims, text = ("sample", "time", "node"), "kinematic pressure (pressure / density)"
    return [
        *(
            ArraySpec(f"velocity_{a}", dims, "m s-1", f"velocity along {a}", attrs=_ON_NODES)
            for a in axes
        ),
        ArraySpec("pressure", ("sample", "time", "vertex"), "m2 s-2", text),
    ]


def _positions(axes: Sequence[str]) -> list[ArraySpec]:
    dims = ("sample", "node")
    return [
        ArraySpec(f"node_{a}", dims, "m", f"{a} of the node", attrs={"axis": a.upper()})
        for a in axes
    ]


def _series(case: FlowCase) -> list[ArraySpec]:
    dims = ("sample", "time")
    quantities: tuple[Force | PressureDifference, ...] = (*case.forces, *case.differences)
    own = [(q.name, q.units, q.long_name) for q in quantities]
    common = [(name, units, text) for name, (units, text) in FRAME_SERIES.items()]
    return [ArraySpec(name, dims, units, text) for name, units, text in (*own, *common)]


def _static(mesh: ReferenceMesh, varies: bool) -> tuple[StaticArray, ...]:
    """Return the triangulation through all nodes, the cells, and the reference positions."""
    axes = AXES[: mesh.gdim]
    prefix = "reference_" if varies else ""
    nodes = mesh.node_positions(mesh.points)
    topology: dict[str, Json] = {
        "cf_role": "mesh_topology",
        "topology_dimension": 2,
        "node_coordinates": " ".join(f"{prefix}node_{a}" for a in axes),
        "face_node_connectivity": "face_nodes",
    }
    return (
        StaticArray(
            "mesh", (), np.array(0, np.int32), "1", "topology of the triangulation", topology
        ),
        StaticArray(
            "face_nodes",
            ("face", "corner"),
            mesh.triangles.astype(np.int32),
            "1",
            "nodes of the linear triangles through all nodes, four to a cell",
            {"cf_role": "face_node_connectivity", "start_index": 0},
        ),
        StaticArray(
            "cell_vertices",
            ("cell", "corner"),
            mesh.cells.astype(np.int32),
            "1",
            "vertices of the cells",
            {"start_index": 0},
        ),
        *(
            StaticArray(f"{prefix}node_{a}", ("node",), values, "m", f"{prefix}{a} of the node")
            for a, values in zip(axes, nodes.T, strict=True)
        ),
    )
