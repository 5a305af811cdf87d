"""Nodal forces of loads: resultants and moments are those of the load."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from infra.errors import UserError
from solvers.loads import Amplitude, Centrifugal, LoadCase, Pressure
from solvers.structures.applied import AppliedForces, centrifugal_forces, pressure_forces

KINDS = ("hexahedron", "tetrahedron", "tetrahedron10")
ONE = Amplitude.constant()


@pytest.mark.parametrize("kind", KINDS)
def test_a_pressure_pushes_against_the_outward_normal(box: Callable[..., Any], kind: str) -> None:
    mesh = box((2, 3, 2), (1.0, 2.0, 3.0), kind)
    for axis, area in enumerate((6.0, 3.0, 2.0)):
        for end, sign in ((0, 1.0), (1, -1.0)):
            total = pressure_forces(mesh, f"{'xyz'[axis]}{end}").sum(axis=0)
            np.testing.assert_allclose(total, sign * area * np.eye(3)[axis], atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pressure_all_around_is_in_balance(box: Callable[..., Any], kind: str) -> None:
    mesh = box((2, 2, 3), (1.0, 2.0, 3.0), kind)
    forces = sum(pressure_forces(mesh, f"{axis}{end}") for axis in "xyz" for end in (0, 1))
    np.testing.assert_allclose(np.sum(forces, axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(np.cross(mesh.points, forces).sum(axis=0), 0.0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_rotation_pulls_with_mass_times_speed_squared_times_distance(
    box: Callable[..., Any], kind: str
) -> None:
    mesh = box((2, 2, 2), (1.0, 2.0, 3.0), kind, 0.2)
    load = Centrifugal((3.0, 4.0, 5.0), (0.0, 0.0, 2.0), 100.0, 1e-8, ONE)
    total = centrifugal_forces(mesh, load).sum(axis=0)
    arm = np.array([0.5 - 3.0, 1.0 - 4.0, 0.0])
    np.testing.assert_allclose(total, 6.0 * 1e-8 * 100.0**2 * arm, rtol=1e-12, atol=1e-16)


def test_forces_follow_their_amplitudes_and_add_up(box: Callable[..., Any]) -> None:
    mesh = box()
    ramp = Amplitude((0.0, 2.0), (0.0, 1.0))
    loads = LoadCase((), (Pressure("x1", 3.0, ramp), Pressure("y1", 5.0, ONE)))
    applied = AppliedForces(mesh, loads)
    expected = 1.5 * pressure_forces(mesh, "x1") + 5.0 * pressure_forces(mesh, "y1")
    np.testing.assert_allclose(applied.at(1.0), expected, rtol=1e-14)
    np.testing.assert_allclose(AppliedForces(mesh, LoadCase(())).at(1.0), 0.0)


def test_a_load_on_an_unknown_region_is_named(box: Callable[..., Any]) -> None:
    with pytest.raises(UserError, match=r"x0, x1.*'top'"):
        AppliedForces(box(), LoadCase((), (Pressure("top", 1.0, ONE),)))
