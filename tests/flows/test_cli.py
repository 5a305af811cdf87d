"""The command line: exit codes, messages for people, and nothing lost whatever happens."""

import csv
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from flows.dry_run import preview
from flows.families import FAMILIES
from flows.plan import prepare
from flows.publish import publish
from flows.study import Study
from infra.catalog import Catalog
from infra.records import FailureRecord
from infra.testing import example_provenance, write_all
from infra.zarr_store import ZarrStore

type Done = "subprocess.CompletedProcess[str]"
type Compute = Callable[[Study], ZarrStore]
# The fastest lid breaks the limit of the Courant number: 0.24, 0.47 and 0.71 without it.
ONE_FAILS = {
    "problem": {"name": "cavity", "settings": {"cells": 8}},
    "parameters": {"lid_speed": {"low": 1.0, "high": 3.0}, "viscosity": 0.05},
    "sampling": {"method": "grid", "samples": 3, "seed": 3},
    "time": {"end": 0.1, "frames": 3, "step": 0.02, "courant_limit": 0.6},
}


def assert_told(done: Done, code: int, *texts: str) -> None:
    """Check the exit code, and that it is said without the noise of Python and Prefect."""
    assert done.returncode == code, (done.stdout, done.stderr)
    for text in texts:
        assert text in done.stderr
    for noise in ("Traceback", "prefect.", " | INFO ", "Flow run '", "Task run "):
        assert noise not in done.stderr + done.stdout


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        (["--study", "taylorgreen"], ["No such file", "Did you mean taylor-green?"]),
        (["--set", "tiem.end=1"], ["tiem: did you mean time?"]),
        (["--set", "sampling.samples=0"], ["sampling.samples", "received 0"]),
        (["--set", "parameters.reynolds.high=1e9"], ["reynolds: expected", "received [80.0"]),
        (["--set", "problem.name=cylindr"], ["received 'cylindr'. Did you mean cylinder?"]),
        (["--stduy", "cylinder-demo"], ["--stduy", "--study"]),
        (["--retry-failed=perhaps"], ["--retry-failed"]),
    ],
)
def test_mistakes_in_a_run_are_refused_at_once(
    folder: Any, arguments: list[str], texts: list[str]
) -> None:
    done = folder.romflow("run", "generate-ns-data", *arguments)
    assert_told(done, 2, *texts)
    assert done.stdout == ""
    assert {path.name for path in folder.path.iterdir()} == {"stdout", "stderr"}


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["show", "tiny"], 2, "dataset tiny: expected the folder of a dataset"),
        (["show"], 2, "--dataset"),
        (["show", "tiny", "--frame", "last"], 2, "--frame"),
        (["up", "--port", "99999"], 2, "65535"),
        (["generate"], 2, "generate"),
    ],
)
def test_mistakes_in_other_commands_are_refused(
    folder: Any, arguments: list[str], code: int, text: str
) -> None:
    assert_told(folder.romflow(*arguments), code, text)


def test_without_arguments_it_helps(folder: Any) -> None:
    done = folder.romflow()
    assert_told(done, 0)
    for command in ("run", "studies", "show", "doctor", "up", "down"):
        assert command in done.stdout
    assert folder.romflow("down").stdout == "Nothing was running in this folder.\n"


