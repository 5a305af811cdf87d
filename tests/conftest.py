"""What tests of several rooms need."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.cluster import find_mpiexec

HERE = Path(__file__).parent
# Folders in the order in which they are begun: those that take longest first. Files that lie beside
# them come last.
ORDER = ("flows", "slurm", "infra", "solvers", "surrogates", "rom")
# Seconds: three ranks crawl on two cores, and a cold machine compiles first.
DEADLINE = 300.0


@pytest.hookimpl(tryfirst=True)  # the plugin that runs groups side by side reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep all tests of a folder in one process, for they share services and what they computed."""
    rooms = {item: item.path.relative_to(HERE).parts[0] for item in items}
    items.sort(key=lambda item: ORDER.index(rooms[item]) if rooms[item] in ORDER else len(ORDER))
    for item in items:
        room = rooms[item] if rooms[item] in ORDER else "others"
        item.add_marker(pytest.mark.xdist_group(room))


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
