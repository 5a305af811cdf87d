"""The problems of structures: every one of them is complete, checked and light."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from infra.errors import UserError
from solvers.laws.description import law_from
from solvers.problems.structures import STRUCTURES, structure_class
from solvers.problems.structures.problem import StructureProblem

SMALL: dict[str, dict[str, Any]] = {
    "cube": {"cells": 3},
    "notched-plate": {"around": 8, "away": 4, "through": 1},
    "blade": {"around": 12, "along": 4},
}
LIGHT = """
import sys
from solvers.problems.structures import STRUCTURES, structure_class
for name in STRUCTURES:
    structure_class(name)
import solvers.structures.state_files, solvers.structures.elements, solvers.structures.settings
heavy = {"dolfinx", "petsc4py", "mpi4py", "torch"} & set(sys.modules)
assert not heavy, heavy
"""


def made(name: str, **settings: Any) -> StructureProblem:
    kind = structure_class(name)
    return kind(kind.Settings(**{**SMALL[name], **settings}))


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_case_is_complete(name: str) -> None:
    case = made(name).case()
    case.loads.require_fits(case.mesh)
    law = law_from(case.law)
    assert law.size > 0
    assert case.times[0] == 0.0
    assert (np.diff(case.times) > 0).all()
    mask, values = case.loads.fixed(case.mesh, 0.0)
    assert mask.any(axis=0).all(), "a direction is free"
    assert not values.any()


@pytest.mark.parametrize("name", STRUCTURES)
def test_no_rigid_motion_is_left_free(name: str) -> None:
    case = made(name).case()
    mask, _ = case.loads.fixed(case.mesh, 0.0)
    points = case.mesh.points - case.mesh.points.mean(axis=0)
    turns = [np.cross(axis, points) / np.ptp(points) for axis in np.eye(3)]
    shifts = [np.tile(axis, (len(points), 1)) for axis in np.eye(3)]
    motions = np.stack([*shifts, *turns])[:, mask > 0]
    assert np.linalg.svd(motions, compute_uv=False)[-1] > 1e-3


@pytest.mark.parametrize("name", STRUCTURES)
def test_defaults_lie_within_bounds_and_others_are_refused(name: str) -> None:
    problem = made(name)
    assert set(problem.defaults) == set(problem.space().names)
    with pytest.raises(UserError, match="no_such"):
        problem.case({"no_such": 1.0})
    first = problem.space().parameters[0]
    with pytest.raises(UserError, match=first.name):
        problem.case({first.name: first.high + 1.0})


@pytest.mark.parametrize("name", STRUCTURES)
def test_parameters_change_the_loads(name: str) -> None:
    problem = made(name)
    mesh = problem.mesh()
    for parameter in problem.space().free:
        low, high = (problem.case({parameter.name: x}, mesh) for x in
                     (parameter.low, parameter.high))  # fmt: skip
        assert repr(vars(low.loads)) != repr(vars(high.loads)) or (
            low.law != high.law or not np.array_equal(low.times, high.times)
        ), parameter.name


@pytest.mark.parametrize("name", STRUCTURES)
def test_the_same_settings_give_the_same_mesh(name: str) -> None:
    assert made(name).mesh().digest == made(name).mesh().digest


def test_the_parity_cube_has_the_published_size() -> None:
    mesh = structure_class("cube")(structure_class("cube").Settings()).mesh()
    assert (mesh.n_nodes, mesh.n_cells, mesh.n_material_points) == (343, 216, 1728)


def test_the_plate_has_the_volume_of_a_plate_with_notches() -> None:
    mesh = made("notched-plate", around=64, away=6).mesh()
    exact = (10.0 * 20.0 - np.pi * 3.0**2 / 4.0) * 1.0
    assert mesh.material_weights.sum() == pytest.approx(exact, rel=1e-4)


def test_the_blade_is_hollow_and_coldest_inside() -> None:
    problem = made("blade")
    case = problem.case({"hot": 900.0, "cold": 500.0})
    assert case.loads.temperature is not None
    fields = case.loads.temperature.fields
    full = fields[1].reshape(12, 3, 5)
    np.testing.assert_allclose(full[:, -1], 500.0)
    assert (np.diff(full, axis=1) < 0).all()
    assert full.max() == pytest.approx(900.0)
    np.testing.assert_allclose(fields[0], 20.0)


def test_a_notch_wider_than_the_plate_is_refused() -> None:
    with pytest.raises(ValidationError, match="radius: expected less than"):
        made("notched-plate", radius=9.5)


def test_an_unknown_problem_is_named_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"Did you mean notched-plate\?"):
        structure_class("notched-plates")


def test_problems_load_no_heavy_library() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIGHT], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