def test_a_dry_run_shows_the_samples_and_writes_nothing(folder: Any) -> None:
    before = {folder.path / "stdout", folder.path / "stderr", folder.path / folder.file()}
    done = folder.romflow("run", "generate-ns-data", "--study", "tiny.yaml", "--dry-run")
    assert_told(done, 0)
    assert "289 velocity nodes" in done.stdout
    assert "viscosity [m2 s-1]" in done.stdout
    assert set(folder.path.rglob("*")) == before


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ([], "exists: 1 of 3 samples committed, 1 failed; a run computes 1"),
        (["--set", "description=Other words."], "exists: 1 of 3 samples committed"),
        (["--set", "time.end=0.2"], "another dataset has this name"),
        (
            [
                "--set",
                "problem={name: cavity}",
                "--set",
                "parameters={lid_speed: {low: 1, high: 2}}",
            ],
            "another dataset has this name",
        ),
    ],
)
def test_a_dry_run_tells_of_a_dataset_that_exists(
    folder: Any, changes: list[str], text: str
) -> None:
    prepare(folder.study())
    store = folder.store()
    with store.sink(store.samples[0]) as sink:
        write_all(sink, store.description)
    store.fail(FailureRecord(store.samples[1], "diverged", "too fast", example_provenance()))
    before = {path: path.stat().st_mtime_ns for path in (folder.path / "out").rglob("*")}
    done = folder.romflow("run", "generate-ns-data", "--study", "tiny.yaml", "--dry-run", *changes)
    assert_told(done, 0)
    assert text in done.stdout
    assert ("would be refused: The dataset exists with another layout" in done.stdout) == (
        "another" in text
    )
    after = {path: path.stat().st_mtime_ns for path in (folder.path / "out").rglob("*")}
    assert after == before


def test_a_dry_run_without_mpi_says_what_is_missing(
    folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(folder.path / "python"))
    monkeypatch.setenv("PATH", "")
    (obstacle,) = preview(folder.study()).obstacles
    assert "mpiexec: expected" in obstacle


def test_the_flows_of_all_families_are_listed_and_help(folder: Any) -> None:
    done = folder.romflow("run", "--help")
    assert_told(done, 0)
    for family in FAMILIES.values():
        assert family.flow in done.stdout
        assert family.summary in done.stdout
    helped = folder.romflow("run", "generate-poisson-data", "--help")
    assert_told(helped, 0)
    for word in ("--study", "poisson-demo", "--set", "--dry-run", "--retry-failed"):
        assert word in helped.stdout


def test_a_study_of_another_family_is_refused_at_once(folder: Any) -> None:
    done = folder.romflow("run", "generate-darcy-data", "--study", folder.file())
    assert_told(done, 2, "study tiny.yaml: generate-darcy-data expected one of the problems darcy")
    assert "romflow run generate-ns-data" in done.stderr
    assert not (folder.path / "out").exists()


@pytest.mark.mpi
def test_studies_and_datasets_are_listed_and_shown(folder: Any, computed: Compute) -> None:
    study = folder.study(run={"ranks": 1, "chunk_size": 3})
    computed(study)
    publish(study, [])
    done = folder.romflow("studies", "--catalog", "catalog")
    assert_told(done, 0)
    for name in ("cylinder-demo", "taylor-green", "tiny", "3/3"):
        assert name in done.stdout
    pictures = ["--sample", 2, "--output", "new/a.png", "--animation", "new/a.gif"]
    done = folder.romflow("show", "tiny", "--catalog", "catalog", *pictures)
    assert_told(done, 0)
    assert "3 of 3 committed, 0 failed" in done.stdout
    assert (folder.path / "new/a.png").read_bytes().startswith(b"\x89PNG")
    assert (folder.path / "new/a.gif").read_bytes().startswith(b"GIF89a")
    done = folder.romflow("show", "out/tiny", "--field", "sped")
    assert_told(done, 2, "field: expected one of speed, vorticity, pressure, received 'sped'")
    done = folder.romflow("show", "out/tiny", "--sample", 7)
    assert_told(done, 2, "sample: expected 0 to 2, received 7")
    done = folder.romflow("show", "out/tiny", "--output", "tiny.yaml/a.png")
    assert_told(done, 3, "tiny.yaml")


def test_a_dataset_without_samples_has_nothing_to_draw(folder: Any) -> None:
    prepare(folder.study())
    done = folder.romflow("show", "out/tiny")
    assert_told(done, 1)
    assert "nothing to draw" in done.stdout


@pytest.mark.mpi
def test_the_doctor_is_content_here(folder: Any) -> None:
    done = folder.romflow("doctor")
    assert_told(done, 0)
    assert "2 ranks started" in done.stdout


