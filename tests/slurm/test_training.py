"""Trainer and simulations as jobs of a real Slurm, on two nodes, whatever befalls them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.streaming.rendezvous import Rendezvous
from infra.zarr_store import open_store
from rom.registry import Registry

pytestmark = pytest.mark.slurm
TINY: dict[str, Any] = {
    "name": "heat",
    "study": {
        "name": "plates",
        "problem": {"name": "heat", "settings": {"cells": 6}},
        "parameters": {},
        "sampling": {"samples": 4, "seed": 3},
        "time": {"end": 0.1, "frames": 6, "step": 0.01},
        # With both processors of a node for each, they have to be where the trainer is not.
        "run": {"ranks": 2, "chunk_size": 3, "workers": 1, "retries": 1},
    },
    "validation": 2,
    "reservoir": {"capacity": 12, "threshold": 5},
    "training": {"batch": 7, "passes": 6, "validation_every": 5},
}
# A second or more for each sample: there is time to interrupt the trainer.
SLOW = {"end": 0.4, "frames": 41, "step": 0.0005}
ROM: dict[str, Any] = {
    "name": "porous",
    "study": {
        "name": "media",
        "problem": {"name": "darcy", "settings": {"cells": 6, "modes": 2}},
        "parameters": {"contrast": {"low": 3.0, "high": 30.0}, "xi_0": 1.0, "xi_1": 0.5},
        "sampling": {"samples": 6, "seed": 3},
        "run": {"ranks": 1, "chunk_size": 16, "workers": 1, "retries": 0},
    },
    "validation": 3,
    "fields": ["pressure"],
    "quantities": ["mean_pressure"],
    "model": {"tolerance": 1e-1, "regressor": "rbf"},
    "enrichment": None,
}


def written(site: Any, settings: dict[str, Any], **study: Any) -> str:
    """Write a training or a reduced model whose data lie in the site's folder."""
    places = {"output": str(site.folder / "out"), "catalog": str(site.folder / "catalog")}
    made = {**settings, "output": str(site.folder / "models")}
    made["study"] = {**settings["study"], **places, **study}
    path = site.folder / f"{settings['name']}.yaml"
    path.write_text(yaml.safe_dump(made))
    return str(path)


def telling_profile(site: Any) -> str:
    """Write a profile whose jobs tell on which node they are."""
    note = f'echo "$SLURMD_NODENAME $SLURM_JOB_NAME $SLURM_JOB_ID" >> {site.folder}/nodes'
    return str(site.profile(grace=5, setup=[note]))


def jobs(site: Any) -> list[list[str]]:
    """Return node, name and number of each job that was started; the trainer's is the first."""
    path = site.folder / "nodes"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def metrics_of(site: Any) -> dict[str, Any]:
    text = (site.folder / "models" / "heat" / "model" / "card.json").read_text()
    found: dict[str, Any] = json.loads(text)["metrics"]
    return found


def rendezvous_of(site: Any) -> Rendezvous:
    return Rendezvous.read(site.folder / "models" / "heat" / "rendezvous" / "trainer.json")


def test_a_surrogate_learns_on_one_node_from_simulations_on_the_other(site: Any) -> None:
    profile = telling_profile(site)
    command = ("run", "train-surrogate-online", "--training", written(site, TINY))
    site.romflow(*command, "--profile", profile)
    metrics = metrics_of(site)
    assert (metrics["items"], metrics["never_seen"]) == (24, 0)
    assert metrics["validation_frames"] == 12
    trainer, *simulations = jobs(site)
    assert simulations
    assert {node for node, *_ in simulations} == set(site.slurm.nodes) - {trainer[0]}
    known = rendezvous_of(site)
    assert known.keys is not None
    assert known.epoch == 1
    assert not site.slurm.output("squeue", "-h")


def test_a_surrogate_learns_here_from_simulations_in_the_jobs_that_dask_keeps(site: Any) -> None:
    profile = site.profile(kind="dask-slurm", workers=2, memory="2G")
    file = written(site, TINY)
    site.romflow("run", "train-surrogate-online", "--training", file, "--profile", profile)
    metrics = metrics_of(site)
    assert (metrics["items"], metrics["never_seen"]) == (24, 0)
    assert metrics["validation_frames"] == 12
    assert rendezvous_of(site).keys is not None  # the frames came over a network
    site.until(lambda: not site.slurm.output("squeue", "-h"), "the end of Dask's jobs")


def test_a_trainer_that_is_cancelled_goes_on_in_another_job(site: Any) -> None:
    profile = telling_profile(site)
    file = written(site, TINY, time=SLOW)
    command = ["run", "train-surrogate-online", "--training", file, "--profile", profile]
    journal = site.folder / "models" / "heat" / "journal"
    said = site.folder / "said"
    with (
        said.open("w") as output,
        subprocess.Popen(
            [sys.executable, "-m", "flows.cli", *command],
            cwd=site.folder,
            env={k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        ) as flow,
    ):
        try:
            site.until(lambda: _holds_frames(journal), "frames")
            site.slurm.output("scancel", jobs(site)[0][2])
            code = flow.wait(400.0)
        finally:
            flow.kill()
    assert code == 0, said.read_text()
    metrics = metrics_of(site)
    assert (metrics["items"], metrics["never_seen"]) == (4 * 41, 0)
    assert metrics["validation_frames"] == 2 * 41
    assert rendezvous_of(site).epoch == 2
    events = site.folder / "models" / "heat" / "stream" / "slurm" / "events.jsonl"
    assert "cancelled" in events.read_text()
    site.until(lambda: not site.slurm.output("squeue", "-h"), "the end of all jobs")


def test_a_reduced_model_is_built_from_simulations_in_slurm(site: Any) -> None:
    file = written(site, ROM)
    site.romflow("run", "build-rom", "--rom", file, "--profile", telling_profile(site))
    assert Registry(site.folder / "models").versions("porous") == (1,)
    assert open_store(site.folder / "out" / "porous").committed() == frozenset(range(9))
    assert jobs(site)


def _holds_frames(journal: Path) -> bool:
    return journal.is_dir() and any(path.stat().st_size for path in journal.iterdir())
