"""What to run next: pure functions of what is known and of what may be spent."""

from collections.abc import Sequence
from dataclasses import replace
from math import inf

import numpy as np

from solvers.tuning.backstop import draw_budget, incumbent_budget, invests, trial_budget
from solvers.tuning.learning import draw_probabilities
from solvers.tuning.race import Race
from solvers.tuning.rules import Choice, Role
from solvers.tuning.tsallis_inf import draw_arm

__all__ = ["fallback", "plan"]


def plan(race: Race, place: int, free: float, seed: Sequence[int]) -> Choice:
    """Return the choice for a new system: default first, then trial, draw, or incumbent.

    Parameters
    ----------
    race : what is known in the context's bin
    place : number of that bin
    free : what `backstop.room` gives
    seed : of the generator that is made when arms are drawn
    """
    if race.incumbent is None:
        return _choice(race, place, race.default, inf, "default")
    return _trial(race, place, free) or _draw(race, place, free, seed) or _lead(race, place, free)


def fallback(race: Race, choice: Choice, free: float) -> Choice | None:
    """Return the choice after an aborted solve: the leader, the default, then whatever there is.

    Parameters
    ----------
    race : what is known, the aborted solve included
    choice : the aborted one, itself among its `tried`
    free : what `backstop.room` gives

    Returns
    -------
    Choice or None
        None when all arms have been tried on this system.
    """
    known, arms = race.finished, range(len(race.arms))
    budget = incumbent_budget(race, free)
    first = [race.incumbent] if race.incumbent is not None and budget is not None else []
    order = [
        *first,
        race.default,
        *sorted(known, key=lambda i: known[i]),
        *sorted(arms, key=lambda i: race.state.priors[i]),
    ]
    left = [i for i in order if i not in choice.tried]
    if not left:
        return None
    # The last one that is left has no limit: there is nobody to take over.
    limited = budget is not None and left[0] in first and len(set(left)) > 1
    return replace(
        choice,
        arm=left[0],
        name=race.arms[left[0]].name,
        budget=budget if limited and budget is not None else inf,
        role="fallback",
        probability=1.0,
    )


def _choice(
    race: Race, place: int, arm: int, budget: float, role: Role, probability: float = 1.0
) -> Choice:
    return Choice(arm, race.arms[arm].name, budget, role, probability, place)


def _trial(race: Race, place: int, free: float) -> Choice | None:
    for number, arm in enumerate(race.candidates()):
        # The others wait until the first one can be paid, except those that have nothing to set up,
        # and what no ledger pays for.
        if number and race.unpaid(arm) and not invests(race, arm):
            continue
        budget = trial_budget(race, arm, free)
        if budget is not None:
            return _choice(race, place, arm, budget, "trial")
    return None


def _draw(race: Race, place: int, free: float, seed: Sequence[int]) -> Choice | None:
    rivals = race.rivals
    if len(rivals) < 2:
        return None
    budgets = [_draw_budget(race, i, free) for i in rivals]
    if any(budget is None for budget in budgets):
        return None
    p = draw_probabilities(race)
    drawn = draw_arm(p, np.random.default_rng(seed))
    return _choice(race, place, rivals[drawn], budgets[drawn] or inf, "draw", float(p[drawn]))


def _draw_budget(race: Race, arm: int, free: float) -> float | None:
    if arm == race.default:
        return inf
    if arm == race.incumbent:
        return incumbent_budget(race, free)
    return draw_budget(race, arm, free)


def _lead(race: Race, place: int, free: float) -> Choice:
    budget, leader = incumbent_budget(race, free), race.incumbent
    if budget is None or leader is None:
        return _choice(race, place, race.default, inf, "incumbent")
    return _choice(race, place, leader, budget, "incumbent")