@pytest.mark.server
@pytest.mark.mpi
def test_a_failed_sample_is_recorded_and_the_others_are_committed(served: Any) -> None:
    done = served.generate(**ONE_FAILS)
    assert_told(done, 1, "expected 3 samples, committed 2, failed 1, missing 0", "--retry-failed")
    assert "sample 2 failed (time-step)" in done.stderr
    assert "2 of 3 committed, 1 failed, 0 missing" in done.stdout
    failure = served.store().failures()[2]
    assert failure.reason == "time-step"
    assert failure.sample.mu == {"lid_speed": 3.0, "viscosity": 0.05, "aspect_ratio": 1.0}
    entry = served.path / "catalog/tiny"
    with (entry / "params.csv").open(newline="") as lines:
        assert [row["status"] for row in csv.DictReader(lines)] == [
            "committed",
            "committed",
            "failed",
        ]
    assert "- sample 2: time-step: " in (entry / "README.md").read_text()
    # Tried again it fails in the same way.
    assert_told(served.generate("--retry-failed", **ONE_FAILS), 1, "sample 2 failed (time-step)")


@pytest.mark.server
def test_another_study_under_the_same_name_is_refused(served: Any) -> None:
    prepare(served.study())
    done = served.generate("--set", "time.end=0.2")
    assert_told(done, 2, "The dataset exists with another layout", "Use another name")


@pytest.mark.server
@pytest.mark.parametrize("place", ["output", "catalog"])
def test_a_place_below_a_file_is_a_storage_error(served: Any, place: str) -> None:
    (served.path / "file").write_text("")
    done = served.generate(**{place: str(served.path / "file" / "below")})
    assert_told(done, 3, str(served.path / "file"), "Choose another place")


@pytest.mark.server
@pytest.mark.mpi
def test_a_full_disk_is_a_storage_error_and_says_what_to_do(served: Any, until: Any) -> None:
    """MPI needs files of its own to start, so the limit comes when the first sample runs."""
    one = {"method": "uniform", "samples": 1, "seed": 1}
    large = {"slow": True, "sampling": one, "time": {"end": 0.8, "frames": 401, "step": 0.002}}
    run, log = served.run(**large), served.path / "out/slow/logs/000000.jsonl"
    until(lambda: (log.exists() and "started" in log.read_text()) or run.poll(), "a sample")
    for process in served.jobs():
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (100_000, 100_000))
    done = served.wait(run)
    assert_told(done, 3, "No room to write", "ulimit -f", "committed samples are kept")
    assert served.store("slow").committed() == frozenset()
    assert_told(served.generate(**large), 0)
    assert served.store("slow").committed() == {0}
    assert Catalog(served.path / "catalog").check("slow") == []


@pytest.mark.server
@pytest.mark.mpi
def test_ctrl_c_leaves_no_process_and_the_same_command_goes_on(
    folder: Any, computed: Compute, until: Any, alive: Any
) -> None:
    """Without services, so that the run has a server of its own, which has to end as well."""
    run = folder.run(slow=True)
    commits = folder.path / "out/slow/commits"
    until(lambda: list(commits.glob("*.json")) or run.poll() is not None, "a commit")
    family = psutil.Process(run.pid).children(recursive=True)
    assert len(folder.jobs()) >= 3
    assert any("flows.temporary_server" in process.cmdline() for process in family)
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does
    assert_told(folder.wait(run), 130, "Interrupted: committed samples are kept")
    assert not [process for process in family if alive(process)]
    assert 1 <= len(folder.store("slow").committed()) < 3

    assert_told(folder.generate(slow=True), 0)
    plain = computed(folder.study(slow=True, output=str(folder.path / "plain")))
    assert folder.checksums(folder.store("slow")) == folder.checksums(plain)


@pytest.mark.server
@pytest.mark.mpi
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_terminated_run_leaves_no_process(
    served: Any, until: Any, number: signal.Signals
) -> None:
    """Also with retries: a job that is ended with its flow has not crashed."""
    run = served.run(slow=True, run={"ranks": 2, "chunk_size": 1, "workers": 2, "retries": 5})
    until(lambda: len(served.jobs()) >= 6 or run.poll() is not None, "two jobs")
    run.send_signal(number)
    assert_told(served.wait(run), 128 + number, "Terminated: committed samples are kept")
    assert served.jobs() == []
