"""A chunk survives bad samples, kills at any time and a full disk; nothing half done is visible."""

import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psutil
import pytest

from infra.errors import StorageFullError, StoreError, UserError
from infra.streaming.frames import stream_spec
from infra.streaming.testing import Application, SmallLedger, wait_for
from infra.streaming.zmq_source import ZmqSource
from infra.zarr_store import open_store
from solvers.backend import MPI
from solvers.chunk import load_mesh, save_mesh
from solvers.settings import TimeSettings
from solvers.worker import Events, run_chunk

# Two ranks on a loaded machine; nothing waits that long unless it hangs.
DEADLINE = 120.0
QUICK = TimeSettings(end=0.02, frames=3, step=0.005)
# A few hundred steps a sample: long enough to be killed on the way.
LONG = TimeSettings(end=1.0, frames=21, step=0.002)
VORTICES = ("taylor-green", {"cells": 5}, [{}, {"viscosity": 0.02}, {"viscosity": 0.03}], LONG)
# The middle sample's lid is too fast for the step, the last one's mesh is too flat.
LIDS = (
    "cavity",
    {"cells": 6},
    [{}, {"lid_speed": 10.0}, {"viscosity": 0.1}, {"aspect_ratio": 0.25}],
)


def run_here(study: Any, *samples: int) -> list[dict[str, Any]]:
    """Compute samples in this process and return the events."""
    lines: list[str] = []
    job = study.job.model_copy(update={"samples": samples or study.job.samples})
    run_chunk(job, MPI.COMM_WORLD, Events(lines.append))
    return [json.loads(line) for line in lines]


def names(events: list[dict[str, Any]], sample: int) -> list[str]:
    return [e["event"] for e in events if e.get("sample") == sample and e["event"] != "frame"]


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def assert_all_end(processes: list[psutil.Process]) -> None:
    """Poll until no process is left; fail after the deadline."""
    end = time.monotonic() + DEADLINE
    left = processes
    while left and time.monotonic() < end:
        left = [process for process in left if alive(process)]
        time.sleep(0.02)
    assert not left, f"still running: {left}"


def ranks_of(job: subprocess.Popen[str]) -> dict[int, psutil.Process]:
    """Return the processes of an MPI job by rank."""
    found = {}
    for process in psutil.Process(job.pid).children(recursive=True):
        rank = process.environ().get("PMI_RANK")
        if rank is not None and "solvers" in process.cmdline():
            found[int(rank)] = process
    return found


@contextmanager
def started(lab: Any, study: Any, event: str, sample: int) -> Iterator[subprocess.Popen[str]]:
    """Start a study on two ranks and wait for an event of a sample."""
    with lab.start(2, study.chunk(), "--lifeline") as job:
        watchdog = threading.Timer(DEADLINE, job.kill)
        watchdog.start()
        try:
            for line in job.stdout:
                found = json.loads(line)
                if found["event"] == event and found["sample"] == sample:
                    break
            else:
                pytest.fail(f"the job ended before {event} of {sample}: {job.stderr.read()}")
            yield job
        finally:
            watchdog.cancel()
            job.kill()


@pytest.fixture(scope="module")
def faulty(lab: Any) -> Any:
    """Give a study with two bad samples, computed by two ranks."""
    limits = TimeSettings(end=0.2, frames=3, step=0.05, courant_limit=1.0)
    return lab.compute(lab.study(*LIDS, limits, min_quality=0.5), 2)


@pytest.mark.mpi
def test_samples_beside_bad_ones_are_computed(faulty: Any) -> None:
    assert faulty.store.committed() == {0, 2}


@pytest.mark.mpi
def test_bad_samples_are_recorded_with_reason_parameters_and_advice(faulty: Any) -> None:
    failures = faulty.store.failures()
    assert {i: f.reason for i, f in failures.items()} == {1: "time-step", 3: "geometry"}
    assert failures[1].sample.mu["lid_speed"] == 10.0
    assert failures[3].sample.mu["aspect_ratio"] == 0.25
    for failure in failures.values():
        assert "expected" in failure.message
        assert failure.provenance.ranks == 2
        assert failure.provenance.options["-romflow_momentum_ksp_type"] == "bcgs"


@pytest.mark.mpi
def test_a_rerun_leaves_committed_and_failed_samples_as_they_are(faulty: Any) -> None:
    before = faulty.checksums()
    events = run_here(faulty)
    assert [names(events, i) for i in range(4)] == [["skipped"]] * 4
    assert faulty.checksums() == before


