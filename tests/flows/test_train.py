"""Online training from study to surrogate: the real command line, MPI jobs and trainer."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import psutil
import pytest
import yaml

from flows.online_plan import check_design, online_design, prepare_online
from flows.online_study import (
    load_training,
    shipped_trainings,
    with_training_settings,
)
from infra.errors import UserError
from infra.zarr_store import open_store

type Until = Callable[[Callable[[], Any], str], None]

TINY: dict[str, Any] = {
    "name": "tiny",
    "study": {
        "name": "plates",
        "problem": {"name": "heat", "settings": {"cells": 6}},
        "parameters": {},
        "sampling": {"samples": 4, "seed": 3},
        "time": {"end": 0.1, "frames": 6, "step": 0.01},
        "run": {"ranks": 2, "chunk_size": 3, "workers": 1, "retries": 1},
    },
    "validation": 2,
    "reservoir": {"capacity": 12, "threshold": 5},
    "training": {"batch": 7, "passes": 6, "validation_every": 5},
}


def written(folder: Any, **changes: Any) -> str:
    """Write the tiny training with other entries; return its file's name."""
    study = {**TINY["study"], "output": str(folder.path / "out")}
    study |= {"catalog": str(folder.path / "catalog"), **changes.pop("study", {})}
    settings = {**TINY, "output": str(folder.path / "models"), **changes, "study": study}
    name = f"{settings['name']}.yaml"
    (folder.path / name).write_text(yaml.safe_dump(settings))
    return name


def card_of(folder: Any, name: str = "tiny") -> dict[str, Any]:
    text = (folder.path / "models" / name / "model" / "card.json").read_text()
    card: dict[str, Any] = json.loads(text)
    return card


@pytest.mark.mpi
def test_a_surrogate_learns_from_live_simulations_and_keeps_them_if_asked(folder: Any) -> None:
    file = written(folder, archive=True)
    done = folder.romflow("run", "train-surrogate-online", "--training", file)
    assert done.returncode == 0, done.stderr
    card = card_of(folder)
    metrics = card["metrics"]
    assert (metrics["items"], metrics["visits"], metrics["never_seen"]) == (24, 144, 0)
    assert metrics["validation_frames"] == 12
    model = folder.path / "models" / "tiny"
    assert {"README.md", "learning.png", "example.png"} <= {p.name for p in model.iterdir()}
    # The archive is an ordinary dataset, and holds what was streamed.
    store = open_store(folder.path / "out" / "tiny")
    assert store.committed() == frozenset(range(6))
    with np.load(model / "examples.npz") as example:
        kept = store.read(int(example["sample"]), "temperature").astype(np.float32)
        np.testing.assert_array_equal(example["truth"], kept)
    # A second run finds everything done, and changes nothing.
    again = folder.romflow("run", "train-surrogate-online", "--training", file)
    assert again.returncode == 0, again.stderr
    assert card_of(folder)["checksums"] == card["checksums"]


@pytest.mark.mpi
def test_a_saved_surrogate_predicts_and_its_training_is_replayed_bit_by_bit(folder: Any) -> None:
    file = written(folder, training={**TINY["training"], "keep_journal": True})
    done = folder.romflow("run", "train-surrogate-online", "--training", file)
    assert done.returncode == 0, done.stderr
    names = [n for n in card_of(folder)["inputs"]["names"] if n != "time"]
    values = [f"--mu={name}={100.0 + 50 * i}" for i, name in enumerate(names)]
    to = ["--time", 0.05, "--time", 0.1, "--output", "p.npz", "--picture", "p.png"]
    done = folder.romflow("predict", "models/tiny", *values, *to)
    assert done.returncode == 0, done.stderr
    with np.load(folder.path / "p.npz") as found:
        assert found["temperature"].shape == (2, 49)
    assert (folder.path / "p.png").stat().st_size > 10_000
    refused = folder.romflow("predict", "models/tiny", *values[1:])
    assert refused.returncode == 2
    assert f"received without {names[0]}" in refused.stderr
    replayed = folder.romflow("replay", "models/tiny")
    assert replayed.returncode == 0, replayed.stderr
    assert "the same, bit by bit" in replayed.stdout
    first, second = (folder.path / "models" / n / "model" / "weights.safetensors" for n in
                     ("tiny", "tiny-replay"))  # fmt: skip
    assert first.read_bytes() == second.read_bytes()
    refused = folder.romflow("replay", "models/tiny", "--output", "models/tiny")
    assert (refused.returncode, "another run" in refused.stderr) == (2, True)
    # What a replay leaves cannot be replayed itself: it has kept no arrivals.
    refused = folder.romflow("replay", "models/tiny-replay")
    assert (refused.returncode, "keep_journal=true" in refused.stderr) == (2, True)


