"""The trainer's loop with one process: what is trained on, when it ends, what it says."""

import json
import math

import pytest
import torch

from infra.errors import UserError
from surrogates.errors import TrainingError
from surrogates.learner import Learner
from surrogates.settings import TrainingSettings
from surrogates.steps import LocalSteps
from surrogates.validation import Validator

_NEVER = {"checkpoint_every": 1e9, "logging": {"interval": 1e9}}


def _settings(**values):
    return TrainingSettings(**{"batch": 4, "passes": 1, **_NEVER, **values})


@pytest.mark.parametrize("count", [1, 3, 4, 10])
@pytest.mark.parametrize("threshold", [0, 2, 99])
@pytest.mark.parametrize("script", [(), (1, 0, 0, 2, 1)])
def test_every_admitted_item_is_trained_on_whatever_batch_and_threshold(
    feed, trainer, count, threshold, script
):
    source = feed(count, script, threshold=threshold)
    outcome = trainer(source, _settings()).run()
    assert outcome.reason == "data"
    assert source.bias().never_seen == 0
    assert source.counts().visits == count


def test_steps_end_the_training_exactly(feed, trainer):
    outcome = trainer(feed(40, passes=9), _settings(passes=None, steps=7)).run()
    assert (outcome.reason, outcome.steps) == ("steps", 7)


def test_seconds_end_the_training_before_its_passes(feed, trainer):
    outcome = trainer(feed(4, passes=10**6), _settings(passes=10**6, seconds=0.05)).run()
    assert outcome.reason == "seconds"


def test_trainer_waits_for_data_and_counts_the_time(feed, trainer):
    source = feed(8, (2, 0, 0, 6))
    made = trainer(source, _settings())
    made.run()
    assert source.waits > 0
    assert made.starving >= 0.0


def test_the_way_the_items_come_does_not_change_training_on_all_of_them(
    feed, trainer, recipe, weights
):
    """With the threshold above the number of items nothing is drawn before all are there."""
    ends = []
    for script in ((), (3, 0, 4), (1,) * 12):
        source = feed(12, script, threshold=99, passes=3)
        steps = LocalSteps(Learner(recipe()(), _settings()), source.pool)
        trainer(source, _settings(passes=3), steps=steps).run()
        ends.append(weights(steps))
    for name, expected in ends[0].items():
        assert all(torch.equal(expected, end[name]) for end in ends[1:])


def test_validation_and_checkpoints_change_nothing_but_time(
    feed, trainer, recipe, weights, held_out
):
    ends = []
    for often in (False, True):
        source = feed(10, passes=4, held_out=held_out(2, 3) if often else ())
        busy = {"validation_every": 1, "checkpoint_every": 0.0, "logging": {"interval": 0.0}}
        settings = _settings(passes=4, **(busy if often else {}))
        steps = LocalSteps(Learner(recipe()(), settings), source.pool)
        validator = Validator(frozenset({100, 101}), 2)
        trainer(source, settings, steps=steps, validator=validator).run()
        ends.append(weights(steps))
    for name, expected in ends[0].items():
        assert torch.equal(expected, ends[1][name]), name


def test_reception_goes_on_between_the_slices_of_a_validation(feed, trainer, held_out):
    source = feed(4, (4,), held_out=held_out(2, 5))
    trainer(source, _settings(), validator=Validator(frozenset({100, 101}), 2)).run()
    # One admission for each turn of the loop, and one for each slice of both passes over the set.
    assert source.admissions >= 2 + 2 * 2 * 3


def test_validation_waits_until_the_held_out_set_is_whole(feed, trainer, held_out):
    lines = []
    source = feed(12, (4, 4), held_out=held_out(1, 3))
    validator = Validator(frozenset({100, 101}), 4)
    outcome = trainer(source, _settings(validation_every=1), validator=validator, lines=lines).run()
    steps = [json.loads(line)["step"] for line in lines if "validated" in line]
    # The other trajectory never comes: once reception is over, what is there is used.
    assert steps == [2, 3] or steps == [3]
    assert outcome.score is not None
    assert outcome.score.frames == 3


def test_last_score_is_made_though_a_held_out_trajectory_is_awaited(feed, trainer, held_out):
    source = feed(40, (4,) * 10, passes=9, held_out=held_out(1, 3))
    validator = Validator(frozenset({100, 101}), 4)
    outcome = trainer(source, _settings(passes=None, steps=3), validator=validator).run()
    assert outcome.reason == "steps"
    assert outcome.score.frames == 3


