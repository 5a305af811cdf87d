import math

import numpy as np
import pytest
import torch

from infra.errors import UserError
from surrogates.batch import Batch
from surrogates.early_stopping import EarlyStopping
from surrogates.feed import HeldOut
from surrogates.validation import Validator


@pytest.fixture(params=["direct", "autoregressive"])
def model(request, recipe, feed):
    made = recipe(request.param)()
    (source := feed(8, frames=2 if made.autoregressive else 1)).admit()
    made.observe(source.pool.gather(np.arange(8)))
    return made


def _validator(trajectories, batch):
    validator = Validator(frozenset(held.sample for held in trajectories), batch)
    for held in trajectories:
        validator.add(held)
    return validator


def test_error_is_that_of_all_frames_at_once_whatever_the_slices(model, held_out):
    trajectories = held_out(3, 7)
    scores = [_validator(trajectories, batch).score(model) for batch in (1, 2, 3, 7, 50)]
    for score in scores[1:]:
        assert score.frames == scores[0].frames == 3 * (6 if model.autoregressive else 7)
        assert score.error == pytest.approx(scores[0].error, rel=1e-6)
        assert score.mse == pytest.approx(scores[0].mse, rel=1e-6)
        assert score.baseline == scores[0].baseline
    first = 1 if model.autoregressive else 0
    wrong, size = torch.zeros(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    for held in trajectories:
        for k in range(first, 7):
            row = np.append(held.mu, held.times[k - first])[None].astype(np.float32)
            state = torch.from_numpy(held.values[k - 1 : k]) if first else None
            true = torch.from_numpy(held.values[k]).double()
            with torch.no_grad():
                difference = model(torch.from_numpy(row), state)[0].double() - true
            wrong += torch.stack([p.square().sum() for p in difference.split([4, 2])])
            size += torch.stack([p.square().sum() for p in true.split([4, 2])])
    assert scores[0].fields == pytest.approx(
        dict(zip(["temperature", "humidity"], (wrong / size).sqrt().tolist(), strict=True))
    )


def test_set_is_whole_without_the_trajectories_that_were_given_up(held_out):
    holes = {}
    validator = Validator(frozenset({100, 101, 102}), 2, lambda: holes)
    for held in held_out(2, 3):
        assert not validator.complete
        validator.add(held)
    assert not validator.complete
    holes[102] = "crashed"
    assert validator.complete
    assert not Validator(frozenset({102}), 2, lambda: holes).complete  # there is nothing


def test_order_of_arrival_of_the_trajectories_changes_nothing(model, held_out):
    trajectories = held_out(3, 4)
    assert _validator(trajectories, 3).score(model) == _validator(trajectories[::-1], 3).score(
        model
    )


def test_model_that_predicts_no_change_or_the_mean_has_the_baseline_error(model, held_out):
    """The last layer is set to zero: the network says nothing, normalisation alone predicts."""
    trajectories = held_out(2, 6)
    if not model.autoregressive:  # the same frame everywhere: its mean is the best constant
        values = np.tile([1.0, 1, 1, 1, 5, 5], (6, 1)).astype(np.float32)
        values += np.linspace(-0.5, 0.5, 6, dtype=np.float32)[:, None]
        trajectories = [HeldOut(1, np.array([3.0, 0.0]), np.linspace(0, 2, 6), values)]
        model.normalisation.weight.zero_()
        target = torch.from_numpy(values)
        model.observe(Batch.of(torch.zeros(6, 3), target))
    last = model.layers[-1]
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.zeros_(last.bias)
    score = _validator(trajectories, 4).score(model)
    assert score.error == pytest.approx(score.baseline, rel=1e-5)
    if not model.autoregressive:
        assert score.mse == pytest.approx(1.0, rel=1e-5)


def test_rollout_of_two_frames_is_one_step_measured_over_both(recipe, feed, held_out):
    model = recipe("autoregressive")()
    (source := feed(8, frames=2)).admit()
    model.observe(source.pool.gather(np.arange(8)))
    held = held_out(1, 2)
    validator = _validator(held, 4)
    with torch.no_grad():
        row = torch.from_numpy(np.append(held[0].mu, 0.0)[None].astype(np.float32))
        step = model(row, torch.from_numpy(held[0].values[:1]))[0].double().numpy()
    wrong, all_ = step - held[0].values[1], held[0].values.astype(float)
    parts = [slice(0, 4), slice(4, 6)]
    expected = [np.linalg.norm(wrong[p]) / np.linalg.norm(all_[:, p]) for p in parts]
    assert validator.rollout_error(model) == pytest.approx(np.mean(expected), rel=1e-5)


def test_validation_leaves_weights_statistics_and_training_mode_alone(model, held_out):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    _validator(held_out(2, 3), 2).score(model)
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_set_is_whole_when_all_expected_came_and_no_other_is_taken(held_out):
    validator = Validator(frozenset({100, 101}), 4)
    first, second, third = held_out(3, 2)
    validator.add(first)
    validator.add(first)
    assert not validator.complete
    validator.add(second)
    assert validator.complete
    with pytest.raises(UserError, match="102"):
        validator.add(third)


def test_field_that_is_zero_and_predicted_so_has_no_error(model):
    values = np.zeros((3, 6), np.float32)
    held = HeldOut(1, np.zeros(2), np.linspace(0, 2, 3), values)
    model.normalisation.weight.zero_()
    model.normalisation.mean.zero_()
    model.observe(Batch.of(torch.zeros(3, 3), torch.from_numpy(values)))
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    score = _validator([held], 2).score(model)
    assert (score.error, score.mse, score.baseline) == (0.0, 0.0, 0.0)


def test_early_stopping_counts_validations_since_the_best():
    early = EarlyStopping(patience=2)
    assert [early.update(e, k) for k, e in enumerate([3.0, 2.0, 2.5, math.nan])] == [
        *(True, True, False, False)
    ]
    assert early.stop
    assert (early.best, early.best_step) == (2.0, 1)


def test_early_stopping_without_patience_never_stops():
    early = EarlyStopping(None)
    for k in range(100):
        early.update(1.0, k)
    assert not early.stop


def test_small_falls_do_not_count_as_improvement():
    early = EarlyStopping(1, improvement=0.1)
    early.update(1.0, 0)
    assert not early.update(0.95, 1)
    assert early.stop


def test_early_stopping_restored_goes_on_as_before():
    early, other = EarlyStopping(3), EarlyStopping(3)
    other.restore(early.state())
    assert other.best == math.inf
    for k, error in enumerate((2.0, 3.0)):
        early.update(error, k)
    other.restore(early.state())
    assert (other.state(), other.stop) == (early.state(), early.stop)
