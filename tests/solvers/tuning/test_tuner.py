"""Laws of the tuner on simulated arms; the proof with real solvers is the benchmark's."""

import json
from collections.abc import Callable, Sequence
from math import inf
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from infra.errors import UserError
from solvers.tuning.context import ContextBins
from solvers.tuning.rules import Arm, TuningRules
from solvers.tuning.tuner import Tuner

Table = NDArray[np.float64]
Family = Callable[..., tuple[Table, list[float]]]
Play = Callable[..., Any]


def tuner_of(priors: Sequence[float], **settings: Any) -> Tuner:
    return Tuner([Arm(f"arm {i}", prior) for i, prior in enumerate(priors)], **settings)


@pytest.mark.parametrize("slow", range(2, 8))
def test_one_slow_solve_does_not_remove_the_best_arm_for_good(slow: int, play: Play) -> None:
    rng = np.random.default_rng(slow)
    table = np.array([2.0, 1.0, 1.8, 3.0]) * np.exp(rng.normal(0, 0.03, (300, 4)))
    table[1, 1] *= 20  # its first trial
    table[slow, 1] *= 20
    tuner = play(tuner_of([2.0, 1.0, 2.0, 3.0]), table).tuner
    assert tuner.incumbent() == "arm 1"


def test_a_slow_first_solve_of_the_default_does_not_hide_how_good_it_is(play: Play) -> None:
    table = np.array([1.0, 1.5, 3.0]) * np.exp(np.random.default_rng(0).normal(0, 0.03, (200, 3)))
    table[0, 0] *= 3
    tuner = play(tuner_of([1.0, 1.5, 3.0]), table).tuner
    assert tuner.incumbent() == "arm 0"


def test_heavy_tails_do_not_change_the_leader(play: Play) -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        table = np.array([2.0, 1.0, 1.5, 3.0]) * np.exp(rng.normal(0, 0.05, (300, 4)))
        table = np.where(rng.random(table.shape) < 0.03, table * 6, table)
        tuner = play(tuner_of([2.0, 1.0, 1.5, 3.0], seed=seed), table).tuner
        assert tuner.incumbent() == "arm 1"


def test_a_setup_is_judged_by_what_it_costs_per_solve(play: Play) -> None:
    """Arm 1 pays three default solves once and is four times cheaper afterwards."""
    table = np.array([2.0, 0.5, 1.9]) * np.exp(np.random.default_rng(0).normal(0, 0.03, (200, 3)))
    arms = [Arm("fresh", 2.0), Arm("lagged", 0.5, prior_setup=2.0), Arm("other", 2.0)]
    played = play(Tuner(arms), table, setup=[0.0, 2.0, 0.0])
    assert played.tuner.incumbent() == "lagged"
    best = 2.0 + table[:, 1].sum()
    assert played.total[-1] <= 1.06 * best


def test_a_setup_that_does_not_pay_within_the_horizon_is_not_chosen() -> None:
    arms = [Arm("plain"), Arm("set up", 0.9, prior_setup=2.0)]
    names = []
    for horizon in (5, 2000):
        tuner = Tuner(arms, cost="operations", rules=TuningRules(horizon=horizon, excess=1.0))
        tuner.tell(tuner.choose(), 1.0)
        trial = tuner.choose()
        assert trial.name == "set up"
        tuner.tell(trial, 2.8, setup=2.0)
        names.append(tuner.incumbent())
    assert names == ["plain", "set up"]


def test_a_setup_for_which_too_few_solves_are_left_is_not_tried() -> None:
    arms = [Arm("plain"), Arm("set up", 0.4, prior_setup=4.5), Arm("other", 0.5)]
    tuner = Tuner(arms, cost="operations", rules=TuningRules(horizon=6, excess=1.0))
    tuner.tell(tuner.choose(), 1.0)
    assert tuner.choose().name == "other"


@pytest.mark.parametrize(("cost", "invests"), [(0.3, True), (0.6, False)])
def test_an_arm_of_certain_cost_is_an_investment_where_it_pays_off_by_far(
    cost: float, invests: bool
) -> None:
    """Set-up 60, horizon 200: 1.5 (60 + 199 x 0.3) < 199 < 1.5 (60 + 199 x 0.6)."""
    arms = [Arm("default"), Arm("factor", cost, prior_setup=60.0, certain=True)]
    tuner = Tuner(arms, cost="operations")
    tuner.tell(tuner.choose(), 1.0)
    choice = tuner.choose()
    assert (choice.name == "factor") == invests
    if invests:
        assert choice.budget == pytest.approx(1.5 * (60.0 + cost))
        tuner.tell(choice, 60.0 + cost, setup=60.0)
        assert tuner.incumbent() == "factor"


