"""Fixtures of the sequence tests: families, a runner, and the MPI worker's measurements."""

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from solvers.backend import PETSc

WORKER = Path(__file__).with_name("sequence_worker.py")
# Long enough for a loaded machine, short enough to notice ranks that wait for each other.


@pytest.fixture(scope="session")
def worker() -> SimpleNamespace:
    """Give the functions and classes of the worker."""
    return SimpleNamespace(**runpy.run_path(str(WORKER)))


@pytest.fixture(scope="session")
def families(worker: SimpleNamespace) -> Any:
    """Give the families by name, about 900 unknowns each."""
    return worker.families()


@pytest.fixture(scope="session")
def measured(
    tmp_path_factory: pytest.TempPathFactory, run_worker: Callable[..., None]
) -> Callable[[int], tuple[Any, Any]]:
    """Give a function that returns facts and solutions of the worker on some ranks."""
    folder = tmp_path_factory.mktemp("sequence")

    def run(ranks: int) -> tuple[Any, Any]:
        facts = folder / f"ranks-{ranks}.json"
        if not facts.exists():
            run_worker(WORKER, ranks, folder)
        return json.loads(facts.read_text()), np.load(facts.with_suffix(".npz"))

    return run


@pytest.fixture
def counted() -> Callable[..., Callable[[], int]]:
    """Give a function that starts to count PETSc's events; what it returns gives the number."""
    PETSc.Log.begin()

    def start(*names: str) -> Callable[[], int]:
        def total() -> int:
            return sum(PETSc.Log.Event(name).getPerfInfo()["count"] for name in names)

        before = total()
        return lambda: total() - before

    return start
