"""What a linear problem in time stores: arrays of its dataset, units and names. No PETSc here."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from infra.layout import ArraySpec, Layout, ParameterColumn, StaticArray
from infra.records import Json, Sample
from solvers.mesh import FloatArray, ReferenceMesh
from solvers.parameters import ParameterSpace
from solvers.problem import Problem
from solvers.steady_snapshots import RESIDUAL, coefficient_arrays, mesh_arrays
from solvers.transient_case import TransientCase

__all__ = ["PARTS", "transient_layout"]

# Tells for each vertex which boundary part prescribes its value.
PARTS = "vertex_part"


def transient_layout(
    name: str,
    problem: Problem,
    space: ParameterSpace,
    samples: Sequence[Sample],
    mesh: ReferenceMesh,
    times: FloatArray,
    attrs: Mapping[str, Any],
) -> Layout:
    """Return the layout of the dataset of a linear problem in time.

    The solution lives on the vertices, one value per output time; quantities of interest are one
    number per output time. Coefficients and the largest residual are stored once per sample.
    ``vertex_part`` and the solution's attribute ``prescribed`` (part: name of a parameter, or a
    number) tell which values are given, so that others can give them exactly.

    Parameters
    ----------
    name, attrs : name of the dataset and further global attributes
    problem, space, samples : what is computed
    mesh : reference mesh
    times : (n_times,) output times, s
    """
    case = problem.case(samples[0].mu, mesh)
    assert isinstance(case, TransientCase), "a problem of kind transient"
    return Layout(
        name=name,
        title=problem.title,
        samples=tuple(samples),
        parameters=tuple(ParameterColumn(p.name, p.unit, p.description) for p in space.parameters),
        dims={"vertex": mesh.n_vertices, "cell": len(mesh.cells), "corner": mesh.gdim + 1},
        times=times,
        arrays=tuple(_arrays(case, mesh.gdim)),
        static=(*mesh_arrays(mesh), _vertex_parts(mesh, tuple(case.held))),
        attrs=attrs,
    )


def _arrays(case: TransientCase, gdim: int) -> list[ArraySpec]:
    unknown, held = case.unknown, dict[str, Json](case.held)
    attrs: dict[str, Json] = {"mesh": "mesh", "location": "node", "role": "solution"}
    text = "largest true relative residual of the linear systems, ||b - A x|| / ||b||"
    return [
        *coefficient_arrays(case.coefficients, gdim),
        ArraySpec(
            unknown.name, ("sample", "time", "vertex"), unknown.units, unknown.long_name,
            attrs={**attrs, "prescribed": held},
        ),
        *(ArraySpec(q.name, ("sample", "time"), q.units, q.long_name) for q in case.quantities),
        ArraySpec(RESIDUAL, ("sample",), "1", text),
    ]  # fmt: skip


def _vertex_parts(mesh: ReferenceMesh, parts: Sequence[str]) -> StaticArray:
    """Return the number of the part that prescribes each vertex; where parts meet the last one."""
    values = np.zeros(mesh.n_vertices, np.int32)
    for number, part in enumerate(parts, start=1):
        values[mesh.facets[mesh.tags == mesh.names[part]]] = number
    flags: dict[str, Json] = {
        "flag_values": list(range(len(parts) + 1)),
        "flag_meanings": " ".join(("none", *parts)),
    }
    text = "boundary part that prescribes the value at the vertex"
    return StaticArray(PARTS, ("vertex",), values, "1", text, flags)
