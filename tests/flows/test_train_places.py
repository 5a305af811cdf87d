"""Where trainer and simulations run, how frames go between them, and how jobs elsewhere end."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.online_places import Places, places_of
from flows.online_plan import prepare_online
from flows.online_study import OnlineStudy, load_training
from flows.stoppable_cluster import StoppableCluster
from infra.cluster.launcher import Launcher
from infra.errors import UserError
from infra.streaming.rendezvous import Rendezvous
from surrogates.job import TrainingJob

type Until = Callable[[Callable[[], Any], str], None]

TINY: dict[str, Any] = {
    "name": "tiny",
    "study": {
        "name": "plates",
        "problem": {"name": "heat", "settings": {"cells": 6}},
        "parameters": {},
        "sampling": {"samples": 4, "seed": 3},
        "time": {"end": 0.1, "frames": 6, "step": 0.01},
        "run": {"ranks": 1, "chunk_size": 2, "workers": 1, "retries": 0},
    },
    "validation": 2,
    "reservoir": {"capacity": 12, "threshold": 5},
    "training": {"batch": 7, "passes": 6, "validation_every": 5},
}
# It ends with its standard input, as every job does.
SLEEPER = """
import threading
from infra.lifeline import end_with_standard_input
end_with_standard_input()
print("here", flush=True)
threading.Event().wait()
"""


def training_at(
    folder: Path, simulations: dict[str, Any], trainer: dict[str, Any] | None = None, **changes: Any
) -> OnlineStudy:
    """Return the tiny training with profiles that lie in a folder."""
    for name, keys in (("simulations", simulations), ("trainer", trainer)):
        if keys is not None:
            (folder / f"{name}.yaml").write_text(yaml.safe_dump(keys))
    places = {"output": str(folder / "out"), "catalog": str(folder / "catalog")}
    changes["study"] = {**TINY["study"], **places}
    if trainer is not None:
        changes["trainer_profile"] = str(folder / "trainer.yaml")
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump({**TINY, "output": str(folder / "models"), **changes}))
    return load_training(str(path)).at(str(folder / "simulations.yaml"))


@pytest.mark.parametrize(
    ("simulations", "trainer", "kind", "transport"),
    [
        ({"kind": "local"}, None, "local", "local"),
        ({"kind": "dask"}, None, "local", "local"),
        ({"kind": "dask", "scheduler": "tcp://login:8786"}, None, "local", "tcp"),
        ({"kind": "dask-slurm"}, None, "local", "tcp"),
        ({"kind": "slurm"}, None, "slurm", "tcp"),
        ({"kind": "slurm"}, {"kind": "local"}, "local", "tcp"),
        ({"kind": "local"}, {"kind": "slurm"}, "slurm", "tcp"),
        ({"kind": "slurm"}, {"kind": "slurm", "partition": "gpu"}, "slurm", "tcp"),
    ],
)
def test_profiles_say_where_the_trainer_is_and_how_it_is_reached(
    tmp_path: Path,
    simulations: dict[str, Any],
    trainer: dict[str, Any] | None,
    kind: str,
    transport: str,
) -> None:
    found = places_of(training_at(tmp_path, simulations, trainer))
    assert (found.trainer.kind, found.transport) == (kind, transport)
    assert found.simulations.kind == simulations["kind"]
    assert found.trainer.partition == (trainer or {}).get("partition")


def test_the_trainers_job_says_how_it_is_reached(tmp_path: Path) -> None:
    for keys, transport in (({"kind": "local"}, "local"), ({"kind": "slurm"}, "tcp")):
        plan = prepare_online(training_at(tmp_path, keys))
        job = TrainingJob.model_validate_json(plan.job.read_bytes())
        assert job.reception.transport == job.reception.carried == transport


@pytest.mark.parametrize(
    ("reception", "words"),
    [
        ({"transport": "local"}, "reception.transport: expected tcp"),
        ({"interface": "127.0.0.1"}, "reception.interface: expected an address"),
    ],
)
def test_what_another_machine_would_not_reach_is_refused(
    tmp_path: Path, reception: dict[str, Any], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        places_of(training_at(tmp_path, {"kind": "slurm"}, reception=reception))
    assert places_of(training_at(tmp_path, {"kind": "local"}, reception=reception))


def test_a_local_transport_listens_for_this_machine_only(tmp_path: Path) -> None:
    reception = {"transport": "local", "interface": "*"}
    with pytest.raises(UserError, match="expected tcp where other machines reach"):
        training_at(tmp_path, {"kind": "local"}, reception=reception)


def test_encryption_can_be_had_on_one_machine(tmp_path: Path) -> None:
    reception = {"transport": "tcp", "interface": "127.0.0.1"}
    assert (
        places_of(training_at(tmp_path, {"kind": "local"}, reception=reception)).transport == "tcp"
    )


def test_as_many_chunks_as_the_profile_has_room_for_are_side_by_side(tmp_path: Path) -> None:
    def room(**keys: Any) -> int:
        training = training_at(tmp_path, keys)
        found: Places = places_of(training)
        return found.side_by_side(training.study.run)

    assert room(kind="local") == 1
    assert room(kind="dask-slurm", workers=3, slots=2) == 6
    assert room(kind="slurm", throttle=7) == 7


def test_a_job_elsewhere_ends_when_its_flow_says_so_and_none_is_started_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until: Until
) -> None:
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    cluster = StoppableCluster(Launcher(), tmp_path / "stop")
    log = tmp_path / "job.log"
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(cluster.run_alone, ["sleeper"], log)
        until(lambda: log.exists() and "here" in log.read_text(), "the job")
        cluster.end_jobs()
        result = future.result()
    assert result.code != 0
    assert result.final, "nobody tries it again"
    again = cluster.run_alone(["sleeper"], tmp_path / "again.log")
    assert again.final
    assert not (tmp_path / "again.log").exists()


@pytest.mark.mpi
def test_simulations_in_dask_feed_a_trainer_where_the_flow_runs(folder: Any) -> None:
    training_at(folder.path, {"kind": "dask", "workers": 2})
    profile = ("--profile", "simulations.yaml")
    done = folder.romflow("run", "train-surrogate-online", "--training", "tiny.yaml", *profile)
    assert done.returncode == 0, done.stderr
    model = folder.path / "models" / "tiny"
    card = json.loads((model / "model" / "card.json").read_text())
    assert (card["metrics"]["items"], card["metrics"]["never_seen"]) == (24, 0)
    rendezvous = model / "rendezvous" / "trainer.json"
    assert Rendezvous.read(rendezvous).keys is None
    assert not list((model / "stream").glob(".stop-*"))


@pytest.mark.parametrize("flow", ["train-surrogate-online", "build-rom"])
def test_an_unknown_profile_is_refused_by_its_name(folder: Any, flow: str) -> None:
    done = folder.romflow("run", flow, "--profile", "slrum")
    assert done.returncode == 2
    assert "profile slrum: expected a file or one of dask-slurm, dask, local, slurm" in done.stderr
    assert "Traceback" not in done.stderr
