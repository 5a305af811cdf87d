"""Any number of MPI ranks stores the same frames, in canonical order.

Those of several ranks come from ``mpiexec -n ranks python -m solvers chunk.json``.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from solvers.backend import MPI
from solvers.settings import TimeSettings
from solvers.worker import Events, run_chunk

pytestmark = pytest.mark.mpi

TIME = TimeSettings(start=0.01, end=0.04, frames=4, step=0.005)
TINY: Mapping[str, tuple[Mapping[str, Any], list[Mapping[str, float]]]] = {
    "heat": ({"cells": 6}, [{}, {"temperature_top": 480.0, "temperature_initial": 120.0}]),
    "advection": ({"cells": 8}, [{}, {"wind_angle": 2.5, "diffusivity": 1e-5}]),
}


def study(lab: Any, name: str) -> Any:
    settings, mus = TINY[name]
    return lab.transient(name, settings, mus, TIME)


def assert_same(one: Any, other: Any) -> None:
    assert one.store.committed() == other.store.committed() == set(one.job.samples)
    for index in one.job.samples:
        for array in one.store.description.arrays:
            if array.name == "residual":
                continue
            expected, found = (s.store.read(index, array.name) for s in (one, other))
            worst = np.abs(found - expected).max() / np.abs(expected).max()
            assert worst <= 1e-9, f"sample {index}, {array.name}: {worst:.1e}"


@pytest.mark.parametrize("name", TINY)
def test_the_number_of_ranks_changes_no_stored_value(name: str, lab: Any) -> None:
    alone = study(lab, name)
    run_chunk(alone.job, MPI.COMM_SELF, Events(lambda _: None))
    for ranks in (2, 3):
        assert_same(alone, lab.compute(study(lab, name), ranks))
