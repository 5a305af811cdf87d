"""Laws of coasting, of investments, and of a tuner with several bins."""

import json
from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np
import pytest

from solvers.tuning.coasting import Coast, coast
from solvers.tuning.context import ContextBins
from solvers.tuning.learning import closed, coasted, learned
from solvers.tuning.race import Race
from solvers.tuning.record import ArmRecord
from solvers.tuning.rules import Arm, BinState, Choice, TuningRules
from solvers.tuning.tuner import Tuner

Play = Callable[..., Any]
ARMS = (Arm("default"), Arm("leader", 0.5))


def race_of(default: list[float], leader: list[float], solves: int = 100) -> Race:
    records = tuple(
        ArmRecord(tuple(costs[-15:]), uses=len(costs), last=solves - 1)
        for costs in (default, leader)
    )
    state = BinState(records, (1.0, 0.5), (None, None), solves=solves, spent=50.0, default=10.0)
    return Race(ARMS, TuningRules(), 0, state, True, 100)


def leading(arm: int = 1, budget: float = 1.0) -> Choice:
    return Choice(arm, ARMS[arm].name, budget, "incumbent")


def test_a_proven_leader_coasts_as_far_as_its_worst_case_is_paid() -> None:
    race = race_of([1.0] * 9, [0.5] * 9)
    assert coast(race, leading(), free=100.0) == Coast(0, 1, 1.0, 24, pytest.approx(0.6))
    shorter = coast(race, leading(), free=3.5)
    assert shorter is not None
    assert shorter.left == 3
    assert coast(race, leading(), free=1.5) is None


@pytest.mark.parametrize(
    "choice",
    [
        Choice(1, "leader", 1.0, "trial"),
        Choice(1, "leader", 1.0, "draw"),
        Choice(0, "default", inf, "incumbent"),  # in the leader's place, for want of room
    ],
)
def test_trials_draws_and_stand_ins_do_not_coast(choice: Choice) -> None:
    assert coast(race_of([1.0] * 9, [0.5] * 9), choice, free=100.0) is None


def test_a_leader_of_few_solves_does_not_coast() -> None:
    assert coast(race_of([1.0] * 9, [0.5] * 3), leading(), free=100.0) is None


def test_a_cost_beyond_the_limit_ends_it() -> None:
    one = Coast(0, 1, None, 5, limit=0.6)
    assert (one.after(0.59).left, one.after(0.61).left) == (4, 0)
    assert one.after(0.5).after(0.4).costs == (0.5, 0.4)


@pytest.mark.parametrize("arm", [0, 1])
def test_costs_learned_together_are_those_learned_one_by_one(arm: int) -> None:
    costs = [0.52, 0.48, 0.51, 0.5]
    given = race_of([1.0] * 20, [0.5] * 20) if arm else race_of([0.4] * 20, [0.5] * 20)
    race = given
    for cost in costs:
        choice = leading(arm, inf)
        after = learned(race, choice, cost, 0.0, aborted=False)
        race = Race(ARMS, race.rules, 0, after, True, 100)
        race = Race(ARMS, race.rules, 0, closed(race, choice, cost, aborted=False), True, 100)
    together = coasted(given, arm, costs)
    assert together.records == race.state.records
    for name in ("solves", "spent", "default", "guessed", "explored"):
        assert getattr(together, name) == pytest.approx(getattr(race.state, name), rel=1e-2)


def test_asking_who_leads_changes_nothing(play: Play) -> None:
    table = np.array([1.0, 0.5]) * np.exp(np.random.default_rng(0).normal(0, 0.02, (140, 2)))
    silent, asked = (Tuner(ARMS, cost="operations") for _ in range(2))
    played = [play(silent, table).choices, []]
    for costs in table:
        choice = asked.choose()
        asked.incumbent()
        asked.estimates()
        played[1] += play_one(asked, choice, costs)
    assert played[0] == played[1]


def play_one(tuner: Tuner, choice: Choice | None, costs: Any) -> list[Choice]:
    done = []
    while choice is not None:
        done.append(choice)
        cost = float(costs[choice.arm])
        choice = tuner.tell(choice, min(cost, choice.budget), aborted=cost > choice.budget)
    return done


@pytest.mark.parametrize("every", [1, 7, 40])
def test_a_tuner_with_bins_goes_on_as_if_it_had_not_been_interrupted(every: int) -> None:
    rng = np.random.default_rng(1)
    arms = [Arm(f"arm {i}", 1.0 + 0.3 * i) for i in range(5)]
    table = (1.0 + 0.2 * np.arange(5)[::-1]) * np.exp(rng.normal(0, 0.05, (300, 5)))
    contexts = rng.choice([0.0, 2.0], 300)
    bins = ContextBins(((1.0,),))

    def run(pause: int) -> list[Choice]:
        tuner, done = Tuner(arms, cost="operations", bins=bins), []
        for number, costs in enumerate(table):
            if number % pause == pause - 1:
                tuner = Tuner.restore(json.loads(json.dumps(tuner.state(), allow_nan=False)))
            done += play_one(tuner, tuner.choose((contexts[number],)), costs)
        return done

    assert run(every) == run(1000)


@pytest.mark.parametrize("setup", [4.0, 60.0])
def test_an_investment_is_used_and_pays_off(setup: float, play: Play) -> None:
    arms = [Arm("default"), Arm("factor", 0.3, setup, certain=True), Arm("other", 0.9)]
    tuner = Tuner(arms, cost="operations")
    table = np.tile([1.0, 0.3, 0.9], (200, 1))
    played = play(tuner, table, setup=[0.0, setup, 0.0])
    assert [choice.name for choice in played.choices[2:10]].count("default") == 0
    assert tuner.incumbent() == "factor"
    assert played.total[-1] < 0.3 * 200 + setup + 5.0


def test_an_investment_does_not_wait_for_a_dearer_trial() -> None:
    """The gamble needs a set-up that cannot be paid yet; the factor pays off by far."""
    arms = [Arm("default"), Arm("gamble", 0.1, 30.0), Arm("factor", 0.3, 20.0, certain=True)]
    tuner = Tuner(arms, cost="operations")
    tuner.tell(tuner.choose(), 1.0)
    assert tuner.choose().name == "factor"


def test_a_run_beyond_its_horizon_still_tries_set_ups(play: Play) -> None:
    """The default becomes ten times as dear long after the horizon."""
    arms = [Arm("default"), Arm("set up", 2.0, 20.0)]
    tuner = Tuner(arms, cost="operations", rules=TuningRules(horizon=100))
    tuner.unit = 1.0
    table = np.tile([1.0, 2.0], (600, 1))
    table[250:, 0] = 10.0
    play(tuner, table, setup=[0.0, 20.0])
    assert tuner.incumbent() == "set up"