@pytest.mark.mpi
@pytest.mark.parametrize("victim", ["trainer", "simulation", "flow"])
def test_a_killed_part_is_replaced_and_nothing_is_lost_or_doubled(
    victim: str, folder: Any, until: Until
) -> None:
    slow = {"time": {"end": 0.4, "frames": 41, "step": 0.0005}}
    file = written(folder, study=slow, training={"batch": 7, "passes": 6, "checkpoint_every": 1.0})
    run = folder.start("run", "train-surrogate-online", "--training", file)
    journal = folder.path / "models" / "tiny" / "journal"
    until(lambda: journal.is_dir() and any(p.stat().st_size for p in journal.iterdir()), "frames")
    own = psutil.Process(run.pid)
    words = {"trainer": "surrogates", "simulation": "solvers"}
    if victim == "flow":
        own.kill()
        run.wait()
        until(lambda: not folder.jobs(), "the end of the jobs")
        run = folder.start("run", "train-surrogate-online", "--training", file)
    else:
        jobs = [c for c in own.children(recursive=True) if words[victim] in c.cmdline()]
        assert jobs
        jobs[-1].send_signal(signal.SIGKILL)
    done = folder.wait(run)
    assert done.returncode == 0, done.stderr
    metrics = card_of(folder)["metrics"]
    assert (metrics["items"], metrics["never_seen"]) == (4 * 41, 0)
    assert metrics["validation_frames"] == 2 * 41


@pytest.mark.mpi
def test_simulations_that_are_lost_for_good_are_told_and_not_waited_for(
    folder: Any, until: Until
) -> None:
    slow = {"time": {"end": 0.4, "frames": 41, "step": 0.0005}}
    file = written(folder, study={**slow, "run": {**TINY["study"]["run"], "retries": 0}})
    run = folder.start("run", "train-surrogate-online", "--training", file)
    journal = folder.path / "models" / "tiny" / "journal"
    until(lambda: journal.is_dir() and any(p.stat().st_size for p in journal.iterdir()), "frames")
    own = psutil.Process(run.pid)
    jobs = [c for c in own.children(recursive=True) if "solvers" in c.cmdline()]
    jobs[-1].send_signal(signal.SIGKILL)
    done = folder.wait(run)
    assert done.returncode == 1, done.stderr
    assert "its MPI job ended with code" in done.stderr
    metrics = card_of(folder)["metrics"]
    assert metrics["holes"]
    assert metrics["never_seen"] == 0
    # What the flow has recorded only to tell the trainer is no failure of a sample.
    assert not open_store(folder.path / "models" / "tiny" / "stream").failures()


@pytest.mark.server
def test_the_deployment_trains_the_same_surrogate(folder: Any, server: Any) -> None:
    training = load_training(str(folder.path / written(folder)))
    given = {"training": training.model_dump(mode="json", exclude_none=True)}
    done = server.prefect(
        *("deployment", "run", "train-surrogate-online/local", "--watch"),
        *("--params", json.dumps(given)),
    )
    assert done.returncode == 0, done.stdout
    metrics = card_of(folder)["metrics"]
    assert (metrics["items"], metrics["never_seen"]) == (24, 0)


@pytest.mark.mpi
def test_a_simulation_that_cannot_be_computed_is_a_hole_that_is_told(folder: Any) -> None:
    limits = {"rtol": 1e-20}  # no system can be solved so well
    file = written(folder, study={"linear": {"method": "direct", **limits}})
    done = folder.romflow("run", "train-surrogate-online", "--training", file)
    assert done.returncode in (1, 3)
    assert "Traceback" not in done.stderr


def test_shipped_trainings_are_valid_and_bear_their_files_names() -> None:
    names = [load_training(name).name for name in shipped_trainings()]
    assert names == list(shipped_trainings())


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ("model.name=mpl", "mlp"),
        ("training.batsh=3", "batch"),
        ("training.passes=0", "passes"),
        ("model.mode=recurrent", "autoregressive"),
        ("study.time=1", "study"),
        ("study.run.profile=slrum", "one of dask-slurm, dask, local, slurm"),
        ("trainer_profile=dask", "kind local or slurm"),
    ],
)
def test_a_wrong_setting_is_named_with_what_was_meant(folder: Any, change: str, word: str) -> None:
    training = load_training(str(folder.path / written(folder)))
    with pytest.raises(UserError, match=word):
        check_design(with_training_settings(training, [change]))


def test_held_out_simulations_come_first_and_are_not_among_the_others(folder: Any) -> None:
    training = load_training(str(folder.path / written(folder)))
    made = online_design(training)
    order = [index for chunk in made.chunks for index in chunk]
    assert order[:2] == [4, 5]
    assert sorted(order) == list(range(6))
    assert len({made.samples[i].mu["temperature_left"] for i in order}) == 6


def test_a_step_count_replaces_the_passes(folder: Any) -> None:
    training = load_training(str(folder.path / written(folder)))
    changed = with_training_settings(training, ["training.steps=9"])
    assert (changed.training.steps, changed.training.passes) == (9, None)


def test_a_steady_problem_has_no_next_state(folder: Any) -> None:
    steady = {"name": "flat", "problem": {"name": "poisson"}, "parameters": {}, "time": None}
    file = written(folder, study=steady, model={"mode": "autoregressive"})
    with pytest.raises(UserError, match="direct"):
        check_design(load_training(str(folder.path / file)))


def test_a_training_that_goes_on_leaves_pytorch_and_pictures_for_later(folder: Any) -> None:
    training = load_training(str(folder.path / written(folder)))
    prepare_online(training)
    code = (
        "import sys, flows.train as flow, flows.online_study as study\n"
        "flow.check_design(study.load_training('tiny.yaml'))\n"
        "print(sys.modules.keys() & {'torch', 'matplotlib'})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder.path,
        env={**os.environ, "PREFECT_HOME": str(folder.path / "prefect")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "set()\n", done.stderr
    # Another model is looked at as the first one was.
    with pytest.raises(UserError, match="mlp"):
        check_design(with_training_settings(training, ["model.name=mpl"]))
