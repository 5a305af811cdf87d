"""Small meshes and inputs for the tests of the surrogates."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from infra.field_space import FieldInfo, FieldSpace, Prescribed
from infra.streaming.memory import MemoryLink
from surrogates.inputs import InputSpec
from surrogates.testing_intake import SPEC, Room

type Space = Callable[..., FieldSpace]


def _square(cells: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return points and triangles of the unit square, its lower left corner the first point."""
    axis = np.linspace(0.0, 1.0, cells + 1)
    points = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    number = np.arange(len(points)).reshape(cells + 1, cells + 1)
    a, b, c, d = number[:-1, :-1], number[1:, :-1], number[:-1, 1:], number[1:, 1:]
    triangles = [np.stack([a, b, d], axis=-1), np.stack([a, d, c], axis=-1)]
    return points, np.concatenate([t.reshape(-1, 3) for t in triangles])


def _vertices_first(cells: int) -> tuple[NDArray[np.float64], NDArray[np.int64], int]:
    """Return a mesh of 2 x `cells` whose every second point along both axes comes first."""
    points, triangles = _square(2 * cells)
    place = np.rint(points * 2 * cells).astype(int)
    order = np.argsort((place % 2).any(axis=1), kind="stable")
    rank = np.argsort(order)
    return points[order], rank[triangles], (cells + 1) ** 2


@pytest.fixture
def square_space() -> Space:
    """Return a function that makes a space of two fields on a square of `cells` x `cells`."""

    def make(cells: int = 8, *, prescribed: bool = False) -> FieldSpace:
        points, triangles = _square(cells)
        fields = (
            FieldInfo("temperature", "K", len(points), "vertex"),
            FieldInfo("humidity", "1", len(points), "vertex"),
        )
        left = np.flatnonzero(points[:, 0] == 0)
        right = np.flatnonzero(points[:, 0] == 1)
        entries = (Prescribed("temperature", left, "a"), Prescribed("humidity", right, None, 0.5))
        known = entries if prescribed else ()
        return FieldSpace(fields, {"vertex": points}, {"vertex": triangles}, known)

    return make


@pytest.fixture
def flow_space() -> Space:
    """Return a function that makes a space with two locations, as flows have."""

    def make(cells: int = 4) -> FieldSpace:
        points, triangles, n_vertices = _vertices_first(cells)
        _, coarse = _square(cells)
        fields = (
            FieldInfo("velocity_x", "m s-1", len(points), "node"),
            FieldInfo("velocity_y", "m s-1", len(points), "node"),
            FieldInfo("pressure", "m2 s-2", n_vertices, "vertex"),
        )
        places = {"node": points, "vertex": points[:n_vertices]}
        return FieldSpace(fields, places, {"node": triangles, "vertex": coarse})

    return make


@pytest.fixture
def inputs() -> InputSpec:
    """Return two parameters of different size, and the time."""
    return InputSpec.of({"a": (100.0, 500.0), "b": (-0.1, 0.1)}, (0.0, 2.0))


@pytest.fixture
def generator() -> torch.Generator:
    """Return a generator of random tensors."""
    return torch.Generator().manual_seed(7)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    """Give a room whose intakes end with the test."""
    room = Room(tmp_path, MemoryLink(SPEC))
    yield room
    for intake in room.intakes:
        intake.stop()
