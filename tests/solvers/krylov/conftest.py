"""Fixtures of the Krylov tests: the matrices of the MPI worker, and the worker's measurements."""

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from infra.cluster import find_mpiexec

WORKER = Path(__file__).with_name("krylov_worker.py")
DEADLINE = 120


@pytest.fixture(scope="session")
def worker() -> SimpleNamespace:
    """Give the functions of the worker: matrices, operators, sequences."""
    return SimpleNamespace(**runpy.run_path(str(WORKER)))


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], tuple[Any, Any]]:
    """Give a function that returns facts and recycle spaces of the worker on some ranks."""
    folder = tmp_path_factory.mktemp("krylov")

    def run(ranks: int) -> tuple[Any, Any]:
        facts = folder / f"ranks-{ranks}.json"
        if not facts.exists():
            command = [str(find_mpiexec()), "-n", str(ranks), sys.executable, "-W", "error"]
            done = subprocess.run(
                [*command, str(WORKER), str(folder)],
                capture_output=True,
                text=True,
                timeout=DEADLINE,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                check=False,
            )
            assert done.returncode == 0, done.stderr
        return json.loads(facts.read_text()), np.load(facts.with_suffix(".npz"))

    return run
