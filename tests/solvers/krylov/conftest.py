"""Fixtures of the Krylov tests: the matrices of the MPI worker, and the worker's measurements."""

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

WORKER = Path(__file__).with_name("krylov_worker.py")


@pytest.fixture(scope="session")
def worker() -> SimpleNamespace:
    """Give the functions of the worker: matrices, operators, sequences."""
    return SimpleNamespace(**runpy.run_path(str(WORKER)))


@pytest.fixture(scope="session")
def measured(
    tmp_path_factory: pytest.TempPathFactory, run_worker: Callable[..., None]
) -> Callable[[int], tuple[Any, Any]]:
    """Give a function that returns facts and recycle spaces of the worker on some ranks."""
    folder = tmp_path_factory.mktemp("krylov")

    def run(ranks: int) -> tuple[Any, Any]:
        facts = folder / f"ranks-{ranks}.json"
        if not facts.exists():
            run_worker(WORKER, ranks, folder)
        return json.loads(facts.read_text()), np.load(facts.with_suffix(".npz"))

    return run