@pytest.mark.mpi
def test_bad_samples_are_tried_again_once_forgiven(faulty: Any) -> None:
    faulty.store.forgive([1])
    assert names(run_here(faulty), 1) == ["started", "failed"]
    assert set(faulty.store.failures()) == {1, 3}


def test_events_tell_how_a_chunk_goes_on(lab: Any) -> None:
    study = lab.study("cavity", {"cells": 4}, [{}, {"viscosity": 0.1}], QUICK)
    events = run_here(study, 1, 0)
    assert [e["event"] for e in events if e["event"] != "frame"] == [
        *("started", "committed"),
        *("started", "committed"),
    ]
    assert [e["sample"] for e in events if e["event"] == "committed"] == [1, 0]
    assert [e["steps"] for e in events if e["event"] == "committed"] == [4, 4]
    assert all(e["time"] > 0 for e in events)


def test_frames_are_reported_rarely() -> None:
    lines: list[str] = []
    events = Events(lines.append)
    for frame in range(1000):
        events.frame(0, frame)
    assert 1 <= len(lines) < 20


def test_a_commit_record_says_how_the_sample_was_computed(lab: Any) -> None:
    study = lab.study("cavity", {"cells": 4}, [{}], QUICK, rtol=1e-10)
    run_here(study)
    record = study.store.record(0)
    assert record.report.reason == "finished"
    assert record.provenance.options["-romflow_momentum_ksp_rtol"] == "1e-10"
    assert record.provenance.seed == record.sample.seed
    assert record.provenance.packages["fenics-dolfinx"] != ""
    assert record.provenance.started <= record.provenance.finished


def test_a_sample_outside_the_dataset_is_refused_before_anything_is_computed(lab: Any) -> None:
    study = lab.study("cavity", {"cells": 4}, [{}], QUICK)
    with pytest.raises(UserError, match=r"expected samples 0 to 0, received \[7\]"):
        run_here(study, 0, 7)
    assert study.store.committed() == set()


def test_a_missing_mesh_is_named(lab: Any) -> None:
    study = lab.study("cavity", {"cells": 4}, [{}], QUICK)
    study.job.mesh.unlink()
    with pytest.raises(StoreError, match=r"mesh\.npz: expected the study's reference mesh"):
        run_here(study)


def test_the_mesh_of_another_study_is_refused(lab: Any) -> None:
    study = lab.study("taylor-green", {"cells": 3}, [{}], QUICK)
    other = replace(load_mesh(study.job.mesh), points=load_mesh(study.job.mesh).points * 1.01)
    save_mesh(study.job.mesh, other)
    with pytest.raises(StoreError, match=r"expected the mesh that .* was made for"):
        run_here(study)
    assert study.store.committed() == frozenset()


def test_a_broken_mesh_is_named(lab: Any) -> None:
    study = lab.study("cavity", {"cells": 4}, [{}], QUICK)
    study.job.mesh.write_bytes(b"no mesh")
    with pytest.raises(StoreError, match=r"mesh\.npz: expected the study's reference mesh"):
        run_here(study)


@pytest.fixture(scope="module")
def undisturbed(lab: Any) -> dict[int, Any]:
    """Give the checksums of the vortices, computed without disturbance."""
    return lab.compute(lab.study(*VORTICES), 2).checksums()


def kill_mpiexec(job: subprocess.Popen[str]) -> None:
    job.kill()


def kill_first_rank(job: subprocess.Popen[str]) -> None:
    ranks_of(job)[0].send_signal(signal.SIGKILL)


def kill_last_rank(job: subprocess.Popen[str]) -> None:
    ranks_of(job)[1].send_signal(signal.SIGKILL)


def terminate_last_rank(job: subprocess.Popen[str]) -> None:
    ranks_of(job)[1].send_signal(signal.SIGTERM)


def close_the_lifeline(job: subprocess.Popen[str]) -> None:
    assert job.stdin is not None
    job.stdin.close()