def test_a_unit_measured_apart_corrects_a_default_that_is_dearer_than_expected() -> None:
    arms = [Arm("default"), Arm("factor", 0.9, prior_setup=60.0, certain=True)]
    tuner = Tuner(arms, cost="seconds")
    tuner.tell(tuner.choose(), 10.0)
    assert tuner.choose().name == "default"
    tuner.unit = 1.0
    assert tuner.choose().name == "factor"
    assert Tuner.restore(tuner.state()).choose() == tuner.choose()


def test_an_arm_that_was_aborted_while_setting_up_gets_a_second_solve() -> None:
    arms = [Arm("default"), Arm("set up", 0.3, prior_setup=0.5), Arm("other", 0.9)]
    tuner = Tuner(arms, rules=TuningRules(excess=1.0))
    tuner.tell(tuner.choose(), 1.0)
    trial = tuner.choose()
    again = tuner.tell(trial, trial.budget, setup=trial.budget - 0.1, aborted=True)
    assert again is not None
    tuner.tell(again, 1.0)
    assert (tuner.choose().name, tuner.choose().role) == ("set up", "trial")


@pytest.mark.parametrize("cost", [inf, 0.05])
def test_an_arm_that_always_fails_costs_little(cost: float) -> None:
    """Fails at once or hangs: the sequence goes on, and the arm is asked ever more rarely."""
    tuner, asked = tuner_of([1.0, 0.5, 0.8]), 0
    for _ in range(200):
        choice = tuner.choose()
        while choice is not None:
            bad = choice.arm == 1
            asked += bad
            choice = tuner.tell(choice, cost if bad else [1.0, 0, 0.7][choice.arm], aborted=bad)
    assert asked <= 6
    assert tuner.incumbent() == "arm 2"


def test_when_the_default_fails_the_others_are_tried_and_then_the_system_is_given_up() -> None:
    tuner = tuner_of([1.0, 3.0, 2.0])
    choice, order = tuner.choose(), []
    while choice is not None:
        order.append(choice.arm)
        assert choice.budget == inf
        choice = tuner.tell(choice, 1.0, aborted=True)
    assert order == [0, 2, 1]
    assert tuner.solves == 1
    assert tuner.tell(tuner.choose(), 1.0) is None  # the sequence goes on


def test_an_aborted_solve_is_handed_to_the_leader() -> None:
    tuner = tuner_of([1.0, 0.5])
    tuner.tell(tuner.choose(), 1.0)
    trial = tuner.choose()
    assert (trial.role, trial.arm) == ("trial", 1)
    assert trial.budget == pytest.approx(1.05)
    again = tuner.tell(trial, 1.05, aborted=True)
    assert again is not None
    assert (again.role, again.arm, again.budget) == ("fallback", 0, inf)


def test_arms_are_tried_in_the_order_of_their_priors() -> None:
    rules = TuningRules(excess=10.0, advance=10.0)
    tuner = tuner_of([1.0, 0.9, 0.3, 0.6], rules=rules, cost="operations")
    order = []
    for _ in range(4):
        choice = tuner.choose()
        order.append(choice.arm)
        tuner.tell(choice, 1.0 - 0.2 * len(order))
    assert order == [0, 2, 3, 1]


def test_each_context_has_its_own_leader(play: Play) -> None:
    rng = np.random.default_rng(0)
    contexts = [(float(n),) for n in rng.choice([1e4, 1e6], 400)]
    small = np.array([[n == 1e4] for (n,) in contexts])
    table = np.where(small, [1.5, 1.0, 3.0], [15.0, 30.0, 10.0])
    table = table * np.exp(rng.normal(0, 0.03, table.shape))
    tuner = tuner_of([1.0, 1.0, 1.0], bins=ContextBins(((1e5,),)))
    played = play(tuner, table, contexts=contexts)
    assert (tuner.incumbent((1e4,)), tuner.incumbent((1e6,))) == ("arm 1", "arm 2")
    assert played.total[-1] < table.sum(axis=0).min()


