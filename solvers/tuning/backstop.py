r"""Budgets: what a solve may cost before it is aborted and a safe configuration takes over.

Two ledgers are kept. A solve with budget b that is aborted costs b more than its fallback, and this
worst case must fit into both before it starts:

.. math::
   E + b + b_* \le \epsilon \max(t, t_0) \, \hat c_0, \qquad
   X + b \le \alpha \hat c_* + \sigma S.

Here :math:`\hat c_0` is the expected cost of the default, :math:`\hat c_*` that of the incumbent,
:math:`b_*` the budget that the incumbent needs as the fallback (none if it is the default),
E the total beyond what the default would have cost so far, X what trials have cost beyond
the incumbent, S the total, t the number of solves; the Greek letters are `TuningRules`'s excess,
advance and share. The first is kept for every arm but the default, the second for trials. An arm
whose cost is certain is exempt from both where its set-up pays off within the horizon even if it is
1.5 times as dear as expected.
"""

from collections.abc import Iterable
from math import inf

from solvers.tuning.race import SURE, Race
from solvers.tuning.rules import BinState, TuningRules

__all__ = ["draw_budget", "incumbent_budget", "invests", "room", "trial_budget"]

# The least budget of an incumbent, relative to its own expected cost; below it the default solves.
_MARGIN = 1.25
# What has been saved may be risked: this part of it, up to this multiple of the default's cost.
# A solve that is slow for an outer reason is then seldom started again.
_PART = 1 / 3
_MOST = 4.0
# More is granted to arms that are expected to be better than the leader.
_PROMISING = 2.0
# What is kept for the leader when an arm is tried, relative to its expected cost; a little more
# than the margin, since estimates change.
_RESERVE = 1.35
# The least budget besides a set-up: this times the expected cost, and this part of the leader's.
_ENOUGH = 1.5
_SHORT = 0.4
# Standard deviations of noise by which budgets of arms that have proven themselves are widened.
_WIDE = 3.0


def room(rules: TuningRules, bins: Iterable[BinState]) -> float:
    """Return by how much the total may still exceed what the default would have cost.

    Over all bins: what one saves another may spend. In units of cost.
    """
    used = [state for state in bins if state.solves]
    solves = sum(state.solves for state in used)
    default = sum(state.default + state.guessed for state in used)
    spent = sum(state.spent - state.invested for state in used)
    if not solves:
        return 0.0
    ahead = max(0, rules.grace - solves) * default / solves
    return rules.excess * (default + ahead) - (spent - default)


def trial_budget(race: Race, arm: int, free: float) -> float | None:
    """Return the budget of an arm on trial, None if it must wait.

    Parameters
    ----------
    race : what is known
    arm : the arm on trial
    free : what `room` gives
    """
    leader = race.incumbent
    if leader is None:
        return None
    best, record = race.finished[leader], race.state.records[arm]
    setup = race.unpaid(arm)
    if invests(race, arm):
        return SURE * (setup + race.predicted(arm))
    promising = not record.aborts and race.predicted(arm) < best
    wanted = race.rules.trial * best + setup
    factor = _PROMISING if promising else 1.0
    if race.state.explored + wanted > factor * _granted(race, best):
        return None
    budget = min(wanted, _spare(race, best, free))
    # A set-up takes most of the room: an arm that is expected to be cheap shows that with less.
    short = max(_SHORT * best, _ENOUGH * race.predicted(arm)) if setup else inf
    return budget if budget >= min(race.rules.least * best, short) + setup else None


def invests(race: Race, arm: int) -> bool:
    """Return whether an arm of certain cost pays off even if it is far dearer than expected.

    Parameters
    ----------
    race : what is known, a leader included
    arm : an arm that is not the leader
    """
    record = race.state.records[arm]
    if not race.arms[arm].certain or record.uses or record.aborts:
        return False
    setup = race.unpaid(arm)
    best = min(race.finished.values())
    return SURE * (setup + race.left * race.predicted(arm)) < race.left * best


def draw_budget(race: Race, arm: int, free: float) -> float | None:
    """Return the budget of an arm whose cost is the leader's up to noise, None if it must wait.

    It is wide enough for noise, so that aborts are rare; the ledger of exploration must hold the
    expected excess only.
    """
    leader = race.incumbent
    if leader is None:
        return None
    best, cost = race.finished[leader], race.finished[arm]
    budget = max(best, cost) * (race.rules.trial + _WIDE * race.noise)
    fits = race.state.explored + cost - best <= _granted(race, best)
    return budget if fits and budget <= _spare(race, best, free) else None


def incumbent_budget(race: Race, free: float) -> float | None:
    """Return the budget of the incumbent, None if the default must solve instead."""
    leader, default = race.incumbent, race.estimate(race.default)
    if leader is None or leader == race.default or default is None:
        return inf
    wanted = race.rules.backstop * default * (1 + _WIDE * race.noise)
    wanted = max(wanted, min(free * _PART, _MOST * default))
    budget = min(wanted, free)
    return budget if budget >= _MARGIN * race.finished[leader] else None


def _granted(race: Race, best: float) -> float:
    return race.state.advance * best + race.rules.share * race.state.spent


def _spare(race: Race, best: float, free: float) -> float:
    """Return the part of `free` that a trial may use: the leader must fit in as its fallback."""
    default = race.estimate(race.default)
    if default is None:
        return inf
    return free - (0.0 if race.incumbent == race.default else _RESERVE * best)
