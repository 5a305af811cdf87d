"""Whole trainings in this process: from a dataset, from live clients, and replayed."""

import csv
import json
import threading

import numpy as np
import pytest
import torch

from infra.errors import FencedError, StoreError, UserError
from infra.streaming.client import connect
from infra.streaming.frames import stream_spec
from infra.streaming.rendezvous import Rendezvous, claim
from infra.testing import example_failure, frame_of, small_layout, write_all
from infra.zarr_store import ZarrStore
from surrogates.job import TrainingJob
from surrogates.online import train
from surrogates.progress_lines import ProgressLines
from surrogates.saving import load_model

N_SAMPLES, N_FRAMES = 5, 4


@pytest.fixture
def store(tmp_path):
    made = ZarrStore(tmp_path / "data")
    made.create(small_layout(N_SAMPLES, N_FRAMES))
    return made


@pytest.fixture
def job(store, tmp_path):
    """Return a function that makes a job; keywords of `TrainingSettings` go to the training."""

    def make(name="run", *, live=False, mode="direct", entries=(), **training):
        settings = {"passes": 2, "batch": 3, "validation_every": 4, **training}
        settings["logging"] = {"interval": 0.0, **settings.get("logging", {})}
        return TrainingJob(
            study=stream_spec(store.description).study,
            dataset=tmp_path / "data",
            run=tmp_path / name,
            code=tmp_path,
            rendezvous=tmp_path / "rendezvous.json" if live else None,
            samples=(0, 1, 2, 3),
            validation=(4,),
            model={"name": "mlp", "mode": mode, "settings": {"hidden": [8]}},
            reception={"failures_every": 0.05},
            training=settings,
            **dict(entries),
        )

    return make


def _has_hole(folder):
    """Whether a trainer has noted the failure in its journal."""
    return any(b"diverged" in path.read_bytes() for path in folder.glob("*.frames"))


@pytest.fixture
def run():
    """Return a function that trains and returns the outcome and what was said."""

    def go(job, stop=lambda: False):
        said = []
        torch.set_num_threads(1)
        outcome = train(job, ProgressLines(said.append, 0.0), stop)
        return outcome, [json.loads(line) for line in said]

    return go


def _fill(store, indices=range(N_SAMPLES)):
    for index in indices:
        with store.sink(store.samples[index]) as sink:
            write_all(sink, store.description)


def _send(job, store, samples, *, frames=N_FRAMES):
    """Be a solver: the user's three lines for each sample."""
    waiting = threading.Event()
    while not job.rendezvous.exists() or not Rendezvous.read(job.rendezvous).endpoints:
        waiting.wait(0.01)
    spec = stream_spec(store.description)
    for index in samples:
        sample = store.samples[index]
        stream = connect(job.rendezvous, index)
        for k in range(frames):
            if k not in stream.held:
                values = frame_of(store.description, sample, k)
                stream.send(k, {name: values[name] for name, _ in spec.fields})
        stream.finish() if frames == N_FRAMES else stream.abandon("killed")


@pytest.fixture
def live(store):
    """Return a function that starts a thread of clients; all end with the test."""
    threads = []

    def start(job, samples=range(N_SAMPLES), **options):
        thread = threading.Thread(target=_send, args=(job, store, samples), kwargs=options)
        thread.start()
        threads.append(thread)

    yield start
    for thread in threads:
        thread.join(30.0)
        assert not thread.is_alive()


def _weights(folder):
    return load_model(folder).state_dict()


