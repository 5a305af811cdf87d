"""A flow that ends early leaves no job in Slurm, and goes on when it is run again."""

import json
import signal
from typing import Any

import pytest

from flows.progress import new_events

pytestmark = pytest.mark.slurm


def run_words(site: Any, name: str) -> list[str]:
    """Return the words of a flow that waits for its jobs."""
    study = site.study(name, slow=True)
    return ["run", "generate-ns-data", "--study", study, "--profile", site.profile()]


def starts(site: Any, name: str) -> dict[int, list[float]]:
    """Return when each sample was begun."""
    found: dict[int, list[float]] = {}
    for log in (site.root(name) / "logs").glob("*.jsonl"):
        for event in [e for e in new_events(log, 0)[0] if e["event"] == "started"]:
            found.setdefault(event["sample"], []).append(event["time"])
    return found


def killed(site: Any, name: str) -> list[str]:
    """Kill a flow as nothing can be killed harder; return the numbers of the jobs it leaves.

    Its ranks hang, so that they are sure to be there still when the next flow comes.
    """
    with site.started(*run_words(site, name)) as flow:
        site.until_started(name)
        for rank in site.ranks(name):
            rank.suspend()
        flow.kill()
        flow.wait()
    left = site.slurm.output("squeue", "-h", "-o", "%F").split()
    assert left, "a job that outlives its flow"
    return list(dict.fromkeys(left))


def orphans_ended(site: Any, name: str) -> float:
    """Return when the jobs of a flow that was killed were said to be over."""
    lines = (site.root(name) / "slurm" / "events.jsonl").read_text().splitlines()
    (event,) = [e for e in map(json.loads, lines) if e["event"] == "orphaned"]
    return float(event["time"])


def nobody_overlapped(site: Any, name: str) -> None:
    """Check that a sample was begun again only when the jobs of the killed flow were over."""
    over = orphans_ended(site, name)
    for times in starts(site, name).values():
        assert len([t for t in times if t < over]) <= 1
        assert len([t for t in times if t > over]) <= 1


def test_an_interrupted_flow_leaves_no_job_and_no_process(site: Any, expected: Any) -> None:
    command = run_words(site, "ctrl")
    with site.started(*command) as flow:
        site.until_started("ctrl")
        flow.send_signal(signal.SIGINT)
        assert flow.wait(200.0) == 130
    site.until(lambda: not site.slurm.output("squeue", "-h"), "the end of all jobs")
    site.until(lambda: not site.solvers("ctrl"), "the end of all processes")
    site.romflow(*command)
    assert site.checksums("ctrl") == expected[True]
    assert "orphaned" not in site.events("ctrl")


def test_the_jobs_of_a_killed_flow_are_ended_by_the_next_one(site: Any, expected: Any) -> None:
    left = killed(site, "kill")
    site.romflow(*run_words(site, "kill"))
    assert site.checksums("kill") == expected[True]
    assert site.logs("kill").count('"committed"') == 4
    nobody_overlapped(site, "kill")
    states = site.slurm.output("squeue", "-h", "--states=all", f"--jobs={left[0]}", "-o", "%T")
    assert set(states.split()) <= {"CANCELLED", "COMPLETED"}
    site.until(lambda: not site.solvers("kill"), "the end of all processes")


def test_the_jobs_of_a_killed_flow_are_ended_by_a_submission(site: Any, expected: Any) -> None:
    killed(site, "handed")
    site.submit("handed", slow=True)
    site.until_ended("handed")
    assert site.stage("handed") == "done"
    assert site.checksums("handed") == expected[True]
    assert site.logs("handed").count('"committed"') == 4
    nobody_overlapped(site, "handed")
