"""What the tuner promises on families of simulated arms: stationary, drifting, without noise."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from solvers.tuning.regret import regret_curves
from solvers.tuning.rules import Arm, TuningRules
from solvers.tuning.tuner import Tuner

Table = NDArray[np.float64]
Family = Callable[..., tuple[Table, list[float]]]
Play = Callable[..., Any]


def tuner_of(priors: Sequence[float], **settings: Any) -> Tuner:
    return Tuner([Arm(f"arm {i}", prior) for i, prior in enumerate(priors)], **settings)


@pytest.mark.parametrize("noise", [0.03, 0.1])
@pytest.mark.parametrize(("default", "hidden"), [(1.0, 1), (1.3, 4), (2.5, 1), (4.0, 1)])
def test_after_200_solves_the_total_is_within_five_per_cent_of_the_best_arm(
    default: float, hidden: int, noise: float, family: Family, play: Play
) -> None:
    """Of 20 families at most `hidden` fail, where a wrong prior hides the best arm.

    A default that is little worse than the best arm is the hardest case: nothing has been saved yet
    with which trials could be paid, and the bound to the default allows one in ten solves.
    """
    shares = []
    for seed in range(20):
        table, priors = family(seed, default, arms=6 + seed % 5, noise=noise)
        played = play(tuner_of(priors, seed=seed), table)
        shares.append(float(regret_curves(played.runs, table).share[-1]))
    assert sum(share > 0.05 for share in shares) <= hidden
    assert np.median(shares) <= 0.045


@pytest.mark.parametrize(("noise", "hidden"), [(0.03, 0), (0.1, 2)])
@pytest.mark.parametrize("default", [1.0, 1.3, 2.5, 4.0])
def test_with_true_priors_the_total_is_within_five_per_cent(
    default: float, noise: float, hidden: int, family: Family, play: Play
) -> None:
    """For all 20 families at little noise; at 10 % noise two may miss it, by less than 5 %."""
    shares = []
    for seed in range(20):
        table, _ = family(seed, default, arms=6 + seed % 5, noise=noise)
        played = play(tuner_of(table.mean(axis=0).tolist(), seed=seed), table)
        shares.append(float(regret_curves(played.runs, table).share[-1]))
    assert sum(share > 0.05 for share in shares) <= hidden
    assert max(shares) <= 0.1


@pytest.mark.parametrize("noise", [0.03, 0.1])
@pytest.mark.parametrize("default", [1.0, 1.1, 1.3, 2.5, 4.0])
def test_the_total_never_exceeds_the_defaults_by_ten_per_cent(
    default: float, noise: float, family: Family, play: Play
) -> None:
    for seed in range(20):
        table, priors = family(seed, default, arms=6 + seed % 5, noise=noise)
        played = play(tuner_of(priors, seed=seed), table)
        assert regret_curves(played.runs, table).default[19:].max() <= 1.1


@pytest.mark.parametrize("seed", range(5))
def test_without_noise_the_bound_holds_exactly_whatever_the_priors_say(
    seed: int, play: Play
) -> None:
    rng = np.random.default_rng(seed)
    table = np.tile(np.exp(rng.uniform(0, np.log(10), 8)), (200, 1))
    played = play(tuner_of(rng.uniform(0.1, 10, 8), cost="operations"), table)
    limit = 0.085 * np.maximum(np.arange(1, 201), 20) * table[0, 0]
    assert (played.total - table[:, 0].cumsum() <= limit + 1e-9).all()


@pytest.mark.parametrize("seed", range(5))
def test_exploration_stays_within_its_allowance(seed: int, family: Family, play: Play) -> None:
    table, priors = family(seed, 2.0)
    played = play(tuner_of(priors), table)
    costs = [
        run.cost
        for choice, run in zip(played.choices, played.runs, strict=True)
        if choice.role == "trial" and run.cost >= choice.budget
    ]
    rules = TuningRules()
    granted = rules.advance * table[:, 0].max() + rules.share * played.total[-1]
    assert sum(costs) <= 2 * granted


@pytest.mark.parametrize("seed", range(10))
def test_a_drift_is_followed(seed: int, family: Family, play: Play) -> None:
    """At t = 100 the best arm becomes three times as dear; another one leads at the end."""
    table, priors = family(seed, 2.0, solves=400)
    best = int(table.sum(axis=0).argmin())
    table[100:, best] *= 3
    tuner = play(tuner_of(priors, seed=seed), table).tuner
    last = table[100:].mean(axis=0)
    leader = int(tuner.incumbent().removeprefix("arm "))
    assert leader != best
    assert last[leader] <= last[0]