@pytest.mark.parametrize("mode", ["direct", "autoregressive"])
def test_training_from_a_dataset_leaves_model_card_history_and_bias(store, job, run, mode):
    _fill(store)
    made = job(mode=mode)
    outcome, said = run(made)
    assert outcome.reason == "data"
    items = 4 * (N_FRAMES if mode == "direct" else N_FRAMES - 1)
    card = json.loads((made.paths.model / "card.json").read_text())
    metrics, lineage = card["metrics"], card["lineage"]
    assert (metrics["items"], metrics["visits"], metrics["never_seen"]) == (items, 2 * items, 0)
    assert metrics["baseline"] == ("mean field" if mode == "direct" else "persistence")
    assert {"validation_error", "rollout_error", "baseline_error", "holes"} <= set(metrics)
    assert lineage["study"] == made.study
    assert lineage["provenance"]["packages"]["torch"] != "absent"
    assert json.loads(made.paths.bias.read_text())["visits"] == 2 * items
    with made.paths.history.open() as file:
        rows = list(csv.DictReader(file))
    assert int(rows[-1]["step"]) == outcome.steps
    assert any(row["validation_error"] for row in rows)
    with np.load(made.paths.examples, allow_pickle=False) as example:
        assert example["truth"].shape == example["prediction"].shape == (N_FRAMES, 12)
    assert (said[0]["event"], said[-1]["event"]) == ("started", "model")


@pytest.mark.parametrize("mode", ["direct", "autoregressive"])
def test_training_from_live_clients_sees_every_frame_and_ends_by_itself(job, run, live, mode):
    made = job(live=True, mode=mode)
    live(made)
    outcome, said = run(made)
    items = 4 * (N_FRAMES if mode == "direct" else N_FRAMES - 1)
    assert outcome.reason == "data"
    assert outcome.score.frames == (N_FRAMES if mode == "direct" else N_FRAMES - 1)
    card = json.loads((made.paths.model / "card.json").read_text())
    assert (card["metrics"]["items"], card["metrics"]["never_seen"]) == (items, 0)
    assert card["metrics"]["mean_views"] == 2.0
    assert {"receiving", "training", "validated", "checkpoint"} <= {x["event"] for x in said}


def test_replay_of_the_kept_journal_gives_the_same_weights_bit_by_bit(job, run, live):
    made = job(live=True, keep_journal=True)
    live(made, (4, 2, 0))
    live(made, (3, 1))
    run(made)
    again = job("again", entries={"replay": made.run})
    outcome, _ = run(again)
    assert outcome.score is not None
    first, second = _weights(made.paths.model), _weights(again.paths.model)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_replay_that_was_interrupted_still_gives_the_same_weights(job, run, live):
    """The largest equality of all: live, and from the journal in two parts with new objects."""
    made = job(live=True, keep_journal=True, mode="autoregressive", passes=5)
    live(made, (1, 4, 2))
    live(made, (3, 0))
    run(made)
    again = job("again", mode="autoregressive", passes=5, entries={"replay": made.run})
    asked = iter([False] * 8 + [True] * 5)
    assert run(again, lambda: next(asked))[0].reason == "stopped"
    assert run(again)[0].reason == "data"
    first, second = _weights(made.paths.model), _weights(again.paths.model)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("mode", ["direct", "autoregressive"])
def test_live_training_that_was_interrupted_equals_its_uninterrupted_replay(job, run, live, mode):
    """New objects, a new claim, a checkpoint in between: the weights do not show it."""
    made = job(live=True, keep_journal=True, mode=mode, passes=8)
    live(made, (4, 1, 3, 0, 2))
    steps = made.paths.checkpoints
    asked = iter(range(10**9))
    said = run(made, lambda: next(asked) > 12)[1]
    assert steps.is_dir()
    outcome, resumed = run(made)
    assert outcome.reason == "data"
    assert resumed[0]["step"] == said[-1]["step"]
    again = job("again", mode=mode, passes=8, entries={"replay": made.run})
    assert run(again)[0].steps == outcome.steps
    first, second = _weights(made.paths.model), _weights(again.paths.model)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_sample_with_a_failure_record_is_a_hole_and_the_training_ends(store, job, run, live):
    made = job(live=True)
    store.fail(example_failure(store.samples[1]))
    live(made, (0, 2, 3, 4))
    outcome, said = run(made)
    assert outcome.reason == "data"
    card = json.loads((made.paths.model / "card.json").read_text())
    assert card["metrics"]["holes"] == {"1": "diverged"}
    hole = next(line for line in said if line["event"] == "hole")
    assert "simulation 1 will not come" in hole["message"]


