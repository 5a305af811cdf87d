"""From the layouts that the solvers write to the fields and inputs of a surrogate."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from infra.dataset_space import field_space_of
from infra.errors import UserError
from infra.field_space import FieldSpace
from infra.layout import ArraySpec, Layout, ParameterColumn, StaticArray
from infra.records import Json, Sample
from infra.streaming.frames import stream_spec
from surrogates.dataset_inputs import input_spec_of

_DIMS = {"node": 6, "vertex": 3, "face": 4, "cell": 1, "corner": 3}
_POSITIONS = np.array([[0, 0], [2, 0], [0, 2], [1, 0], [1, 1], [0, 1]], np.float64)
_FACES = np.array([[0, 3, 5], [3, 1, 4], [5, 4, 2], [3, 4, 5]], np.int32)


def test_a_flow_has_velocities_on_nodes_and_pressure_on_the_first_of_them() -> None:
    layout = _flow()
    space = _space(layout)
    assert [(f.name, f.units, f.location) for f in space.fields] == [
        ("velocity_x", "m s-1", "node"),
        ("pressure", "m2 s-2", "vertex"),
    ]
    spec = stream_spec(layout.description)
    assert [(f.name, f.size) for f in space.fields] == list(spec.fields)
    np.testing.assert_array_equal(space.points["node"], _POSITIONS)
    np.testing.assert_array_equal(space.points["vertex"], _POSITIONS[:3])
    np.testing.assert_array_equal(space.cells["node"], _FACES)
    np.testing.assert_array_equal(space.cells["vertex"], [[0, 1, 2]])


def test_where_the_mesh_moves_the_reference_mesh_counts() -> None:
    layout = _flow()
    moved = tuple(
        replace(a, name=f"reference_{a.name}") if a.name.startswith("node_") else a
        for a in layout.static
    )
    positions = ArraySpec("node_x", ("sample", "node"), "m", "x of the node")
    space = _space(replace(layout, static=moved, arrays=(*layout.arrays, positions)))
    np.testing.assert_array_equal(space.points["vertex"], _POSITIONS[:3])
    assert [f.name for f in space.fields] == ["velocity_x", "pressure"]


def test_a_steady_dataset_gives_its_solutions_on_vertices() -> None:
    space = _space(_steady())
    assert [(f.name, f.location) for f in space.fields] == [("temperature", "vertex")]
    np.testing.assert_array_equal(space.points["vertex"], _POSITIONS[:3])
    np.testing.assert_array_equal(space.cells["vertex"], [[0, 1, 2]])
    inputs = input_spec_of(_steady().description)
    assert (inputs.high, inputs.output_times) == ((0.5, 0.0), ())


def test_prescribed_parts_become_places_with_a_parameter_or_a_number() -> None:
    space = _space(_steady(prescribed={"left": "hot", "right": 3}))
    left, right = space.prescribed
    assert (left.field, left.parameter, list(left.nodes)) == ("temperature", "hot", [0, 2])
    assert (right.parameter, right.value, list(right.nodes)) == (None, 3.0, [1])


@pytest.mark.parametrize(
    ("prescribed", "word"),
    [({"top": 1}, "'top'"), ({"left": "cold"}, "'cold'"), ({"left": True}, "True")],
)
def test_prescribed_values_that_contradict_the_dataset_are_a_users_error(
    prescribed: dict[str, Json], word: str
) -> None:
    with pytest.raises(UserError, match=word):
        _space(_steady(prescribed=prescribed))


def test_prescribed_values_need_the_parts_of_the_boundary() -> None:
    layout = _steady(prescribed={"left": "hot"})
    static = tuple(a for a in layout.static if a.name != "vertex_part")
    with pytest.raises(UserError, match="vertex_part"):
        _space(replace(layout, static=static))


def test_a_dataset_without_positions_gives_fields_only() -> None:
    layout = _flow()
    static = tuple(a for a in layout.static if not a.name.startswith("node_"))
    space = _space(replace(layout, static=static))
    assert space.n_values == 9
    assert not space.points


def test_inputs_are_the_parameters_and_the_output_times() -> None:
    description = _flow().description
    inputs = input_spec_of(description)
    assert inputs.names == ("hot", "time")
    assert (inputs.low, inputs.high) == ((0.1, 1.0), (0.5, 3.0))
    assert inputs.output_times == (1.0, 3.0)
    assert input_spec_of(description, {"hot": (0, 1)}).high == (1.0, 3.0)
    with pytest.raises(UserError, match="cold"):
        input_spec_of(description, {"cold": (0, 1)})


def _space(layout: Layout) -> FieldSpace:
    return field_space_of(layout.description, _static(layout))


def _static(layout: Layout) -> Callable[[str], NDArray[np.generic]]:
    values = {array.name: np.asarray(array.values) for array in layout.static}
    return values.__getitem__


def _mesh(base: str, n_points: int) -> tuple[StaticArray, ...]:
    return (
        StaticArray("cell_vertices", ("cell", "corner"), np.array([[0, 1, 2]], np.int32), "1", "c"),
        StaticArray("face_nodes", ("face", "corner"), _FACES, "1", "f"),
        *(
            StaticArray(f"node_{axis}", (base,), _POSITIONS[:n_points, i], "m", axis)
            for i, axis in enumerate("xy")
        ),
    )


def _flow() -> Layout:
    return Layout(
        name="flow",
        title="A flow",
        samples=(Sample(0, {"hot": 0.1}, 0), Sample(1, {"hot": 0.5}, 1)),
        parameters=(ParameterColumn("hot", "K", "temperature"),),
        dims=_DIMS,
        times=np.array([1.0, 3.0]),
        arrays=(
            ArraySpec("velocity_x", ("sample", "time", "node"), "m s-1", "velocity"),
            ArraySpec("pressure", ("sample", "time", "vertex"), "m2 s-2", "pressure"),
            ArraySpec("kind", ("sample", "time", "cell"), "1", "kind", "int32"),
            ArraySpec("drag", ("sample", "time"), "1", "drag"),
        ),
        static=_mesh("node", 6),
    )


def _steady(prescribed: dict[str, Json] | None = None) -> Layout:
    attrs: dict[str, Json] = {"role": "solution"}
    if prescribed is not None:
        attrs["prescribed"] = dict(prescribed)
    flags: dict[str, Json] = {"flag_values": [0, 1, 2], "flag_meanings": "none left right"}
    part = StaticArray("vertex_part", ("vertex",), np.array([1, 2, 1], np.int32), "1", "p", flags)
    mesh = tuple(a for a in _mesh("vertex", 3) if a.name != "face_nodes")
    return replace(
        _flow(),
        times=np.empty(0),
        arrays=(
            ArraySpec(
                "conductivity", ("sample", "vertex"), "1", "k", attrs={"role": "coefficient"}
            ),
            ArraySpec("temperature", ("sample", "vertex"), "K", "T", attrs=attrs),
            ArraySpec("residual", ("sample",), "1", "residual"),
        ),
        static=(*mesh, part),
    )
