"""Fixtures of the tests of structures: small crooked meshes, laws, runs on one rank, MPI jobs."""

import json
import runpy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from solvers.backend import MPI
from solvers.laws.description import law_from
from solvers.laws.law import Law
from solvers.loads import LoadCase
from solvers.structure_mesh import StructureMesh
from solvers.structures.model import StructureModel
from solvers.structures.settings import StructureSettings
from solvers.structures.state_files import History

WORKER = Path(__file__).with_name("structure_worker.py")
BOXES = Path(__file__).with_name("structure_boxes.py")
# Long enough for a loaded machine, short enough to notice ranks that wait for each other.
_ELASTIC = {"young": 2e5, "poisson": 0.3, "expansion": 1e-5}
_LAWS: Mapping[str, Mapping[str, float]] = {
    "thermoelastic": {},
    "linear-hardening": {"yield_stress": 200.0, "hardening": 2000.0},
    "elastoviscoplastic": {
        "norton_stress": 300.0,
        "norton_exponent": 10.0,
        "kinematic_modulus": 1e5,
        "kinematic_recall": 1000.0,
        "yield_stress": 50.0,
    },
}


@pytest.fixture(scope="session")
def law() -> Callable[..., Law]:
    """Give a function that returns a law by kind; coefficients can be changed."""

    def make(kind: str, **changed: float) -> Law:
        coefficients = {**_ELASTIC, **_LAWS[kind], **changed}
        return law_from({"kind": kind, "coefficients": coefficients})

    return make


@pytest.fixture(scope="session")
def box() -> Callable[..., StructureMesh]:
    """Give the function that returns a box, see its file."""

    made: Callable[..., StructureMesh] = runpy.run_path(str(BOXES))["box"]
    return made


@pytest.fixture(scope="session")
def solve() -> Callable[..., History]:
    """Give a function that computes the states at given times on this process alone."""

    def run(mesh: StructureMesh, law: Law, loads: LoadCase, times: Any, **settings: Any) -> History:
        history = History()
        chosen = StructureSettings(**{"tolerance": 1e-11, **settings})
        model = StructureModel(mesh, law, loads, MPI.COMM_SELF, chosen)
        try:
            model.run(times, history)
        finally:
            model.destroy()
        return history

    return run


@pytest.fixture(scope="session")
def measured(
    tmp_path_factory: pytest.TempPathFactory, run_worker: Callable[..., None]
) -> Callable[[int], tuple[Any, Any]]:
    """Give a function that returns facts and arrays of the worker on some ranks."""
    folder = tmp_path_factory.mktemp("structures")

    def run(ranks: int) -> tuple[Any, Any]:
        facts = folder / f"ranks-{ranks}.json"
        if not facts.exists():
            run_worker(WORKER, ranks, folder)
        return json.loads(facts.read_text()), dict(np.load(facts.with_suffix(".npz")))

    return run