def test_sample_that_ended_early_is_a_hole_and_the_training_ends(job, run, live):
    """A user's own loop: no failure record tells the trainer."""
    made = job(live=True)
    live(made, (0, 2, 3, 4))
    live(made, (1,), frames=2)
    outcome, _ = run(made)
    assert outcome.reason == "data"
    card = json.loads((made.paths.model / "card.json").read_text())
    assert card["metrics"]["holes"] == {"1": "killed"}


def test_failed_sample_that_was_forgiven_is_trained_on_by_the_next_trainer(store, job, run, live):
    made = job(live=True)
    store.fail(example_failure(store.samples[1]))
    live(made, (0,))
    holes = made.paths.journal
    asked = iter(range(10**9))
    stop = lambda: next(asked) > 3 and bool([*holes.glob("*.frames")]) and _has_hole(holes)  # noqa: E731
    assert run(made, stop)[0].reason == "stopped"
    store.forgive([1])
    live(made, (1, 2, 3, 4))
    outcome, said = run(made)
    assert outcome.reason == "data"
    card = json.loads((made.paths.model / "card.json").read_text())
    assert (card["metrics"]["holes"], card["metrics"]["items"]) == ({}, 4 * N_FRAMES)
    assert not [line for line in said if line["event"] == "hole"]


def test_forgiven_sample_that_comes_after_the_end_is_reported(store, job, run, live):
    made = job(live=True)
    store.fail(example_failure(store.samples[1]))
    live(made, (0, 2, 3, 4))
    run(made)
    store.forgive([1])
    outcome, said = run(made)
    assert outcome.reason == "data"
    (hole,) = [line for line in said if line["event"] == "hole"]
    assert (hole["sample"], "no more" in hole["message"]) == (1, True)


def test_one_failed_held_out_simulation_leaves_the_others_to_validate_with(store, job, run, live):
    values = job(live=True).model_dump()
    made = TrainingJob.model_validate({**values, "samples": (0, 1, 2), "validation": (3, 4)})
    store.fail(example_failure(store.samples[3]))
    live(made, (4, 0, 1, 2))
    outcome, _ = run(made)
    assert outcome.score.frames == N_FRAMES


@pytest.mark.parametrize("live_data", [True, False])
def test_second_run_of_a_finished_training_keeps_its_validation_error(
    store, job, run, live, live_data
):
    made = job(live=live_data)
    live(made) if live_data else _fill(store)
    cards = []
    for _ in range(2):
        run(made)
        cards.append(json.loads((made.paths.model / "card.json").read_text())["metrics"])
    for name in ("validation_error", "rollout_error", "best_step", "steps"):
        assert cards[1][name] == cards[0][name]


def test_more_budget_after_the_end_is_refused_and_other_intervals_are_not(store, job, run):
    _fill(store)
    run(job(passes=2))
    with pytest.raises(UserError, match=r"passes 2.0.*received passes 4.0.*another name"):
        run(job(passes=4))
    with pytest.raises(UserError, match="batch 3"):
        run(job(batch=4))
    assert run(job(validation_every=7, checkpoint_every=1.0))[0].reason == "data"


def test_training_ends_when_all_clients_are_dead_and_given_up(store, job, run):
    made = job(live=True)
    for index in (0, 2, 3, 4, 1):
        store.fail(example_failure(store.samples[index]))
    outcome, _ = run(made)
    assert (outcome.reason, outcome.steps) == ("data", 0)


def test_stopped_training_goes_on_where_it_was(store, job, run):
    _fill(store)
    whole = job("whole", passes=6)
    run(whole)
    parts = job("parts", passes=6)
    asked = iter([False] * 9 + [True] * 3)
    outcome, _ = run(parts, lambda: next(asked))
    assert outcome.reason == "stopped"
    assert not parts.paths.model.exists()
    outcome, said = run(parts)
    assert said[0]["step"] > 0
    first, second = _weights(whole.paths.model), _weights(parts.paths.model)
    assert all(torch.equal(first[name], second[name]) for name in first)
    with parts.paths.history.open() as file:
        steps = [int(row["step"]) for row in csv.DictReader(file)]
    assert steps == sorted(steps)


