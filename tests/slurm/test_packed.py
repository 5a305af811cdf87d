"""Short chunks share Slurm jobs once it is known how short they are, and keep their own ends."""

import json
import os
import signal
from typing import Any

import pytest

from flows.slurm_profile import load_profile
from flows.study import load_study
from flows.submit_costs import packing_of
from infra.cluster.slurm_commands import Slurm

pytestmark = pytest.mark.slurm
# As many chunks as samples.
SINGLE = {"ranks": 2, "chunk_size": 1, "workers": 1, "retries": 2}


def elements(site: Any, name: str) -> list[list[int]]:
    """Return the elements of each round: how many chunks each of them took."""
    state = json.loads((site.root(name) / "slurm" / "submission.json").read_text())
    return [g["counts"] for r in state["rounds"] for g in r["groups"]]


def test_chunks_that_share_a_job_give_the_same_data_and_ends_of_their_own(
    site: Any, expected: Any
) -> None:
    study = site.study("shared", slow=True, run=SINGLE)
    site.romflow("submit", study, "--profile", site.profile(pack=2))
    site.until_started("shared", 3)
    rank = next(p for p in site.solvers("shared") if "-m solvers" in " ".join(p.cmdline()))
    os.kill(rank.pid, signal.SIGKILL)
    site.until_ended("shared")
    assert site.stage("shared") == "done"
    assert site.checksums("shared") == expected[True]
    assert site.logs("shared").count('"committed"') == 4
    assert site.events("shared").count("crashed") == 1
    # Two jobs for four chunks; the one that crashed came again, and no other.
    assert elements(site, "shared") == [[2, 2], [1]]


def test_what_finished_chunks_have_cost_packs_the_others(site: Any, expected: Any) -> None:
    study = site.study("learned", slow=True, run=SINGLE)
    site.romflow("submit", study, "--profile", site.profile(throttle=1))
    site.until(lambda: '"committed"' in site.logs("learned"), "a sample")
    site.romflow("cancel", str(site.root("learned")))
    site.until(lambda: not site.slurm.output("squeue", "-h"), "an empty queue")
    done = len(site.checksums("learned"))
    site.romflow("submit", study, "--profile", site.profile(throttle=1))
    site.until_ended("learned")
    assert site.checksums("learned") == expected[True]
    assert site.logs("learned").count('"committed"') == 4
    # Nothing was known the first time; twenty minutes are enough for all that was left.
    assert elements(site, "learned") == [[4 - done]]
    chosen, place = load_study(study), load_profile(site.profile(walltime="00:02:00"))
    rounds = json_rounds(site, "learned")
    packing = packing_of(chosen, place, (), rounds, Slurm().partitions())
    assert packing.cost is not None
    assert 0.0 < packing.cost.sample < 60.0
    assert 0.0 < packing.cost.start < 60.0
    assert packing.side_by_side == 2


def json_rounds(site: Any, name: str) -> Any:
    """Return the rounds of a submission as the program reads them."""
    from flows.submit_state import SubmissionPaths, read_submission

    return read_submission(SubmissionPaths(site.root(name))).rounds
