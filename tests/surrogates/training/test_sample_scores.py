"""Scores of samples: the delta loss by hand, and the way from the steps to the file."""

import json
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from infra.errors import StoreError, UserError
from infra.records import DrawRecord
from infra.streaming.client import connect
from infra.streaming.frames import stream_spec
from infra.streaming.rendezvous import Rendezvous
from infra.testing import frame_of, small_layout
from infra.zarr_store import ZarrStore
from surrogates.job import TrainingJob
from surrogates.learner import Learner
from surrogates.online import train
from surrogates.progress_lines import ProgressLines
from surrogates.sample_scores import SampleScores, Told, delta_losses, read_scores
from surrogates.saving import load_model
from surrogates.scored_steps import ScoredSteps
from surrogates.settings import TrainingSettings
from surrogates.shared_steps import open_steps
from surrogates.steps import LocalSteps


def _settings(**values):
    return TrainingSettings(**{"batch": 4, "passes": 2, **values})


def test_delta_loss_is_the_excess_over_the_mean_in_deviations():
    losses = [1.0, 2.0, 3.0, 6.0]  # mean 3, deviation sqrt(3.5)
    np.testing.assert_allclose(delta_losses(losses), [0, 0, 0, 3 / np.sqrt(3.5)], rtol=1e-14)
    np.testing.assert_array_equal(delta_losses([2.0, 2.0, 2.0]), [0, 0, 0])
    np.testing.assert_array_equal(delta_losses([5.0]), [0])


def test_delta_loss_does_not_change_with_the_size_of_the_losses():
    losses = np.random.default_rng(0).exponential(size=50)
    np.testing.assert_allclose(delta_losses(1e-6 * losses), delta_losses(losses), rtol=1e-9)


def test_score_is_the_mean_over_the_visits_while_they_are_few():
    scores = SampleScores(3, memory=10)
    first = delta_losses([1.0, 2.0, 3.0, 6.0])
    scores.note(np.array([0, 2, 2, 0]), [1.0, 2.0, 3.0, 6.0])
    scores.note(np.array([0, 2]), [1.0, 3.0])
    assert scores.scores()[0] == pytest.approx((first[0] + first[3] + 0.0) / 3)
    assert scores.scores()[2] == pytest.approx((first[1] + first[2] + 1.0) / 3)
    assert 1 not in scores.scores()


def test_old_visits_are_forgotten():
    scores = SampleScores(2, memory=4)
    for _ in range(100):
        scores.note(np.array([0, 1]), [1.0, 0.0])
    assert scores.scores()[0] == pytest.approx(1.0)
    for _ in range(40):
        scores.note(np.array([0, 1]), [0.0, 1.0])
    assert scores.scores()[0] < 1e-4


def test_samples_visited_last_stand_last():
    scores = SampleScores(5, memory=10)
    for pair in ([4, 1], [3, 4], [0, 0]):
        scores.note(np.array(pair), [1.0, 2.0])
    assert list(scores.scores()) == [1, 3, 4, 0]


def test_losses_that_are_not_numbers_change_nothing():
    scores = SampleScores(2, memory=10)
    scores.note(np.array([0, 1]), [1.0, np.nan])
    assert scores.scores() == {}


def test_restored_scores_go_on_as_the_first_ones(tmp_path):
    first, second = SampleScores(4, 6), SampleScores(4, 6)
    rng = np.random.default_rng(1)
    batches = [(rng.integers(0, 4, 5), rng.random(5)) for _ in range(20)]
    for batch in batches[:10]:
        first.note(*batch)
    second.restore(first.state())
    for batch in batches[10:]:
        first.note(*batch)
        second.note(*batch)
    first.write(tmp_path / "a.json")
    second.write(tmp_path / "b.json")
    assert read_scores(tmp_path / "a.json") == read_scores(tmp_path / "b.json")
    assert read_scores(tmp_path / "a.json").scores == first.scores()
    assert sum(read_scores(tmp_path / "a.json").visits.values()) == 100
    with pytest.raises(UserError, match="scores of 3 samples"):
        SampleScores(3, 6).restore(first.state())


def test_a_missing_file_holds_no_scores_and_a_wrong_one_is_named(tmp_path):
    assert read_scores(tmp_path / "none.json") == Told()
    (tmp_path / "wrong.json").write_text("{}")
    with pytest.raises(StoreError, match=r"wrong\.json"):
        read_scores(tmp_path / "wrong.json")


def test_keeping_score_changes_no_weight_and_tells_the_loss_of_each_item(recipe, feed, weights):
    (source := feed(6)).admit()
    plain = LocalSteps(Learner(recipe()(), _settings()), source.pool)
    scored = LocalSteps(Learner(recipe()(), _settings(), scored=True), source.pool)
    for steps in (plain, scored):
        for _ in range(3):
            steps.step(np.arange(6), 1e-2, True)
    expected, received = weights(plain), weights(scored)
    assert all(torch.equal(expected[name], received[name]) for name in expected)
    assert len(plain.item_losses()) == 0
    scored.learner.forget_losses()
    scored.step(np.arange(6), 0.0, False)
    assert scored.item_losses().mean().item() == pytest.approx(scored.mean_loss(), rel=1e-5)


