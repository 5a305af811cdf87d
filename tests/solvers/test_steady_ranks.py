"""Any number of MPI ranks stores the same steady solutions, in canonical order.

Every number here comes from ``mpiexec -n ranks python -m solvers chunk.json``.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from solvers.boxes import box_mesh
from solvers.chunk import make_problem

pytestmark = pytest.mark.mpi

# Tiny: three ranks share two cores on the machines of the continuous integration.
TINY: Mapping[str, tuple[Mapping[str, Any], list[Mapping[str, float]]]] = {
    "darcy": ({"cells": 5, "modes": 4}, [{}, {"xi_1": 1.0, "contrast": 100.0}]),
    "darcy in space": ({"cells": 3, "modes": 4, "dimension": 3}, [{}, {"xi_3": -2.0}]),
    "darcy-fv": ({"cells": 6, "modes": 4}, [{}, {"xi_1": 1.0, "contrast": 100.0}]),
    "thermal": ({"cells": 4}, [{}, {"flux_top": 50.0}, {"temperature_left": 300.0}]),
    "helmholtz": ({"highest_wavenumber": 9.0, "modes": 2}, [{"wavenumber": 8.0}, {"xi_1": 1.0}]),
    "convection-diffusion": ({"cells": 6, "modes": 3}, [{}, {"xi_1": 2.0}]),
    "skr-darcy": ({"cells": 6, "modes": 3}, [{}, {"xi_1": 2.0}]),
}
# Solutions differ by what the tolerance leaves, times a condition number.
LINEAR = {"rtol": 1e-11, "method": "direct"}


def computed(lab: Any, name: str, ranks: int, **linear: Any) -> Any:
    settings, mus = TINY[name]
    return lab.compute(lab.steady(name.split()[0], settings, mus, **{**LINEAR, **linear}), ranks)


def assert_same(one: Any, other: Any, tolerance: float) -> None:
    assert one.store.committed() == other.store.committed() == set(one.job.samples)
    for index in one.job.samples:
        for array in one.store.description.arrays:
            if array.name == "residual":
                continue
            expected, found = (s.store.read(index, array.name) for s in (one, other))
            worst = np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-300)
            assert worst <= tolerance, f"sample {index}, {array.name}: {worst:.1e}"


@pytest.fixture(scope="module", params=list(TINY))
def serial(request: pytest.FixtureRequest, lab: Any) -> tuple[str, Any]:
    return request.param, computed(lab, request.param, 1)


@pytest.mark.parametrize("ranks", [2, 3])
def test_the_number_of_ranks_changes_no_stored_value(
    serial: tuple[str, Any], lab: Any, ranks: int
) -> None:
    name, alone = serial
    assert_same(alone, computed(lab, name, ranks), 1e-8)


def test_learned_choices_change_no_stored_value_beyond_the_tolerance(lab: Any) -> None:
    learned = computed(lab, "darcy", 2, method="auto", cost="operations", rtol=1e-10)
    assert_same(computed(lab, "darcy", 1), learned, 1e-7)


def test_coefficients_and_solutions_are_in_the_order_of_the_reference_mesh(lab: Any) -> None:
    study = computed(lab, "darcy", 3)
    problem, mesh = make_problem("darcy", TINY["darcy"][0]), box_mesh(2, 5)
    for index, sample in enumerate(study.store.samples):
        case = problem.case(sample.mu, mesh)
        expected = case.coefficients[0].values  # type: ignore[union-attr]
        np.testing.assert_array_equal(study.store.read(index, "permeability"), expected)
        on_edge = ((mesh.points == 0) | (mesh.points == 1)).any(axis=1)
        np.testing.assert_array_equal(study.store.read(index, "pressure") == 0.0, on_edge)


def test_ranks_without_a_cell_do_no_harm(lab: Any) -> None:
    # Nine ranks, eight triangles.
    alone, crowd = (
        lab.compute(lab.steady("darcy", {"cells": 2, "modes": 1}, [{}], **LINEAR), ranks)
        for ranks in (1, 9)
    )
    assert_same(alone, crowd, 1e-9)


def test_a_bad_sample_fails_on_all_ranks_and_the_next_one_goes_on(lab: Any) -> None:
    study = lab.steady("darcy", {"cells": 4, "modes": 2}, [{}, {"xi_0": 0.0}, {"xi_1": 1.0}])
    lab.compute(study, 2)
    assert study.store.committed() == {0, 2}
    assert study.store.failures()[1].reason == "coefficients"
