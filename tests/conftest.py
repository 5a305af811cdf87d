"""What tests of several rooms need."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.cluster import find_mpiexec

# Seconds: three ranks crawl on two cores, and a cold machine compiles first.
DEADLINE = 300.0


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
