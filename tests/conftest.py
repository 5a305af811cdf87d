"""What tests of several rooms need."""

import faulthandler
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from infra.cluster import find_mpiexec

# Seconds: three ranks crawl on two cores, and a cold machine compiles first.
DEADLINE = 300.0
ERRORS = pytest.StashKey[IO[str]]()
TAKEN_BACK = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    """Keep standard error as it is outside of tests."""
    config.stash[ERRORS] = os.fdopen(os.dup(2), "w")
    config.stash[TAKEN_BACK] = False


def pytest_unconfigure(config: pytest.Config) -> None:
    faulthandler.disable()
    config.stash[ERRORS].close()


@pytest.hookimpl(trylast=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let a crash tell where it happened, also when PETSc has taken its signals for itself."""
    stash = item.config.stash
    if "petsc4py.PETSc" in sys.modules and not stash[TAKEN_BACK]:
        stash[TAKEN_BACK] = True
        faulthandler.disable()
        faulthandler.enable(stash[ERRORS])


@pytest.fixture(scope="session")
def run_worker() -> Callable[..., None]:
    """Give a function that runs a script of the tests on some MPI ranks and checks that it ends."""

    def run(worker: Path, ranks: int, *arguments: object) -> None:
        command = [str(find_mpiexec()), "-n", str(ranks), sys.executable, "-W", "error"]
        done = subprocess.run(
            [*command, str(worker), *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            check=False,
        )
        assert done.returncode == 0, done.stderr

    return run
