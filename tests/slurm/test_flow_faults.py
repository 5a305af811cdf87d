"""Faults that a flow meets while it waits for its jobs, and a disk that gets full under them."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from flows.plan import prepare
from flows.study import load_study

pytestmark = pytest.mark.slurm
MEBIBYTE = 1 << 20


def whole(site: Any, expected: Any, name: str) -> None:
    """All samples are there, once, and nothing runs any more."""
    assert site.checksums(name) == expected[True]
    assert site.logs(name).count('"committed"') == 4
    site.until(lambda: not site.solvers(name), "the end of all processes")


def words(site: Any, name: str, **keys: Any) -> list[str]:
    study = site.study(name, slow=True)
    return ["run", "generate-ns-data", "--study", study, "--profile", site.profile(**keys)]


@contextmanager
def held(site: Any, name: str) -> Iterator[None]:
    """Let the ranks of a dataset pause, however fast this machine is."""
    ranks = site.ranks(name)
    assert ranks, "whoever is to pause must run"
    for rank in ranks:
        rank.suspend()
    try:
        yield
    finally:
        for rank in ranks:
            rank.resume()


def test_a_controller_that_is_away_is_waited_for_and_this_is_told(site: Any, expected: Any) -> None:
    with site.started(*words(site, "away")) as flow:
        site.until_started("away")
        # Held, for jobs that end first leave nothing to ask the controller about.
        with held(site, "away"):
            site.slurm.stop_controller()
            try:
                site.until(lambda: "waited" in site.events("away"), "somebody who notices")
            finally:
                site.slurm.start_controller()
        assert flow.wait(400.0) == 0
    whole(site, expected, "away")


def test_a_study_is_not_run_beside_its_jobs_in_slurm(site: Any, expected: Any) -> None:
    site.submit("beside", slow=True)
    site.until_started("beside")
    with held(site, "beside"):
        words = ["run", "generate-ns-data", "--study", site.study("beside", slow=True)]
        said = site.romflow(*words, code=2, said=True)
        assert "expected a study that is not in Slurm, received one whose jobs" in said
    site.until_ended("beside")
    whole(site, expected, "beside")


def test_a_study_is_neither_submitted_nor_run_beside_a_flow_that_waits_for_its_jobs(
    site: Any, expected: Any
) -> None:
    with site.started(*words(site, "second")) as flow:
        site.until_started("second")
        with held(site, "second"):
            given = [site.study("second", slow=True), "--profile", site.profile()]
            for command in (["submit", *given], words(site, "second")):
                said = site.romflow(*command, code=2, said=True)
                assert "expected a study that nobody computes, received one whose jobs" in said
        assert flow.wait(400.0) == 0
    whole(site, expected, "second")


def test_of_two_flows_at_once_one_is_let_in(site: Any, expected: Any) -> None:
    command = words(site, "race")
    with site.started(*command) as first, site.started(*command) as second:
        site.until_started("race")
        with held(site, "race"):
            site.until(lambda: 2 in (first.poll(), second.poll()), "a refusal")
        assert sorted((first.wait(400.0), second.wait(400.0))) == [0, 2]
    whole(site, expected, "race")


def test_the_chunks_of_a_dask_worker_that_is_killed_are_computed_by_others(
    site: Any, expected: Any
) -> None:
    keys = {"kind": "dask-slurm", "workers": 2, "memory": "2G"}
    with site.started(*words(site, "worker", **keys)) as flow:
        site.until_started("worker", 2)
        rank = next(p for p in site.solvers("worker") if "-m solvers" in " ".join(p.cmdline()))
        worker = next(p for p in rank.parents() if "distributed" in " ".join(p.cmdline()))
        os.kill(worker.pid, signal.SIGKILL)
        assert flow.wait(400.0) == 0
    whole(site, expected, "worker")


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """Put a file system of its own below a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        told = "this container may not mount a file system"
        (pytest.fail if "CI" in os.environ else pytest.skip)(told)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(path: Path) -> None:
    """Take all the room that is left."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(MEBIBYTE // 16))
        except OSError:
            return


def ended(site: Any, name: str) -> bool:
    """Tell whether a submission has no job left, whatever it could write down."""
    return not site.slurm.output("squeue", "-h") and bool(site.jobs(name)["finisher"])


def test_a_disk_that_gets_full_ends_a_study_which_goes_on_when_there_is_room(
    site: Any, expected: Any
) -> None:
    with small_disk(site.folder / "out", "64m"):
        site.submit("full", slow=True)
        site.until_started("full")
        fill(site.folder / "out" / "filler")
        site.until(lambda: ended(site, "full"), "the end of all jobs")
        (site.folder / "out" / "filler").unlink()
        site.submit("full", slow=True)
        site.until_ended("full")
        assert site.stage("full") == "done"
        whole(site, expected, "full")


def test_a_quota_is_told_and_what_met_it_is_not_tried_again(site: Any, expected: Any) -> None:
    """Here only what is being computed has no room: whoever writes about it has."""
    prepare(load_study(site.study("quota", slow=True)))
    with small_disk(site.root("quota") / "staging", "16k"):
        site.submit("quota", slow=True)
        site.until_ended("quota")
    assert site.stage("quota") == "incomplete"
    told = site.romflow("status", str(site.root("quota")), code=1)
    assert site.events("quota").count("storage") == 2
    assert "could not use the storage; it is not tried again" in told
    site.submit("quota", slow=True)
    site.until_ended("quota")
    assert site.stage("quota") == "done"
    whole(site, expected, "quota")