def test_training_that_was_finished_is_scored_again_and_patience_does_not_hear_of_it(
    feed, trainer, held_out, recipe
):
    settings = _settings(passes=3, patience=9)
    scores, states = [], []
    learner = Learner(recipe()(), settings)
    for _ in range(2):
        source = feed(8, passes=3, held_out=held_out(2, 3))
        steps, validator = LocalSteps(learner, source.pool), Validator(frozenset({100, 101}), 4)
        made = trainer(source, settings, steps=steps, validator=validator)
        if states:
            source.restore(states[0])
            made.restore(states[1])
        outcome = made.run()
        scores.append(outcome.score)
        states += [source.state(), made.state()]
    assert all(score.frames == 6 for score in scores)
    for name in ("step", "validated", "ended", "early_stopping"):
        assert states[3][name] == states[1][name]


def test_training_without_a_held_out_set_ends_without_a_score(feed, trainer):
    assert trainer(feed(4), _settings()).run().score is None


def test_held_out_sample_that_is_not_expected_is_refused(feed, trainer, held_out):
    source = feed(4, held_out=held_out(1, 2))
    with pytest.raises(UserError, match="held-out samples"):
        trainer(source, _settings(), validator=Validator(frozenset({7}), 4)).run()


def test_patience_ends_a_training_that_gets_no_better(feed, trainer, held_out):
    source = feed(8, passes=10**6, held_out=held_out(1, 3))
    settings = _settings(
        passes=10**6, learning_rate=1e-12, patience=2, improvement=0.5, validation_every=3
    )
    improved = []
    validator = Validator(frozenset({100}), 4)
    made = trainer(source, settings, validator=validator, improved=lambda: improved.append(1))
    outcome = made.run()
    assert (outcome.reason, outcome.steps, improved) == ("patience", 9, [1])
    assert made.early.best_step == 3


def test_a_stop_from_outside_ends_in_a_checkpoint_without_validation(feed, trainer, held_out):
    source = feed(8, passes=10**6, held_out=held_out(1, 3))
    saved = []
    made = trainer(
        source,
        _settings(passes=10**6),
        validator=Validator(frozenset({100}), 4),
        save=lambda: saved.append(made.step),
        stop=lambda: made.step >= 5,
    )
    outcome = made.run()
    assert (outcome.reason, outcome.score, saved) == ("stopped", None, [5])


def test_a_stop_is_seen_while_the_trainer_waits(feed, trainer):
    source = feed(8, (1,) + (0,) * 10**4, threshold=5)
    made = trainer(source, _settings(), stop=lambda: source.waits >= 3)
    assert made.run().reason == "stopped"


def test_a_loss_that_is_not_finite_ends_the_training_without_a_checkpoint(feed, trainer):
    saved = []
    settings = _settings(passes=50, learning_rate=1e38)
    made = trainer(feed(8, passes=50), settings, save=lambda: saved.append(1))
    with pytest.raises(TrainingError, match=r"finite loss.*learning_rate"):
        made.run()
    assert not saved


def test_progress_says_unique_and_visited_samples_apart(feed, trainer):
    lines = []
    trainer(feed(8, passes=3), _settings(passes=3, logging={"interval": 0.0}), lines=lines).run()
    said = [json.loads(line) for line in lines]
    assert {line["event"] for line in said} == {"training"}
    last = said[-1]
    assert (last["visits"], last["unique"], last["admitted"]) == (24, 8, 8)
    assert {"unique_per_second", "visits_per_second", "fill", "blocked", "starving"} <= set(last)
    assert math.isfinite(said[0]["loss"])


def test_learning_rate_follows_steps_or_samples(feed, trainer):
    for unit, every in (("steps", 2), ("samples", 8)):
        lines = []
        schedule = {"kind": "halving", "unit": unit, "every": every}
        settings = _settings(learning_rate=1.0, schedule=schedule, logging={"interval": 0.0})
        trainer(feed(16), settings, lines=lines).run()
        rates = [json.loads(line)["learning_rate"] for line in lines[:4]]
        assert rates == [1.0, 0.5, 0.5, 0.25]  # of the next step


def test_training_lowers_the_loss_tenfold(feed, trainer):
    lines = []
    settings = _settings(
        passes=None, steps=400, learning_rate=1e-2, batch=8, logging={"interval": 0.0}
    )
    trainer(feed(32, passes=10**3), settings, lines=lines).run()
    losses = [json.loads(line)["loss"] for line in lines]
    assert sum(losses[-6:-1]) < 0.1 * sum(losses[:5])