def test_simulations_are_heard_to_their_end_where_that_is_wanted(job, run, live):
    values = job(live=True, passes=None, steps=1).model_dump()
    made = TrainingJob.model_validate({**values, "reception": {"drain": True}})
    live(made)
    outcome, _ = run(made)
    assert (outcome.reason, outcome.steps) == ("steps", 1)
    assert not [*made.paths.spool.glob("*.spool")]  # nothing was left to the next trainer


def test_trainer_that_another_one_replaced_stops_without_a_checkpoint(store, job, run):
    made = job(live=True)
    spec = stream_spec(store.description)

    others = []

    def replaced():
        if not others:
            others.append(claim(made.rendezvous, spec, (), made.paths.spool, 10**6))
        return False

    with pytest.raises(FencedError, match="another trainer"):
        run(made, replaced)
    assert not made.paths.checkpoints.exists()
    assert Rendezvous.read(made.rendezvous) == others[0]


def test_best_model_is_published_where_training_watches_for_it(store, job, run):
    _fill(store)
    made = job(passes=30, patience=2, learning_rate=0.5, validation_every=1)
    outcome, said = run(made)
    assert outcome.reason == "patience"
    errors = {x["step"]: x["validation_error"] for x in said if x["event"] == "validated"}
    card = json.loads((made.paths.model / "card.json").read_text())
    assert card["metrics"]["validation_error"] == pytest.approx(min(errors.values()), rel=1e-5)
    assert errors[card["metrics"]["best_step"]] == min(errors.values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"study": "other"}, "study: expected"),
        ({"samples": (0, 77)}, "77"),
        ({"validation": (78,)}, "78"),
        ({"bounds": {"nothing": (0.0, 1.0)}}, "nothing"),
        ({"model": {"name": "mpl"}}, "mlp"),
        ({"model": {"name": "mlp", "settings": {"width": 3}}}, "width"),
        ({"replay": "/nowhere"}, "replay"),
    ],
)
def test_job_that_cannot_work_is_a_users_mistake(job, run, change, message):
    values = {**job().model_dump(), **change}
    with pytest.raises(UserError, match=message):
        run(TrainingJob.model_validate(values))


def test_dataset_without_a_committed_sample_cannot_be_trained_from(job, run):
    with pytest.raises(UserError, match="received none"):
        run(job())


def test_missing_dataset_is_a_store_error(job, run, tmp_path):
    values = {**job().model_dump(), "dataset": tmp_path / "none"}
    with pytest.raises(StoreError):
        run(TrainingJob.model_validate(values))


def test_gpu_that_is_not_there_is_a_users_mistake(job, run):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(UserError, match=r"training\.device: expected GPU"):
        run(job(device="cuda"))


def test_checkpoint_of_another_model_is_refused(store, job, run):
    _fill(store)
    run(job())
    other = {**job().model_dump(), "model": {"name": "mlp", "settings": {"hidden": [9]}}}
    with pytest.raises(UserError, match="model settings"):
        run(TrainingJob.model_validate(other))


def test_two_trainings_cannot_share_a_run_folder(store, job, run):
    _fill(store)
    made = job()

    def second():
        with pytest.raises(UserError, match="no other training"):
            run(made)
        return True

    asked = []
    run(made, lambda: asked.append(second()) is None and False if not asked else False)
    assert asked == [True]


def test_tensorboard_files_hold_the_scalars(store, job, run):
    _fill(store)
    made = job(logging={"tensorboard": True})
    run(made)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(made.paths.tensorboard))
    events.Reload()
    assert {"loss", "validation_error", "unique_per_second"} <= set(events.Tags()["scalars"])
    assert events.Scalars("visits")[-1].value == 32


def test_missing_mlflow_is_a_users_mistake_that_says_what_to_install(store, job, run):
    _fill(store)
    with pytest.raises(UserError, match=r"pip install mlflow"):
        run(job(logging={"mlflow": "somewhere"}))
