"""Whatever befalls a submitted study, every sample is committed once in the end, and it is told."""

import os
import signal
from typing import Any

import pytest

from flows.slurm_profile import load_profile
from infra.cluster.slurm import SlurmCluster

pytestmark = pytest.mark.slurm
# Longer than the walltime that it first gets; it ends with its standard input.
SLEEPER = """
import time
from infra.lifeline import end_with_standard_input
end_with_standard_input()
time.sleep(75)
"""
# Takes 400 MB; the first time it waits to be killed for it.
HOG = """
import os, threading
from pathlib import Path
from infra.lifeline import end_with_standard_input
end_with_standard_input()
taken = bytearray(os.urandom(1 << 20)) * 400
tried = Path(__file__).with_name("tried")
if not tried.exists():
    tried.touch()
    threading.Event().wait()
"""


def complete(site: Any, expected: Any, name: str) -> None:
    """Wait for the end; all samples are there, once, and nothing runs any more."""
    site.until_ended(name)
    assert site.stage(name) == "done", site.romflow("status", str(site.root(name)), code=1)
    assert site.checksums(name) == expected[True]
    assert site.logs(name).count('"committed"') == 4
    # The last job says that all is done, and then ends itself.
    site.until(lambda: not site.solvers(name), "the end of all processes")


def test_a_chunk_that_is_cancelled_is_computed_in_another_round(site: Any, expected: Any) -> None:
    site.submit("chunk", slow=True)
    site.until_started("chunk")
    site.slurm.output("scancel", f"{site.array('chunk')}_0")
    complete(site, expected, "chunk")
    assert "cancelled" in site.events("chunk")


def test_a_requeued_chunk_goes_on(site: Any, expected: Any) -> None:
    site.submit("again", slow=True)
    site.until_started("again")
    site.slurm.output("scontrol", "requeue", f"{site.array('again')}_0")
    complete(site, expected, "again")
    assert "requeued" in site.events("again")


def test_chunks_that_make_room_for_urgent_jobs_go_on_behind_them(site: Any, expected: Any) -> None:
    site.submit("polite", slow=True)
    site.until_started("polite", 2)
    words = ["--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap=true"]
    urgent = site.slurm.output("sbatch", "--parsable", *words).strip()
    complete(site, expected, "polite")
    assert site.events("polite").count("requeued") == 2
    state = site.slurm.output("squeue", "-h", "--states=all", f"--jobs={urgent}", "-o", "%T")
    assert state.strip() == "COMPLETED"


def test_the_chunks_of_a_node_that_dies_are_computed_elsewhere_or_when_it_is_back(
    site: Any, expected: Any
) -> None:
    site.submit("node", slow=True)
    site.until_started("node", 2)
    site.slurm.kill_node("n2")
    site.until(lambda: "n2" in site.slurm.output("sinfo", "-h", "-t", "down", "-o", "%N"), "down")
    site.slurm.start_node("n2")
    complete(site, expected, "node")
    assert {"requeued", "node_fail"} & set(site.events("node"))
    assert site.slurm.wait_for(lambda: site.slurm.idle() == 2, "both nodes")


def test_a_worker_that_is_killed_is_a_crash_and_is_tried_again(site: Any, expected: Any) -> None:
    site.submit("crash", slow=True)
    site.until_started("crash", 2)
    rank = next(p for p in site.solvers("crash") if "-m solvers" in " ".join(p.cmdline()))
    os.kill(rank.pid, signal.SIGKILL)
    complete(site, expected, "crash")
    assert "crashed" in site.events("crash")


def test_a_warning_closes_a_chunk_between_two_samples(site: Any, expected: Any) -> None:
    site.submit("warned", slow=True)
    site.until_started("warned", 2)
    array = site.array("warned")
    site.slurm.output("scancel", "--signal=USR1", "--batch", f"{array}_0", f"{array}_1")
    complete(site, expected, "warned")
    assert "closed" in site.events("warned")
    for log in (site.root("warned") / "logs").glob("*.jsonl"):
        # What was under way when the warning came was committed, not computed a second time.
        assert log.read_text().partition('"committed"')[0].count('"started"') == 1


def test_a_controller_that_is_restarted_is_waited_for(site: Any, expected: Any) -> None:
    site.submit("control", slow=True)
    site.until_started("control")
    site.slurm.stop_controller()
    site.slurm.start_controller()
    complete(site, expected, "control")
    # Its command line may have asked nothing meanwhile: the last job compares when it was started.
    assert "controller" in site.events("control")


def test_a_cancelled_study_ends_everywhere_and_can_be_gone_on_with(
    site: Any, expected: Any
) -> None:
    site.submit("stop", slow=True)
    site.until_started("stop")
    site.romflow("cancel", str(site.root("stop")))
    site.until(lambda: not site.solvers("stop"), "the end of all processes")
    assert site.stage("stop") == "cancelled"
    site.until(lambda: not site.slurm.output("squeue", "-h"), "an empty queue")
    assert "cancelled" in site.romflow("status", str(site.root("stop")), code=1)
    site.submit("stop", slow=True)
    complete(site, expected, "stop")


def test_walltime_is_raised_once_for_a_job_that_needs_more(site: Any) -> None:
    (site.folder / "sleeper.py").write_text(SLEEPER)
    setup = [f"export PYTHONPATH={site.folder}"]
    profile = load_profile(site.profile(walltime="00:01:00", grace=5, setup=setup))
    cluster = SlurmCluster(profile, site.folder / "state")
    result = cluster.run_alone(["sleeper"], site.folder / "job.log")
    assert (result.code, result.final) == (0, False)
    text = (site.folder / "state" / "events.jsonl").read_text()
    assert "again with 00:02:00" in text


def test_memory_is_raised_once_for_a_job_that_needs_more(site: Any) -> None:
    (site.folder / "hog.py").write_text(HOG)
    profile = load_profile(site.profile(memory="300M", setup=[f"export PYTHONPATH={site.folder}"]))
    cluster = SlurmCluster(profile, site.folder / "state")
    result = cluster.run_alone(["hog"], site.folder / "job.log")
    assert (result.code, result.final) == (0, False)
    text = (site.folder / "state" / "events.jsonl").read_text()
    assert "ran out of memory; again with 600 MiB" in text
