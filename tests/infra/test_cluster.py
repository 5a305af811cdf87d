"""MPI jobs report how they ended, and never outlive the process that started them."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from infra.cluster import LocalCluster, find_mpiexec, kill_jobs
from infra.errors import StorageAccessError, UserError
from infra.lifeline import wait_until_read

DEADLINE = 60.0
# Each rank writes its line and its process id; then it ends as told, or waits to be killed.
JOB = """
import os, sys, threading
from pathlib import Path
from infra.lifeline import die_with_parent, end_with_standard_input
die_with_parent()
from mpi4py import MPI
rank, size = MPI.COMM_WORLD.rank, MPI.COMM_WORLD.size
if rank == 0:
    end_with_standard_input()
Path(f"rank-{rank}.tmp").write_text(str(os.getpid()))
os.rename(f"rank-{rank}.tmp", f"rank-{rank}.pid")
MPI.COMM_WORLD.Barrier()
if rank == 0:
    print(sys.argv[1:], size, os.environ["OMP_NUM_THREADS"], flush=True)
    print("to the errors", file=sys.stderr, flush=True)
if sys.argv[1] == "wait":
    threading.Event().wait()
sys.exit(int(sys.argv[1]))
"""
# A process that runs the job, as a flow does.
# A test run in the background may have been told to ignore SIGINT, and children inherit that.
PARENT = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from pathlib import Path
from infra.cluster import LocalCluster
LocalCluster().run(["job", "wait"], 2, Path("job.log"))
"""


# A process that waits for ever, and says when it does; its parent waits with it.
CHILD = """
import os, sys, threading
from infra.lifeline import die_with_parent, end_with_standard_input
{call}()
print(os.getpid(), flush=True)
threading.Event().wait()
"""
GRANDPARENT = """
import subprocess, sys
subprocess.run([sys.executable, "-c", sys.argv[1]])
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with the job's module, which is the working folder."""
    (tmp_path / "job.py").write_text(JOB)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "nothing happened before the deadline"
        time.sleep(0.02)


def gone(process: int) -> bool:
    try:
        return psutil.Process(process).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def ranks(folder: Path) -> list[int]:
    """Return the process ids of both ranks, once they run."""
    paths = [folder / f"rank-{rank}.pid" for rank in (0, 1)]
    wait_until(lambda: all(path.exists() for path in paths))
    return [int(path.read_text()) for path in paths]


@pytest.mark.mpi
def test_a_signals_number_is_not_taken_for_a_code_of_the_job(folder: Path) -> None:
    (folder / "quit.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGQUIT)\n")
    assert LocalCluster().run(["quit"], 1, folder / "job.log").code == 128 + signal.SIGQUIT


@pytest.mark.mpi
@pytest.mark.parametrize("code", [0, 3])
def test_a_job_returns_its_exit_code_and_errors_and_appends_its_output(
    folder: Path, code: int
) -> None:
    log = folder / "job.log"
    log.write_text("before\n")
    result = LocalCluster().run(["job", str(code), "a b"], 2, log)
    assert result.code == code
    assert result.errors == "to the errors\n"
    # One thread a rank; --lifeline is what ends the job with its parent.
    assert log.read_text() == f"before\n['{code}', 'a b', '--lifeline'] 2 1\n"


@pytest.mark.mpi
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_job_ends_with_the_process_that_started_it(folder: Path, number: int) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stderr=subprocess.DEVNULL)
    try:
        processes = ranks(folder)
        parent.send_signal(number)
        parent.wait(DEADLINE)
    finally:
        parent.kill()
        parent.wait()
    wait_until(lambda: all(gone(process) for process in processes))


@pytest.mark.mpi
def test_jobs_that_are_killed_end_on_all_ranks_and_are_reported(folder: Path) -> None:
    codes: list[int] = []

    def run() -> None:
        codes.append(LocalCluster().run(["job", "wait"], 2, folder / "job.log").code)

    thread = threading.Thread(target=run)
    thread.start()
    processes = ranks(folder)
    kill_jobs()
    thread.join(DEADLINE)
    assert codes == [-signal.SIGKILL]
    wait_until(lambda: all(gone(process) for process in processes))


def test_killing_without_jobs_does_nothing_to_other_children() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        kill_jobs()
        assert other.poll() is None
        other.communicate(b"\n")
    assert other.returncode == 0


@pytest.mark.mpi
def test_a_log_that_cannot_be_written_is_named(folder: Path) -> None:
    (folder / "file").write_text("")
    with pytest.raises(StorageAccessError, match=r"job\.log"):
        LocalCluster().run(["job", "0"], 1, folder / "file" / "job.log")


def test_mpiexec_is_the_one_of_this_environment() -> None:
    found = find_mpiexec()
    assert os.access(found, os.X_OK)
    assert found.parent == Path(sys.executable).parent


def test_without_it_mpiexec_is_looked_for_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site" / "mpiexec"
    site.parent.mkdir()
    site.write_text("#!/bin/sh\n")
    site.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    monkeypatch.setenv("PATH", str(site.parent))
    assert find_mpiexec() == site


def test_no_mpiexec_is_said_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"expected at .* received none\. Install"):
        find_mpiexec()


def test_a_process_that_asked_for_it_dies_with_its_parent() -> None:
    child = CHILD.format(call="die_with_parent")
    command = [sys.executable, "-c", GRANDPARENT, child]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        process = int(parent.stdout.readline())
        assert not gone(process)
        parent.kill()
    wait_until(lambda: gone(process))


def test_a_process_that_asked_for_it_dies_with_its_standard_input_and_not_before() -> None:
    command = [sys.executable, "-c", CHILD.format(call="end_with_standard_input")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        process.stdin.write(b"x" * 100_000)  # more than a pipe holds: somebody reads it
        process.stdin.flush()
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(DEADLINE) == -signal.SIGKILL


def test_last_words_are_waited_for_until_they_are_read() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"words")
    assert not wait_until_read(writing, 0.0)
    reader = threading.Thread(target=os.read, args=(reading, 100))
    reader.start()
    assert wait_until_read(writing, DEADLINE)
    reader.join()
    os.close(reading)
    os.close(writing)
    assert wait_until_read(writing, 0.0)


def test_what_goes_to_a_file_counts_as_read(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb", buffering=0) as log:
        log.write(b"words")
        assert wait_until_read(log.fileno(), 0.0)