@pytest.mark.parametrize("stop", [0, 1, 2, 7, 60, 150])
def test_a_resumed_tuner_makes_the_choices_of_an_uninterrupted_one(
    stop: int, family: Family, play: Play
) -> None:
    table, priors = family(3, 2.0, noise=0.1)
    whole = play(tuner_of(priors, seed=5), table)
    first = play(tuner_of(priors, seed=5), table[:stop])
    resumed = Tuner.restore(json.loads(json.dumps(first.tuner.state(), allow_nan=False)))
    second = play(resumed, table[stop:])
    assert first.choices + second.choices == whole.choices


def test_choosing_changes_nothing(family: Family, play: Play) -> None:
    table, priors = family(1, 2.0)
    tuner = play(tuner_of(priors), table[:40]).tuner
    before = tuner.state()
    assert tuner.choose() == tuner.choose()
    assert tuner.state() == before


def test_equal_seeds_give_equal_choices_and_only_draws_depend_on_the_seed(
    family: Family, play: Play
) -> None:
    table, priors = family(2, 1.0, noise=0.1)
    table[:, 1:] = table[:, :1] * np.linspace(0.98, 1.02, table.shape[1] - 1)
    runs = [play(tuner_of(priors, seed=seed), table).choices for seed in (4, 4, 5)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]
    assert {choice.role for choice in runs[0]} >= {"default", "trial", "draw"}


def test_the_choice_does_not_depend_on_the_unit_of_the_costs(family: Family, play: Play) -> None:
    """A power of two, so that rounding is the same."""
    table, priors = family(4, 2.0)
    runs = [play(tuner_of(priors), factor * table).choices for factor in (1.0, 2.0**-20)]
    assert [choice.arm for choice in runs[0]] == [choice.arm for choice in runs[1]]


@pytest.mark.parametrize(
    ("arms", "settings"),
    [
        ([], {}),
        (["a", "a"], {}),
        (["a", "b"], {"default": 2}),
        (["a"], {"default": -1}),
        (["a"], {"seed": -1}),
    ],
)
def test_impossible_tuners_are_refused(arms: list[str], settings: dict[str, int]) -> None:
    with pytest.raises(UserError, match="expected arms with distinct names"):
        Tuner([Arm(name) for name in arms], **settings)


@pytest.mark.parametrize(("cost", "setup"), [(np.nan, 0.0), (inf, 0.0), (-1.0, 0.0), (1.0, 2.0)])
def test_impossible_costs_are_refused_and_change_nothing(cost: float, setup: float) -> None:
    tuner = tuner_of([1.0, 1.0])
    before = tuner.state()
    with pytest.raises(UserError, match="finite cost >= its set-up"):
        tuner.tell(tuner.choose(), cost, setup=setup)
    assert tuner.state() == before


@pytest.mark.parametrize("prior", [0.0, -1.0, np.nan, inf])
def test_impossible_priors_are_refused(prior: float) -> None:
    with pytest.raises(UserError, match="prior cost > 0"):
        Arm("a", prior)


@pytest.mark.parametrize(
    "rule", [{"horizon": 0}, {"share": -0.1}, {"trial": 0.5}, {"half_life": 0}, {"drift": np.nan}]
)
def test_impossible_rules_are_refused(rule: dict[str, float]) -> None:
    with pytest.raises(UserError, match=f"rule {next(iter(rule))}: expected a finite number"):
        TuningRules(**rule)  # type: ignore[arg-type]


def test_a_damaged_state_is_refused() -> None:
    state = tuner_of([1.0]).state()
    for damaged in ({}, {**state, "seed": "x"}, {**state, "more": 1}):
        with pytest.raises(UserError, match="saved state"):
            Tuner.restore(damaged)


def test_a_single_arm_is_simply_played(play: Play) -> None:
    table = np.ones((30, 1))
    assert play(tuner_of([1.0]), table).total[-1] == 30


def test_solves_without_cost_are_no_trouble(play: Play) -> None:
    tuner = Tuner([Arm("a"), Arm("b", 0.5, prior_setup=1.0)], cost="operations")
    assert play(tuner, np.zeros((30, 2))).total[-1] == 0
