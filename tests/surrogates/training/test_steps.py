"""The step protocol of one process: what a part is, and what it weighs."""

import numpy as np
import pytest
import torch

from surrogates.batch import Batch
from surrogates.learner import Learner
from surrogates.settings import TrainingSettings
from surrogates.steps import LocalSteps, take_part


def _settings(**values):
    return TrainingSettings(**{"batch": 4, "passes": 1, **values})


def _gradients(learner):
    return {n: p.grad.clone() for n, p in learner.surrogate.named_parameters()}


@pytest.mark.parametrize("ranks", [1, 2, 3, 5])
@pytest.mark.parametrize("mode", ["direct", "autoregressive"])
def test_mean_of_the_parts_gradients_is_the_gradient_of_the_whole_batch(recipe, feed, ranks, mode):
    pool = (source := feed(4, frames=2 if mode == "autoregressive" else 1)).pool
    source.admit()
    batch = pool.gather(np.arange(4))
    whole = Batch(batch.inputs, batch.state, batch.target, torch.tensor([1.0, 0.5, 2.0, 0.25]))
    alone = Learner(recipe(mode)(), _settings())
    take_part(alone, whole, 0, 1, 0.0, True)
    parts = []
    for rank in range(ranks):
        learner = Learner(recipe(mode)(), _settings(), copies=ranks)
        take_part(learner, whole, rank, ranks, 0.0, True)
        parts.append(_gradients(learner))
    for name, expected in _gradients(alone).items():
        mean = sum(part[name] for part in parts) / ranks
        torch.testing.assert_close(mean, expected, rtol=2e-5, atol=1e-7)


def test_sum_of_the_parts_losses_is_the_loss_of_the_whole_batch(recipe, feed):
    (source := feed(5)).admit()
    whole = source.pool.gather(np.arange(5))
    totals = []
    for ranks in (1, 2, 3, 7):
        learners = [Learner(recipe()(), _settings(), copies=ranks) for _ in range(ranks)]
        for rank, learner in enumerate(learners):
            take_part(learner, whole, rank, ranks, 1e-3, True)
        totals.append(sum(learner.losses()[0].item() for learner in learners))
    assert totals == pytest.approx([totals[0]] * 4, rel=1e-6)


def test_normalisation_stays_once_it_is_not_observed(recipe, feed):
    (source := feed(8)).admit()
    steps = LocalSteps(Learner(recipe()(), _settings()), source.pool)
    steps.step(np.arange(4), 1e-3, True)
    mean = steps.learner.surrogate.normalisation.mean.clone()
    steps.step(np.arange(4, 8), 1e-3, False)
    steps.step(np.arange(4, 8), 1e-3, True)
    assert torch.equal(mean, steps.learner.surrogate.normalisation.mean)


def test_clipping_bounds_the_step_of_the_weights(recipe, feed):
    (source := feed(4)).admit()
    learner = Learner(recipe()(), _settings(clip=1e-3))
    LocalSteps(learner, source.pool).step(np.arange(4), 1e-3, True)
    norm = torch.stack([g.square().sum() for g in _gradients(learner).values()]).sum().sqrt()
    assert norm.item() == pytest.approx(1e-3, rel=1e-3)


def test_bfloat16_forward_keeps_weights_and_moments_in_float32(recipe, feed):
    (source := feed(4)).admit()
    learner = Learner(recipe()(), _settings(precision="bfloat16"))
    LocalSteps(learner, source.pool).step(np.arange(4), 1e-3, True)
    dtypes = {p.dtype for p in learner.surrogate.parameters()}
    state = learner.optimiser_state()
    dtypes |= {v.dtype for name, v in state.items() if not name.startswith("generator")}
    assert dtypes == {torch.float32}


def test_mean_loss_is_over_the_steps_since_the_last_call(recipe, feed):
    (source := feed(4)).admit()
    steps = LocalSteps(Learner(recipe()(), _settings()), source.pool)
    assert np.isnan(steps.mean_loss())
    steps.step(np.arange(4), 0.0, True)
    once = steps.mean_loss()
    steps.step(np.arange(4), 0.0, True)
    steps.step(np.arange(4), 0.0, True)
    assert steps.mean_loss() == pytest.approx(once, rel=1e-5)


@pytest.mark.parametrize("kind", ["adam", "adamw"])
def test_restored_learner_goes_on_bit_by_bit(recipe, feed, kind):
    (source := feed(12)).admit()
    settings = _settings(optimiser=kind, weight_decay=1e-2)

    def learner():
        return LocalSteps(Learner(recipe()(), settings), source.pool)

    whole, first, second = learner(), learner(), learner()
    for steps in (whole, first):
        for k in range(3):
            steps.step(np.arange(4) + k, 1e-2, k < 2)
    state = first.learner.weights(), first.learner.optimiser_state()
    second.learner.restore(*[{n: t.clone() for n, t in part.items()} for part in state])
    for steps in (whole, second):
        for k in range(3):
            steps.step(np.arange(4) + 4 + k, 1e-2, False)
    for name, tensor in whole.learner.weights().items():
        assert torch.equal(tensor, second.learner.weights()[name]), name
