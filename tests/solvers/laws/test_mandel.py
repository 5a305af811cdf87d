"""Laws of the Mandel notation."""

from collections.abc import Callable

import numpy as np
import pytest

from solvers.laws.mandel import (
    deviator,
    deviator_projector,
    from_tensor,
    identity,
    norm,
    rotation,
    to_tensor,
    trace,
    volume_projector,
    von_mises,
)
from solvers.mesh import FloatArray


@pytest.fixture
def pair() -> FloatArray:
    matrices = np.random.default_rng(1).standard_normal((2, 5, 3, 3))
    return np.asarray(matrices + np.swapaxes(matrices, -1, -2))


def test_double_contraction_is_the_dot_product(pair: FloatArray) -> None:
    a, b = pair
    expected = np.einsum("nij,nij->n", a, b)
    assert np.einsum("ni,ni->n", from_tensor(a), from_tensor(b)) == pytest.approx(expected)
    assert norm(from_tensor(a)) == pytest.approx(np.linalg.norm(a, axis=(1, 2)))


def test_components_come_in_their_order() -> None:
    matrix = np.array([[1.0, 6, 5], [6, 2, 4], [5, 4, 3]])
    plain = from_tensor(matrix) / np.array([1.0, 1, 1, *[np.sqrt(2)] * 3])
    assert plain == pytest.approx([1.0, 2, 3, 4, 5, 6])


def test_matrices_come_back(pair: FloatArray) -> None:
    assert to_tensor(from_tensor(pair)) == pytest.approx(pair)


def test_projectors_split_the_space() -> None:
    volume, rest = volume_projector(), deviator_projector()
    assert volume @ volume == pytest.approx(volume)
    assert np.abs(volume @ rest).max() < 1e-15
    assert volume + rest == pytest.approx(np.eye(6))
    assert volume @ identity() == pytest.approx(identity())


def test_the_deviator_has_no_trace(pair: FloatArray) -> None:
    tensors = from_tensor(pair[0])
    assert trace(deviator(tensors)) == pytest.approx(0.0, abs=1e-14)
    assert deviator(tensors) == pytest.approx(tensors @ deviator_projector())
    assert trace(tensors) == pytest.approx(np.trace(pair[0], axis1=1, axis2=2))


def test_von_mises_of_tension_and_of_shear() -> None:
    tension = np.array([7.0, 0, 0, 0, 0, 0])
    shear = np.array([0.0, 0, 0, np.sqrt(2.0) * 7.0, 0, 0])
    pressure = 7.0 * identity()
    assert von_mises(np.stack([tension, shear, pressure])) == pytest.approx(
        [7.0, 7.0 * np.sqrt(3.0), 0.0]
    )


def test_turning_components_turns_the_tensor(
    pair: FloatArray, random_turn: Callable[[int], FloatArray]
) -> None:
    turn = random_turn(2)
    matrix = rotation(turn)
    assert matrix @ matrix.T == pytest.approx(np.eye(6), abs=1e-14)
    turned = from_tensor(turn @ pair[0] @ turn.T)
    assert from_tensor(pair[0]) @ matrix.T == pytest.approx(turned)
