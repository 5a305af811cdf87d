"""Any number of MPI ranks stores the same trajectories, the same number of ranks the same bits.

Every number here comes from ``mpiexec -n ranks python -m solvers chunk.json``.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from solvers.problems.taylor_green import exact_velocity
from solvers.settings import TimeSettings

pytestmark = pytest.mark.mpi

# Tiny: three ranks share two cores on the machines of the continuous integration.
TINY: Mapping[str, tuple[Mapping[str, Any], list[Mapping[str, float]], TimeSettings]] = {
    "cylinder": (
        {"size": 0.03, "far_size": 0.1},
        [
            {},
            {"radius": 0.045, "centre_y": 0.22},
            {"reynolds": 50.0, "amplitude": 0.3, "frequency": 3.0},
        ],
        TimeSettings(end=0.03, frames=4, cfl=0.7),
    ),
    "cavity": (
        {"cells": 5},
        [{}, {"aspect_ratio": 1.5, "lid_speed": 2.0}, {"viscosity": 0.1}],
        TimeSettings(start=0.1, end=0.3, frames=3, cfl=0.7),
    ),
    "backward-step": (
        {"cells": 4, "upstream": 0.5, "downstream": 4.0},
        [{}, {"step_height": 0.4}, {"reynolds": 50.0}],
        TimeSettings(end=0.3, frames=3, step=0.05),
    ),
    "taylor-green": (
        {"cells": 4},
        [{}, {"viscosity": 0.1}],
        TimeSettings(end=0.2, frames=3, step=0.05),
    ),
}
RANKS = (2, 3)


@pytest.fixture(scope="module", params=list(TINY))
def serial(request: pytest.FixtureRequest, lab: Any) -> Any:
    """Give the study of a problem, computed by one rank."""
    return lab.compute(lab.study(request.param, *TINY[request.param]), 1)


@pytest.fixture(scope="module")
def twice(lab: Any) -> tuple[Any, Any]:
    """Give the cylinder's study, computed twice by two ranks."""
    one, other = (lab.compute(lab.study("cylinder", *TINY["cylinder"]), 2) for _ in range(2))
    return one, other


@pytest.mark.parametrize("ranks", RANKS)
def test_the_number_of_ranks_changes_no_stored_value(serial: Any, lab: Any, ranks: int) -> None:
    name = serial.job.problem
    parallel = lab.compute(lab.study(name, *TINY[name]), ranks)
    one, other = serial.store, parallel.store
    assert one.committed() == other.committed() == set(serial.job.samples)
    for index in serial.job.samples:
        assert parallel.store.record(index).provenance.ranks == ranks
        for array in one.description.arrays:
            expected, found = (s.read(index, array.name) for s in (one, other))
            scale = np.nanmax(np.abs(expected))
            message = f"{name}, sample {index}, {array.name}"
            np.testing.assert_array_equal(np.isnan(found), np.isnan(expected), err_msg=message)
            worst = np.nanmax(np.abs(found - expected)) / scale if scale > 0 else 0.0
            assert worst <= 1e-9, f"{message}: relative difference {worst:.1e}"


@pytest.mark.parametrize("ranks", RANKS)
def test_stored_nodes_are_in_the_order_of_the_reference_mesh(lab: Any, ranks: int) -> None:
    settings, mus, _ = TINY["taylor-green"]
    study = lab.study("taylor-green", settings, mus, TimeSettings(end=0.01, frames=2, step=0.01))
    store = lab.compute(study, ranks).store
    nodes = np.stack([store.static("node_x"), store.static("node_y")], axis=1)
    for index, sample in enumerate(store.samples):
        expected = exact_velocity(nodes, 0.0, sample.mu["viscosity"])
        for axis, name in enumerate(("velocity_x", "velocity_y")):
            first = store.read(index, name, frame=0)
            np.testing.assert_allclose(first, expected[:, axis], atol=1e-14)


def test_ranks_without_a_cell_do_no_harm(lab: Any) -> None:
    # Nine ranks, eight triangles.
    short = TimeSettings(end=0.02, frames=2, step=0.01)
    alone, crowd = (
        lab.compute(lab.study("taylor-green", {"cells": 2}, [{}], short), ranks).store
        for ranks in (1, 9)
    )
    for array in alone.description.arrays:
        expected, found = (store.read(0, array.name) for store in (alone, crowd))
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9, err_msg=array.name)


def test_the_same_chunk_gives_the_same_bits_each_time(twice: tuple[Any, Any]) -> None:
    one, other = (study.checksums() for study in twice)
    assert set(one) == {0, 1, 2}
    assert one == other


def test_a_sample_has_the_same_bits_alone_and_after_others(
    twice: tuple[Any, Any], lab: Any
) -> None:
    # Sample 2 comes after another geometry in `twice`, sample 0 after it here.
    again = lab.study("cylinder", *TINY["cylinder"])
    lab.compute(again, 2, [2])
    lab.compute(again, 2, [1, 0])
    assert again.checksums() == twice[0].checksums()


def test_every_committed_sample_passes_verification(serial: Any) -> None:
    serial.store.finalise()
    for index in serial.job.samples:
        serial.store.verify(index)
