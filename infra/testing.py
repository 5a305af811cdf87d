"""A small dataset with known values, for the tests of this and other folders."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from infra.description import DatasetDescription
from infra.layout import ArraySpec, Layout, ParameterColumn, StaticArray
from infra.records import FailureRecord, Json, Provenance, Sample, SolveReport
from infra.stream import TrajectorySink

__all__ = [
    "example_failure",
    "example_provenance",
    "example_report",
    "expected_values",
    "frame_of",
    "put_all",
    "small_layout",
    "timeless_layout",
    "write_all",
    "write_frames",
]


def small_layout(n_samples: int = 3, n_frames: int = 4, n_nodes: int = 6) -> Layout:
    """Return a layout with every kind of array: fields, series, per-sample arrays, UGRID mesh."""
    samples = tuple(
        Sample(index, {"viscosity": 0.1 * (index + 1), "speed": 2.0}, 2**53 - index)
        for index in range(n_samples)
    )
    mesh = {"mesh": "mesh2d", "location": "node"}
    field = ("sample", "time", "node")
    return Layout(
        name="small",
        title="A small dataset",
        samples=samples,
        parameters=(
            ParameterColumn("viscosity", "m2 s-1", "kinematic viscosity"),
            ParameterColumn("speed", "m s-1", "inlet speed"),
        ),
        dims={"node": n_nodes, "face": 2, "corner": 3},
        times=np.linspace(0.0, 1.0, n_frames),
        arrays=(
            ArraySpec("velocity", field, "m s-1", "velocity", attrs=mesh),
            ArraySpec("pressure", field, "Pa", "pressure", "float32", mesh),
            ArraySpec("cell_kind", ("sample", "time", "face"), "1", "kind of cell", "int32"),
            ArraySpec("drag", ("sample", "time"), "1", "drag coefficient"),
            ArraySpec("position", ("sample", "node"), "m", "node position"),
            ArraySpec("n_iterations", ("sample",), "1", "iterations", "int64"),
        ),
        static=_mesh(n_nodes),
        attrs={"problem": "example"},
    )


def timeless_layout() -> Layout:
    """Return the small layout without times: a steady problem's arrays only."""
    layout = small_layout()
    kept = tuple(spec for spec in layout.arrays if not spec.streamed)
    return replace(layout, name="timeless", times=np.empty(0), arrays=kept)


def frame_of(description: DatasetDescription, sample: Sample, frame: int) -> dict[str, np.ndarray]:
    """Return values of all streamed arrays that depend on sample and frame."""
    return {
        spec.name: _numbers(description, spec, sample, frame)
        for spec in description.arrays
        if spec.streamed
    }


def expected_values(description: DatasetDescription, spec: ArraySpec, sample: Sample) -> np.ndarray:
    """Return what `write_all` leaves in this array for this sample."""
    if not spec.streamed:
        return _numbers(description, spec, sample, 0)
    frames = range(len(description.times))
    return np.stack([_numbers(description, spec, sample, frame) for frame in frames])


def write_frames(sink: TrajectorySink, description: DatasetDescription) -> None:
    """Write all frames of `frame_of` into an entered sink."""
    for frame in range(len(description.times)):
        sink.write(frame, frame_of(description, sink.sample, frame))


def put_all(sink: TrajectorySink, description: DatasetDescription) -> None:
    """Put all arrays without time into an entered sink."""
    for spec in description.arrays:
        if not spec.streamed:
            sink.put(spec.name, _numbers(description, spec, sink.sample, 0))


def write_all(sink: TrajectorySink, description: DatasetDescription) -> bool:
    """Write everything into an entered sink and commit."""
    write_frames(sink, description)
    put_all(sink, description)
    return sink.commit(example_report(), example_provenance())


def example_report() -> SolveReport:
    """Return a report with every entry, a NaN among them."""
    return SolveReport("finished", 40, 4, 1.5, 6.0, {"iterations": 120}, {"cfl": float("nan")})


def example_provenance() -> Provenance:
    """Return a provenance with every entry."""
    started, finished = "2026-01-01T00:00:00+00:00", "2026-01-01T00:01:00+00:00"
    return Provenance(
        "0" * 40, False, {"numpy": "2"}, {"ksp": "cg"}, 7, "node1", 4, started, finished
    )


def example_failure(sample: Sample) -> FailureRecord:
    """Return a failure of this sample."""
    return FailureRecord(sample, "diverged", "The flow became infinite.", example_provenance())


def _numbers(
    description: DatasetDescription, spec: ArraySpec, sample: Sample, frame: int
) -> np.ndarray:
    shape = description.frame_shape(spec)
    places = np.arange(int(np.prod(shape))).reshape(shape)
    return np.asarray(100 * sample.index + 10 * frame + places).astype(spec.dtype)


def _mesh(n_nodes: int) -> tuple[StaticArray, ...]:
    topology: Mapping[str, Json] = {
        "cf_role": "mesh_topology",
        "topology_dimension": 2,
        "node_coordinates": "node_x node_y",
        "face_node_connectivity": "face_nodes",
        "face_dimension": "face",
    }
    faces = np.array([[0, 1, 2], [2, 1, 3]], np.int32)
    return (
        StaticArray("mesh2d", (), np.array(0, np.int32), "1", "mesh topology", topology),
        StaticArray("node_x", ("node",), np.linspace(0.0, 1.0, n_nodes), "m", "x of node"),
        StaticArray("node_y", ("node",), np.zeros(n_nodes), "m", "y of node"),
        StaticArray(
            "face_nodes",
            ("face", "corner"),
            faces,
            "1",
            "nodes of each face",
            {"cf_role": "face_node_connectivity", "start_index": 0},
        ),
    )