def test_several_processes_tell_the_losses_of_one_in_the_order_of_the_slots(recipe, feed):
    pool = (source := feed(5, place="shared")).pool
    source.admit()
    alone = LocalSteps(Learner(recipe()(), _settings(), scored=True), pool)
    shared = open_steps(recipe(), pool, _settings(processes=2), scored=True)
    try:
        for slots in (np.array([3, 0, 4]), np.array([2])):  # the second leaves one without an item
            for steps in (alone, shared):
                steps.step(slots, 1e-3, True)
            torch.testing.assert_close(
                shared.item_losses(), alone.item_losses(), rtol=1e-4, atol=1e-6
            )
    finally:
        shared.close()


def test_scores_are_written_at_once_and_before_the_trainer_waits(recipe, feed, tmp_path):
    (source := feed(4)).admit()
    inner = LocalSteps(Learner(recipe()(), _settings(), scored=True), source.pool)
    path, owner = tmp_path / "scores.json", np.array([7, 7, 2, 2])
    path.write_text("of another run")
    steps = ScoredSteps(inner, SampleScores(8, 8), lambda slots: owner[slots], path, 1e9)
    assert read_scores(path) == Told()
    for _ in range(70):  # more than are kept back on the device
        steps.step(np.arange(4), 1e-3, True)
    assert read_scores(path) == Told()  # the interval is long
    steps._written -= 1.0
    steps.pause()
    told = read_scores(path)
    assert (told.mood, dict(told.visits)) == ("waiting", {2: 140, 7: 140})
    steps.write("over")
    assert read_scores(path).mood == "over"
    assert json.loads(path.read_text())["batches"] == 70


N_SAMPLES, N_FRAMES = 5, 4


@pytest.fixture
def store(tmp_path):
    """Give a dataset whose samples 2 and 3 are not drawn; 4 is held out."""
    whole = small_layout(N_SAMPLES, N_FRAMES)
    later = (replace(s, mu={}) if s.index in (2, 3) else s for s in whole.samples)
    made = ZarrStore(tmp_path / "data")
    made.create(replace(whole, samples=tuple(later)))
    return made


def _job(store, tmp_path, **entries):
    return TrainingJob(
        study=stream_spec(store.description).study,
        dataset=tmp_path / "data",
        run=tmp_path / entries.pop("name", "run"),
        code=tmp_path,
        samples=(0, 1, 2, 3),
        validation=(4,),
        bounds={"viscosity": (0.1, 0.5), "speed": (1.0, 3.0)},
        model={"name": "mlp", "mode": "direct", "settings": {"hidden": [8]}},
        training={"passes": 2, "batch": 3, "keep_journal": True, "logging": {"interval": 0.0}},
        **entries,
    )


def _simulate(job, store, score_of_the_first):
    """Be flow and solver: the rest is drawn only when the trainer has scored what it had."""
    waiting = threading.Event()
    while not job.rendezvous.exists() or not Rendezvous.read(job.rendezvous).endpoints:
        waiting.wait(0.01)
    fields = [name for name, _ in stream_spec(store.description).fields]
    for index in (4, 0, 1, 2, 3):
        if index == 2:
            while (
                read_scores(job.paths.scores).mood != "waiting"
                or len(scores := read_scores(job.paths.scores).scores) < 2
            ):
                waiting.wait(0.01)
            score_of_the_first.update(scores)
            mine = [replace(store.samples[i], mu={"viscosity": 0.3, "speed": i}) for i in (2, 3)]
            store.draw(DrawRecord(tuple(mine), {}))
        sample = store.sample(index)
        stream = connect(job.rendezvous, index, mu=sample.mu, seed=sample.seed)
        for k in range(N_FRAMES):
            values = frame_of(store.description, sample, k)
            stream.send(k, {name: values[name] for name in fields})
        stream.finish()


def test_samples_that_are_drawn_during_the_training_are_trained_on_and_replayed(store, tmp_path):
    torch.set_num_threads(1)
    job = _job(store, tmp_path, active=True, rendezvous=tmp_path / "rendezvous.json")
    seen = {}
    thread = threading.Thread(target=_simulate, args=(job, store, seen))
    thread.start()
    outcome = train(job, ProgressLines([].append, 0.0))
    thread.join(60.0)
    assert not thread.is_alive()
    assert (outcome.reason, set(seen)) == ("data", {0, 1})
    assert set(read_scores(job.paths.scores).scores) == {0, 1, 2, 3}
    metrics = json.loads((job.paths.model / "card.json").read_text())["metrics"]
    assert (metrics["items"], metrics["never_seen"], metrics["holes"]) == (4 * N_FRAMES, 0, {})
    again = _job(store, tmp_path, name="again", replay=job.run)
    train(again, ProgressLines([].append, 0.0))
    first, second = (load_model(j.paths.model).state_dict() for j in (job, again))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not again.paths.scores.exists()


def test_scores_without_live_simulations_are_refused(store, tmp_path):
    with pytest.raises(ValueError, match="active: expected with a rendezvous"):
        _job(store, tmp_path, active=True)
