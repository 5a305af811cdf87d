"""The step protocol over real processes: equal weights, equal results, clean ends."""

import numpy as np
import pytest
import torch

from surrogates.learner import Learner
from surrogates.settings import TrainingSettings
from surrogates.shared_steps import open_steps
from surrogates.steps import LocalSteps

_NEVER = {"checkpoint_every": 1e9, "logging": {"interval": 1e9}}


def _settings(**values):
    return TrainingSettings(**{"batch": 4, "passes": 2, "clip": 1.0, **_NEVER, **values})


@pytest.mark.parametrize("ranks", [2, 3])
def test_any_number_of_processes_trains_alike_and_ends_for_every_combination(
    feed, trainer, recipe, weights, ranks
):
    """Batch and items do not divide; the batch is larger than what is left; waits lie between."""
    settings = _settings(processes=ranks)
    # One pool for all: processes attach to it when they start.
    cases = [(10, (), 0), (3, (), 0), (1, (), 0), (11, (2, 0, 5), 3), (4, (1, 1), 99)]
    first = feed(11, place="shared")
    with_others = open_steps(recipe(), first.pool, settings)
    alone = LocalSteps(Learner(recipe()(), _settings()), first.pool)
    try:
        for count, script, threshold in cases:
            for steps in (alone, with_others):
                source = feed(count, script, threshold=threshold, passes=2)
                source._pool = first.pool
                outcome = trainer(source, settings, steps=steps).run()
                assert outcome.reason == "data"
                assert source.bias().never_seen == 0
        with_others.require_agreement()
        for name, expected in weights(alone).items():
            received = weights(with_others)[name]
            torch.testing.assert_close(received, expected, rtol=1e-6, atol=1e-6)
        assert with_others.learner.losses()[1] == 0
        alone.step(np.arange(3), 0.0, False)
        with_others.step(np.arange(3), 0.0, False)
        assert with_others.mean_loss() == pytest.approx(alone.mean_loss(), rel=1e-5)
    finally:
        with_others.close()
