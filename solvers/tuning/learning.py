"""How a bin's state follows from what a solve has cost: pure functions, old state in, new out."""

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from solvers.tuning.race import Race
from solvers.tuning.record import ArmRecord
from solvers.tuning.rules import Arm, BinState, Choice, TuningRules
from solvers.tuning.tsallis_inf import tsallis_probabilities

__all__ = ["closed", "coasted", "draw_probabilities", "fresh", "learned", "reraced"]

# A loss of one, in standard deviations of the noise: where costs of equal arms practically lie.
_RANGE = 4.0
# Costs of the incumbent that survive a new race.
_KEPT = 3
# Solves of the default after which its mean no longer changes earlier guesses.
_SETTLED = 6
# Standard errors by which a guess of the default's cost is lowered.
_DOUBT = 1.5


def fresh(arms: tuple[Arm, ...], rules: TuningRules, richest: Race | None, known: int) -> BinState:
    """Return the state of a new bin; its priors are what the bin with most solves has learned.

    Parameters
    ----------
    arms, rules : as in `Tuner`
    richest : the bin to learn from, None for the first one
    known : number of bins so far: later ones need less exploration, their priors are better
    """
    priors = tuple(arm.prior_cost for arm in arms)
    if richest is not None:
        scale = richest.scale
        costs = richest.finished
        levels = [record.level / scale for record in richest.state.records]
        priors = tuple(
            costs[i] / scale if i in costs else max(prior, levels[i])
            for i, prior in enumerate(richest.state.priors)
        )
    return BinState(
        (ArmRecord(),) * len(arms),
        priors,
        (None,) * len(arms),
        advance=rules.advance / (1 + known),
    )


def draw_probabilities(race: Race) -> NDArray[np.float64]:
    """Return Tsallis-INF's probabilities for the rivals of a race, in their order.

    An arm that comes in starts with informed losses: what its solves so far have cost beyond the
    best estimate. A loss of one is the width of the noise.
    """
    rate = 2.0 / float(np.sqrt(race.state.solves + 1))
    return tsallis_probabilities([_informed(race, i) for i in race.rivals], rate)


def learned(race: Race, choice: Choice, cost: float, setup: float, aborted: bool) -> BinState:
    """Return the bin's state after one solve, aborted or not.

    Parameters
    ----------
    race : what was known before
    choice : what was run
    cost : all that it has cost, set-up included
    setup : the part that is paid once
    """
    state, arm = race.state, choice.arm
    best = min(race.finished.values(), default=0.0)
    records = list(state.records)
    record = records[arm]
    if aborted:
        level = max(cost, choice.budget if isfinite(choice.budget) else 0.0) - setup
        charged = max(cost + best, race.estimate(arm) or 0.0)
        records[arm] = record.aborted(state.solves, level, setup, charged)
    else:
        records[arm] = record.finished(state.solves, cost - setup, setup)
    if choice.role == "fallback" and not aborted and race.estimate(arm):
        ratio = (race.estimate(arm) or cost) / max(cost - setup, 1e-300)
        for other in choice.tried:
            records[other] = records[other].compared(min(ratio, 1.0))
    return replace(
        state,
        records=tuple(records),
        spent=state.spent + cost,
        invested=state.invested + (setup if race.arms[arm].certain else 0.0),
        losses=_losses(race, choice, cost + (best if aborted else 0.0) - setup),
        explored=state.explored + _beyond(race, records[arm], choice, cost, setup, aborted),
    )


def _beyond(
    race: Race, after: ArmRecord, choice: Choice, cost: float, setup: float, aborted: bool
) -> float:
    """Return what the exploration ledger is charged for a solve.

    For a trial what it has cost beyond the leader; for a trial that finds a better leader what
    the solves so far, `advance` of them at most, would have saved with it.
    """
    best = min(race.finished.values(), default=0.0)
    if choice.role not in {"trial", "draw"}:
        return 0.0
    if race.arms[choice.arm].certain:
        cost, setup = cost - setup, 0.0
    if aborted:
        return cost
    # One finished solve of a proven arm says little; its excess is the one of its estimate.
    now = min(after.estimate(race.rules.horizon) or cost, cost)
    if choice.role == "trial" and now < best:
        return setup + (best - now) * min(race.state.solves, race.rules.advance)
    return max(0.0, now + setup - best)


