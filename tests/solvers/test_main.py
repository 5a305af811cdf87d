"""``python -m solvers chunk.json``: exit codes and messages."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.cluster import find_mpiexec
from solvers.settings import TimeSettings

QUICK = TimeSettings(end=0.02, frames=3, step=0.01)
# A fault on one rank only, which the other one, waiting in a collective call, cannot see.
LOST_RANK = """
import sys
import solvers.worker
from solvers.__main__ import main
from solvers.backend import MPI

def crash(*_):
    raise RuntimeError("rank 1 is lost")

if MPI.COMM_WORLD.rank == 1:
    solvers.worker.run_chunk = crash
sys.exit(main(sys.argv[1:]))
"""
# A fault in a library, of which Python gets no word.
LOST_PROCESS = LOST_RANK.replace(
    'raise RuntimeError("rank 1 is lost")', "import ctypes; ctypes.string_at(0)"
)
# A rank on which DOLFINx cannot be loaded, when MPI has been started.
LOST_LIBRARY = """
import os, sys
from solvers.__main__ import main
if os.environ["PMI_RANK"] == "1":
    sys.modules["dolfinx"] = None
sys.exit(main(sys.argv[1:]))
"""
# Whoever reads has gone, when PETSc has been started.
BROKEN_PIPE = """
import os
from solvers.backend import PETSc
reading, writing = os.pipe()
os.close(reading)
try:
    os.write(writing, b"words")
except BrokenPipeError:
    print("nobody reads")
"""


@pytest.fixture
def study(lab: Any) -> Any:
    return lab.study("cavity", {"cells": 4}, [{}, {"viscosity": 0.1}], QUICK)


def chunk(study: Any, **changes: Any) -> Path:
    """Write a chunk file with some entries replaced."""
    content = {**json.loads(study.job.model_dump_json()), **changes}
    path = Path(study.root, "changed.json")
    path.write_text(json.dumps(content))
    return path


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the module on one rank, without mpiexec."""
    return run_command(sys.executable, "-W", "error", "-m", "solvers", *arguments)


def run_command(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*map(str, words)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )


def assert_refused(done: subprocess.CompletedProcess[str], code: int, *texts: str) -> None:
    """Check the exit code, and that the message says what is wrong without a traceback."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    for text in texts:
        assert text in done.stderr


def test_a_chunk_that_is_through_ends_with_zero_and_an_event_per_line(study: Any) -> None:
    done = run(study.chunk())
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["event"] == "finished"
    assert [e["sample"] for e in events if e["event"] == "committed"] == [0, 1]


def test_a_missing_chunk_file_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path / "none.json")
    assert_refused(done, 2, "none.json: expected a chunk file", "No such file")
    assert json.loads(done.stdout)["kind"] == "UserError"


@pytest.mark.parametrize("content", [b"", b"{", b"[1, 2]", b"\x93NUMPY\x00\xff"])
def test_a_file_that_is_no_chunk_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "chunk.json"
    path.write_bytes(content)
    assert_refused(run(path), 2, "chunk.json: expected a chunk, received", "Start the study again")


def test_unknown_and_impossible_entries_are_all_named(study: Any) -> None:
    path = chunk(study, colour=1, number=-1, time={"end": 1.0, "frames": 2})
    done = run(path)
    assert_refused(done, 2, "colour: unknown key", "number: ", "received -1")
    assert "exactly one of step (fixed) and cfl (adaptive)" in done.stderr


def test_an_unknown_problem_is_refused_with_the_nearest_one(study: Any) -> None:
    assert_refused(run(chunk(study, problem="cavty")), 2, "received 'cavty'", "cavity?")


def test_an_unknown_sample_is_refused(study: Any) -> None:
    assert_refused(run(chunk(study, samples=[0, 9])), 2, "samples 0 to 1", "[9]")


def test_a_missing_dataset_is_a_storage_error(study: Any, tmp_path: Path) -> None:
    done = run(chunk(study, dataset=str(tmp_path / "nothing")))
    assert_refused(done, 3, str(tmp_path / "nothing"))
    assert json.loads(done.stdout)["kind"] == "StoreError"


def test_a_missing_argument_is_a_usage_error() -> None:
    done = run()
    assert_refused(done, 2, "usage:", "chunk")


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [1, 2])
def test_refusals_are_said_once_whatever_the_number_of_ranks(
    study: Any, lab: Any, ranks: int
) -> None:
    done = lab.run(ranks, chunk(study, problem="cavty"))
    assert_refused(done, 2, "received 'cavty'")
    assert done.stderr.count("received 'cavty'") == 1


@pytest.mark.mpi
def test_a_crash_shows_its_traceback_and_ends_all_ranks(study: Any, lab: Any) -> None:
    lock = study.store.paths.lock(0)
    lock.mkdir()  # no file can be opened there: an error without a name of its own
    done = lab.run(2, study.chunk())
    assert done.returncode not in (0, 2, 3)
    assert "Traceback" in done.stderr
    assert "IsADirectoryError" in done.stderr
    assert study.store.committed() == set()


@pytest.mark.mpi
def test_an_unknown_solver_option_is_wrong_input_on_all_ranks(study: Any, lab: Any) -> None:
    done = lab.run(2, chunk(study, solver={"momentum": {"ksp_type": "no-such-method"}}))
    assert done.returncode == 2
    assert done.stderr.count("Unable to find requested KSP type no-such-method") == 1
    assert "Traceback" not in done.stderr
    assert study.store.committed() == set()


@pytest.mark.mpi
@pytest.mark.parametrize(
    ("script", "said"),
    [
        (LOST_RANK, ["Traceback", "RuntimeError: rank 1 is lost"]),
        (LOST_PROCESS, ["Segmentation fault", "in crash"]),
        (LOST_LIBRARY, ["Traceback", "import of dolfinx halted"]),
    ],
)
def test_a_crash_of_one_rank_ends_the_others(study: Any, script: str, said: list[str]) -> None:
    command = [str(find_mpiexec()), "-n", "2", sys.executable, "-c", script]
    done = run_command(*command, study.chunk())
    assert done.returncode not in (0, 2, 3)
    assert all(text in done.stderr for text in said), done.stderr


def test_a_broken_pipe_is_an_exception_as_elsewhere_in_python() -> None:
    done = run_command(sys.executable, "-c", BROKEN_PIPE)
    assert (done.returncode, done.stdout) == (0, "nobody reads\n"), done.stderr


@pytest.mark.mpi
def test_a_closed_standard_input_ends_the_job_only_with_a_lifeline(study: Any, lab: Any) -> None:
    # `run` closes standard input at once.
    assert lab.run(2, study.chunk([0])).returncode == 0
    assert lab.run(2, study.chunk([1]), "--lifeline").returncode != 0
    assert study.store.committed() == {0}