@pytest.mark.mpi
@pytest.mark.parametrize(
    "disturb",
    [kill_mpiexec, kill_first_rank, kill_last_rank, terminate_last_rank, close_the_lifeline],
)
def test_a_killed_chunk_ends_on_all_ranks_and_a_rerun_completes_it(
    lab: Any, undisturbed: dict[int, Any], disturb: Callable[[subprocess.Popen[str]], None]
) -> None:
    study = lab.study(*VORTICES)
    with started(lab, study, "started", 1) as job:
        processes = psutil.Process(job.pid).children(recursive=True)
        assert set(ranks_of(job)) == {0, 1}
        disturb(job)
        assert_all_end(processes)
        assert job.wait(DEADLINE) != 0
    committed = study.store.committed()
    assert 0 in committed
    assert 2 not in committed
    assert study.store.failures() == {}
    lab.compute(study, 2)
    assert study.checksums() == undisturbed
    study.store.finalise()
    assert list(study.store.paths.staging.iterdir()) == []


@pytest.mark.mpi
def test_a_full_disk_ends_the_chunk_by_name_and_leaves_nothing_visible(
    lab: Any, undisturbed: dict[int, Any]
) -> None:
    study = lab.study(*VORTICES)
    with started(lab, study, "started", 1) as job:
        for process in ranks_of(job).values():
            process.rlimit(psutil.RLIMIT_FSIZE, (1000, 1000))
        # Not `communicate`: it would close the lifeline.
        output, errors = job.stdout.read(), job.stderr.read()
        job.wait(DEADLINE)
    assert job.returncode == 3
    assert "No room to write" in errors
    assert "Traceback" not in errors
    last = json.loads(output.splitlines()[-1])
    assert (last["event"], last["kind"]) == ("error", StorageFullError.__name__)
    assert study.store.committed() == {0}
    assert study.store.failures() == {}
    assert list(study.store.paths.staging.iterdir()) == []
    lab.compute(study, 2)
    assert study.checksums() == undisturbed


@contextmanager
def trained_with(study: Any, *, archive: bool) -> Iterator[tuple[Any, SmallLedger]]:
    """Give the study with a trainer that takes its frames, and what the trainer has."""
    path, spec = study.root / "rendezvous.json", stream_spec(study.store.description)
    ledger = SmallLedger(spec)
    job = study.job.model_copy(update={"stream": path, "archive": archive})
    with (
        ZmqSource(path, spec, spool=study.root / "spool") as source,
        Application(source, ledger),
    ):
        yield replace(study, job=job), ledger


def reasons(events: list[dict[str, Any]]) -> dict[int, str]:
    return {e["sample"]: e["reason"] for e in events if e["event"] == "failed"}


@pytest.mark.parametrize("archive", [False, True])
def test_frames_beyond_float32_fail_their_sample_and_the_others_go_on(
    lab: Any, archive: bool
) -> None:
    hot = {"temperature_left": 1e39}
    study = lab.transient("heat", {"cells": 3}, [{}, hot, {}], QUICK)
    with trained_with(study, archive=archive) as (trained, ledger):
        events = run_here(trained)
        wait_for(lambda: ledger.complete(0) and ledger.complete(2))
        assert reasons(events) == {1: "not-finite"}
        assert {i: f.reason for i, f in study.store.failures().items()} == {1: "not-finite"}
        assert study.store.committed() == ({0, 2} if archive else set())
        assert not ledger.complete(1)
        assert [e.reason for e in ledger.endings if e.sample == 1] == ["not-finite"]


@pytest.mark.parametrize("archive", [False, True])
def test_a_solution_beyond_float32_fails_its_sample_again_and_again_and_the_others_go_on(
    lab: Any, archive: bool
) -> None:
    """It is streamed at the commit, where an archive has it already and hands it on later."""
    study = lab.steady("poisson", {"cells": 4}, [{}, {"source_1": 1e42}, {}])
    with trained_with(study, archive=archive) as (trained, ledger):
        assert reasons(run_here(trained)) == {1: "not-finite"}
        wait_for(lambda: ledger.complete(0) and ledger.complete(2))
        assert study.store.committed() == ({0, 1, 2} if archive else set())
        study.store.forgive([1])
        assert reasons(run_here(trained)) == {1: "not-finite"}
        assert not ledger.complete(1)


def test_a_dataset_can_be_read_while_a_chunk_is_computed(lab: Any) -> None:
    study = lab.study("cavity", {"cells": 4}, [{}, {"viscosity": 0.1}], QUICK)
    seen: list[set[int]] = []

    def watch(line: str) -> None:
        if json.loads(line)["event"] == "started":
            seen.append(set(open_store(study.job.dataset).committed()))

    run_chunk(study.job, MPI.COMM_WORLD, Events(watch))
    assert seen == [set(), {0}]
