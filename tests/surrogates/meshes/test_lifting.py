from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from infra.errors import UserError
from infra.field_space import FieldSpace, Prescribed
from solvers.mesh import FloatArray, IntArray
from surrogates.inputs import InputSpec
from surrogates.networks.graph import mesh_graph
from surrogates.networks.lifting import PrescribedValues, harmonic_functions

type Mesh = tuple[FloatArray, IntArray]
type Square = Callable[[int], Mesh]


def test_harmonic_functions_are_a_partition_of_unity_between_zero_and_one(square: Square) -> None:
    points, cells = square(8)
    groups = np.full(len(points), -1)
    groups[points[:, 0] == 0], groups[points[:, 0] == 1] = 0, 1
    functions = harmonic_functions(mesh_graph(points, cells), groups, 2)
    np.testing.assert_allclose(functions.sum(axis=1), 1, atol=1e-12)
    assert functions.min() >= -1e-12
    np.testing.assert_array_equal(functions[groups == 0], np.tile([1.0, 0.0], (9, 1)))


def test_the_lifting_between_the_ends_of_an_interval_is_linear() -> None:
    points = np.linspace(0, 1, 11)[:, None]
    graph = mesh_graph(points, np.stack([np.arange(10), np.arange(1, 11)], axis=1))
    groups = np.array([0] + [-1] * 9 + [1])
    functions = harmonic_functions(graph, groups, 2)
    np.testing.assert_allclose(functions[:, 1], points[:, 0], atol=1e-12)


def test_a_part_of_the_mesh_without_prescribed_places_has_no_lifting() -> None:
    points = np.array([[0.0], [1.0], [2.0], [5.0], [6.0]])
    graph = mesh_graph(points, np.array([[0, 1], [1, 2], [3, 4]]))
    functions = harmonic_functions(graph, np.array([0, -1, -1, -1, -1]), 1)
    np.testing.assert_allclose(functions[:, 0], [1, 1, 1, 0, 0])


def test_imposed_values_equal_the_given_ones_to_the_last_bit(
    heated: FieldSpace, inputs: InputSpec
) -> None:
    known = PrescribedValues(heated, inputs)
    rows = torch.tensor([[123.456, 1.0, 0.5], [400.1, 1.0, 0.5]])
    frames = torch.randn(2, heated.n_values)
    imposed = known.impose(frames, rows)
    left, right = (entry.nodes for entry in heated.prescribed)
    assert torch.equal(imposed[:, left], rows[:, :1].expand(-1, len(left)))
    assert torch.equal(imposed[:, right], torch.full((2, len(right)), 273.15))
    free = ~known.mask
    assert torch.equal(imposed[:, free], frames[:, free])


def test_where_two_entries_share_a_place_the_later_one_holds(
    heated: FieldSpace, inputs: InputSpec
) -> None:
    corner = Prescribed("temperature", heated.prescribed[0].nodes[:1], None, 1.0)
    both = replace(heated, prescribed=(*heated.prescribed, corner))
    imposed = PrescribedValues(both, inputs).impose(
        torch.zeros(1, both.n_values), torch.tensor([[300.0, 1.0, 0.0]])
    )
    assert imposed[0, corner.nodes].tolist() == [1.0]
    assert imposed[0, heated.prescribed[0].nodes[1:]].tolist() == [300.0] * 8


def test_an_unknown_parameter_is_named(heated: FieldSpace) -> None:
    other = InputSpec.of({"viscosity": (1.0, 2.0)}, (0.0, 1.0))
    with pytest.raises(UserError, match="received 'left'"):
        PrescribedValues(heated, other)
