"""Active sampling in an online training: rounds, where they lie, and the whole way once."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from flows.bred_samples import bred_text, scatter_of
from flows.breeding import Breeder, bred_of, breeder_of, rounds_of
from flows.design import design
from flows.figures.breeding import breeding_figure
from flows.online_plan import check_design, online_design, prepare_online
from flows.online_study import OnlineStudy, load_training, with_training_settings
from flows.study import load_study, with_settings
from infra.errors import UserError
from infra.testing import example_failure
from infra.zarr_store import ZarrStore, open_store
from solvers.sampling import SobolSampler
from surrogates.sample_scores import SampleScores

type Until = Callable[[Callable[[], Any], str], None]

STUDY: dict[str, Any] = {
    "name": "plates",
    "problem": {"name": "heat", "settings": {"cells": 4}},
    "parameters": {
        "temperature_left": {"low": 100.0, "high": 500.0},
        "temperature_top": {"low": 100.0, "high": 500.0},
        **dict.fromkeys(("temperature_right", "temperature_bottom", "temperature_initial"), 200.0),
    },
    "sampling": {
        "method": "breed",
        "samples": 10,
        "seed": 3,
        "settings": {"size": 4, "end": 0.75, "breakpoint": 1},
    },
    "time": {"end": 0.1, "frames": 6, "step": 0.01},
    "run": {"ranks": 1, "chunk_size": 3, "workers": 1, "retries": 0},
}

COMMAND = ("run", "train-surrogate-online", "--training", "tiny.yaml")


def training_in(folder: Path, breed: dict[str, Any] | None = None, **changes: Any) -> OnlineStudy:
    """Return the tiny training with other settings of breed or other entries."""
    samples = changes.pop("samples", 10)
    settings = {**STUDY["sampling"]["settings"], **(breed or {})}
    sampling = {**STUDY["sampling"], "samples": samples, "settings": settings}
    places = {"output": str(folder / "out"), "catalog": str(folder / "catalog")}
    given = {
        "name": "tiny",
        "study": {**STUDY, "sampling": sampling, **places},
        "validation": 2,
        "reservoir": {"capacity": 40, "threshold": 5},
        "training": {"batch": 7, "passes": 6, "validation_every": 5},
        "output": str(folder / "models"),
        **changes,
    }
    (folder / "tiny.yaml").write_text(yaml.safe_dump(given))
    return load_training(str(folder / "tiny.yaml"))


def begun(training: OnlineStudy) -> tuple[Breeder, ZarrStore]:
    """Make the dataset of a training; return it and what draws its rounds."""
    plan = prepare_online(training)
    breeder = breeder_of(training)
    assert breeder is not None
    return breeder, open_store(plan.simulations.root)


def units(training: OnlineStudy, store: ZarrStore) -> NDArray[np.float64]:
    """Return the unit coordinates of the drawn samples that are trained on."""
    samples = [s for s in store.samples[: training.study.sampling.samples] if s.mu]
    space = online_design(training).space
    return space.to_unit(space.array([s.mu for s in samples]))


def learn(training: OnlineStudy, store: ZarrStore) -> None:
    """Be a trainer whose losses are large in one corner of the box alone."""
    points = units(training, store)
    losses = np.exp(-((points - 1.0) ** 2).sum(axis=1) / 0.1)
    scores = SampleScores(len(points), 10)
    scores.note(np.arange(len(points)), losses)
    scores.write(training.paths.scores)


def test_the_first_round_and_the_held_out_samples_are_known_and_no_others(tmp_path: Path) -> None:
    training = training_in(tmp_path)
    made = online_design(training)
    assert rounds_of(training) == [(0, 1, 2, 3), (4, 5, 6, 7), (8, 9)]
    assert made.chunks == ((10, 11), (0, 1, 2), (3,), (4, 5, 6), (7,), (8, 9))
    base = SobolSampler(made.space, 3).suggest(10)
    assert list(made.samples[:4]) == base[:4]
    assert [s.mu for s in made.samples[4:10]] == [{}] * 6
    assert [s.seed for s in made.samples[:10]] == [s.seed for s in base]
    assert [s.index for s in made.samples] == list(range(12))
    assert all(s.mu and s.mu not in [b.mu for b in base] for s in made.samples[10:])


def test_rounds_are_drawn_one_by_one_and_a_flow_that_goes_on_finds_the_same(
    tmp_path: Path,
) -> None:
    drawn = []
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
        training = training_in(tmp_path / name)
        breeder, store = begun(training)
        texts = []
        while not breeder.over:
            learn(training, store)
            assert breeder.drawn == len(texts) + 1
            texts.append(breeder.draw())
            if name == "parts":  # the flow was killed, and starts again
                breeder, store = begun(training)
        assert texts == ["round 2 of 3, 3 of 4 bred", "round 3 of 3, 1 of 2 bred"]
        drawn.append((store.samples, store.draws(), store.description.digest))
    assert drawn[0] == drawn[1]
    assert bred_of(store) == sorted({i for r in store.draws() for i in r.parents})


def test_without_scores_all_rounds_are_the_design_that_fills_the_space(tmp_path: Path) -> None:
    training = training_in(tmp_path)
    breeder, store = begun(training)
    while not breeder.over:
        breeder.draw()
    base = SobolSampler(online_design(training).space, 3).suggest(10)
    assert list(store.samples[:10]) == base
    assert bred_of(store) == []


def test_bred_samples_gather_where_the_loss_is_large(tmp_path: Path) -> None:
    training = training_in(tmp_path, {"size": 16, "sigma": 0.05}, samples=80)
    breeder, store = begun(training)
    while not breeder.over:
        learn(training, store)
        breeder.draw()
    near = np.linalg.norm(units(training, store) - 1.0, axis=1) < 0.45
    bred = np.isin(np.arange(80), bred_of(store))
    assert bred.sum() == 48  # three quarters of all but the first round
    assert near[bred].mean() > 0.8
    assert near[~bred].mean() < 0.3  # of the box it is 0.16
    scatter = scatter_of(training)
    assert scatter is not None
    np.testing.assert_array_equal(scatter.bred, bred)
    breeding_figure("tiny", scatter).savefig(tmp_path / "sampling.png")
    assert bred_text(training) == "48 of 80 simulations bred, 5 rounds"


def test_a_round_waits_for_the_trainer_but_not_for_ever(tmp_path: Path) -> None:
    patient = training_in(tmp_path, {"patience": 1e9})
    breeder, store = begun(patient)
    path = patient.paths.scores
    assert not breeder.due(learning=True)
    assert breeder.due(learning=False)  # nothing will be learned any more
    scores = SampleScores(10, 10)
    scores.note(np.array([0, 1, 2]), [1.0, 2.0, 3.0])
    scores.write(path, "waiting")
    assert not breeder.due(learning=True)  # sample 3 is still on its way
    store.fail(example_failure(store.sample(3)))
    assert breeder.due(learning=True)
    scores.write(path, "learning")
    assert not breeder.due(learning=True)
    scores.write(path, "over")
    assert breeder.due(learning=True)


@pytest.mark.parametrize("breed", [{"views": 2.0, "patience": 1e9}, {"patience": 0.0}])
def test_a_round_is_drawn_when_the_last_one_was_seen_often_enough(
    tmp_path: Path, breed: dict[str, Any]
) -> None:
    training = training_in(tmp_path, breed)
    breeder, _ = begun(training)
    scores, every = SampleScores(10, 10), np.repeat(np.arange(4), 6)
    scores.note(every, np.arange(24.0))
    scores.write(training.paths.scores)
    assert breeder.due(learning=True) == (breed["patience"] == 0)
    scores.note(every, np.arange(24.0))
    scores.write(training.paths.scores)
    assert breeder.due(learning=True)


def test_nobody_waits_if_that_is_not_wanted_and_all_rounds_have_an_end(tmp_path: Path) -> None:
    breeder, _ = begun(training_in(tmp_path, {"views": 0.0, "patience": 1e9}))
    while not breeder.over:
        assert breeder.due(learning=True)
        breeder.draw()
    assert breeder.drawn == 3
    assert not breeder.due(learning=True)


def test_breed_without_a_training_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plates.yaml").write_text(yaml.safe_dump(STUDY))
    with pytest.raises(UserError, match=r"breed needs a training.*sobol, latin-hypercube"):
        design(load_study(str(tmp_path / "plates.yaml")))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ("study.sampling.settings.sigma=0", "sigma > 0"),
        ("study.sampling.settings.size=yes", "size: Input should be a valid integer"),
        ("study.sampling.settings.sise=3", "sise"),
        ("study.sampling.method=sobol", "sobol has no settings"),
        ("study.sampling.method=bread", "sobol, latin-hypercube"),
    ],
)
def test_a_wrong_setting_of_breed_is_named(tmp_path: Path, change: str, word: str) -> None:
    changes = ["study.sampling.settings={}", change] if "bread" in change else [change]
    with pytest.raises(UserError, match=word):
        check_design(with_training_settings(training_in(tmp_path), changes))


def test_other_studies_do_not_mention_settings_and_breed_mentions_all(tmp_path: Path) -> None:
    study = load_study("heat-demo")
    assert study.content()["sampling"] == {"method": "sobol", "samples": 16, "seed": 2026}
    same = with_settings(study, ["sampling.settings={}"])
    assert same == study
    settings = training_in(tmp_path).study.content()["sampling"]["settings"]
    assert (settings["size"], settings["sigma"]) == (4, 0.05)


@pytest.mark.mpi
def test_a_surrogate_learns_from_simulations_that_are_bred_while_it_learns(folder: Any) -> None:
    training = training_in(folder.path, archive=True)
    command = (*COMMAND, "--set", "study.run.chunk_size=4")
    done = folder.romflow(*command)
    assert done.returncode == 0, done.stderr
    assert "round 2 of 3, 3 of 4 bred" in done.stderr
    card = json.loads((training.paths.model / "card.json").read_text())
    metrics = card["metrics"]
    assert (metrics["items"], metrics["visits"], metrics["never_seen"]) == (60, 360, 0)
    assert (metrics["holes"], metrics["validation_frames"]) == ({}, 12)
    store = open_store(folder.path / "out" / "tiny")
    assert store.committed() == frozenset(range(12))
    assert "active sampling" in (training.folder / "README.md").read_text()
    assert (training.folder / "sampling.png").is_file()
    with (folder.path / "catalog" / "tiny" / "params.csv").open(newline="") as file:
        listed = [float(row["temperature_left"]) for row in csv.DictReader(file)]
    assert listed == [sample.mu["temperature_left"] for sample in store.samples]


@pytest.mark.mpi
def test_a_killed_flow_goes_on_with_the_rounds_that_it_has_drawn(folder: Any, until: Until) -> None:
    training = training_in(folder.path)
    command = (*COMMAND, "--set", "study.run.chunk_size=4")
    run = folder.start(*command)
    root = training.data.dataset
    until(lambda: (root / "draws" / "000004.json").exists(), "the second round")
    run.kill()
    run.wait()
    until(lambda: not folder.jobs(), "the end of the jobs")
    drawn = (root / "draws" / "000004.json").read_bytes()
    done = folder.romflow(*command)
    assert done.returncode == 0, done.stderr
    assert (root / "draws" / "000004.json").read_bytes() == drawn
    metrics = json.loads((training.paths.model / "card.json").read_text())["metrics"]
    assert (metrics["items"], metrics["never_seen"], metrics["holes"]) == (60, 0, {})
    assert not open_store(root).description.undrawn