def closed(race: Race, choice: Choice, cost: float, aborted: bool) -> BinState:
    """Return the bin's state after a system is solved or given up.

    What the default would have cost on it is known if the default has solved it, else its mean.
    The first guesses stand on one cost and are corrected while the mean settles.

    Parameters
    ----------
    race : what is known, this solve included
    choice : the last one on this system; `paid` holds what the whole system has cost
    cost : of the last solve, without what is booked as invested
    """
    state = race.state
    record = state.records[race.default]
    mean = record.clipped_mean() or choice.paid
    # A guess from few costs is lowered by its standard error: where the leader is hardly better
    # than the default, the default then gets its turn, and is known again.
    doubt = min(0.5, _DOUBT * race.noise / float(np.sqrt(max(len(record.costs), 1))))
    known = choice.arm == race.default and not aborted
    guessed = state.guessed
    if known and 1 < record.uses <= _SETTLED:
        guessed *= mean / max(replace(record, costs=record.costs[:-1]).clipped_mean(), 1e-300)
    return replace(
        state,
        solves=state.solves + 1,
        default=state.default + (cost if known else 0.0),
        guessed=guessed + (0.0 if known else mean * (1.0 - doubt)),
    )


def coasted(race: Race, arm: int, costs: Sequence[float]) -> BinState:
    """Return the bin's state after solves with the leader, none of them aborted or set up.

    Parameters
    ----------
    race : what was known before
    arm : the leader
    costs : what they have cost, in order
    """
    state, records = race.state, list(race.state.records)
    for number, cost in enumerate(costs):
        records[arm] = records[arm].finished(state.solves + number, cost, 0.0)
    total, default = sum(costs), state.records[race.default]
    known = arm == race.default
    # As in `closed`: another default's record has not changed, and a leading default has more uses
    # behind it (`coast`) than correct earlier guesses.
    doubt = min(0.5, _DOUBT * race.noise / float(np.sqrt(max(len(default.costs), 1))))
    each = 0.0 if known else (default.clipped_mean() or total / len(costs)) * (1.0 - doubt)
    return replace(
        state,
        records=tuple(records),
        solves=state.solves + len(costs),
        spent=state.spent + total,
        default=state.default + (total if known else 0.0),
        guessed=state.guessed + each * len(costs),
    )


def reraced(race: Race) -> BinState:
    """Return the state in which all arms but the incumbent and the default are on trial again.

    What they cost before becomes their prior, their set-ups stay paid, and exploration is granted
    its advance once more.
    """
    state, leader, scale = race.state, race.incumbent, race.scale
    # Where races follow each other, noise has begun them.
    share = min(1.0, (state.solves - state.raced) / race.rules.horizon)
    kept = [_KEPT if i in (leader, race.default) else 0 for i in range(len(race.arms))]
    costs = race.finished
    return replace(
        state,
        priors=tuple(costs.get(i, p * scale) / scale for i, p in enumerate(state.priors)),
        records=tuple(r.forgotten(k) for r, k in zip(state.records, kept, strict=True)),
        losses=(None,) * len(race.arms),
        advance=state.advance + share * race.rules.advance,
        raced=state.solves,
    )


def _losses(race: Race, choice: Choice, cost: float) -> tuple[float | None, ...]:
    """Return the cumulated losses after a draw; arms outside the draw have none."""
    if choice.role != "draw":
        return race.state.losses
    losses = [_informed(race, i) if i in race.rivals else None for i in range(len(race.arms))]
    # Reduced variance: the leader's cost is the baseline; an outlier counts as one full loss.
    best = min(race.finished.values())
    loss = float(np.clip((cost - best) / _unit(race), -1.0, 1.0)) / choice.probability
    losses[choice.arm] = (losses[choice.arm] or 0.0) + loss
    return tuple(losses)


def _informed(race: Race, arm: int) -> float:
    """Return the cumulated loss of an arm in the draw."""
    given = race.state.losses[arm]
    if given is not None:
        return given
    gap = race.finished[arm] - min(race.finished.values())
    return len(race.state.records[arm].costs) * gap / _unit(race)


def _unit(race: Race) -> float:
    return _RANGE * race.noise * min(race.finished.values()) or 1.0
