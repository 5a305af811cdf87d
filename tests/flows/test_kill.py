"""Whatever is killed: run again, and every sample is there once, with the same bits."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "kill_resume.py"


@pytest.mark.server
@pytest.mark.mpi
def test_a_killed_rank_flow_or_worker_costs_no_bit() -> None:
    """Seeds take their victims in turn: 0 an MPI rank, 2 the flow, 3 Prefect's worker."""
    done = subprocess.run(
        [sys.executable, str(BENCHMARK), "--quick", "--seeds", "0", "2", "3"],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (target,) = [line for line in done.stdout.splitlines() if line.startswith("TARGET")]
    assert target.endswith("met")
