r"""Who leads in one bin of contexts, who may be better, and who cannot be told from the leader.

Costs are robust means (`record.trimmed_mean`) with the amortised set-up. With the estimate
:math:`\hat c_i`, its number of costs :math:`n_i`, the relative noise s and the age :math:`a_i`
(solves since its last one), an arm may be as cheap as

.. math::
   o_i = 2^{-a_i / h} \times \begin{cases}
     \hat c_i                        & \text{finished before}, \\
     \max((1.5 \cdot 2^{m_i - 1} \, \ell_i)^{2/3} \pi_i^{1/3}, \pi_i)
       & \text{aborted } m_i \text{ times, exceeding } \ell_i, \\
     \pi_i / \tau                    & \text{never run, prior } \pi_i,
   \end{cases}

where h is the half-life and tau the trust of `TuningRules` (1.25 for arms of certain cost). An arm
with :math:`o_i` below the incumbent's cost is a candidate for a trial, if the solves that are left
may pay for its set-up; the least comes first, where arms never run count with their full prior. So
one slow solve removes an arm for a time, not for good, and an arm that has failed again and again
is asked ever more rarely, as is one whose abort is what its prior had foretold.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from statistics import median, median_low
from typing import final

from solvers.tuning.rules import Arm, BinState, TuningRules

__all__ = ["SURE", "Race"]

# Arms of certain cost may be cheaper or dearer than their priors say by this.
SURE = 1.5
# They are tried where they may be cheaper by this: their set-ups are dear.
_CERTAIN = 1.25
# Others may be cheaper by this at best, where a set-up depends on it.
_HOPE = 2.0
# A trial is made if it pays at best when so many of them fail for one that does not; twice as many
# after each failure.
_DOUBTED = 4.0

# A median relative deviation where no costs are known yet, and the least one believed.
_FIRST_NOISE = 0.05
_LEAST_NOISE = 0.003
# Median deviations in one standard deviation of a normal distribution.
_DEVIATION = 1.4826
# An arm that was aborted is dearer than its budget by this, before it is doubled at each abort.
_ABORTED = 1.5
# How much of that its prior may still explain away: one slow solve proves little.
_FAITH = 1 / 3


@final
@dataclass(frozen=True)
class Race:
    """A reading of a bin's state; it decides nothing about budgets.

    Parameters
    ----------
    arms : the configurations
    rules : half-life, trust, horizon
    default : index of the default arm
    state : what is known
    clock : whether costs are seconds, of which a single one may be far too large
    left : solves that are still expected, in all bins
    unit : cost of one unit of the priors as measured apart, None if it was not
    """

    arms: Sequence[Arm]
    rules: TuningRules
    default: int
    state: BinState
    clock: bool
    left: int
    unit: float | None = None

    def estimate(self, arm: int) -> float | None:
        """Return the expected cost of a solve with its share of set-ups, None before the first."""
        return self.state.records[arm].estimate(self.rules.horizon)

    @cached_property
    def finished(self) -> dict[int, float]:
        """Expected costs of the arms that have finished a solve."""
        known = {i: self.estimate(i) for i in range(len(self.arms))}
        return {i: cost for i, cost in known.items() if cost is not None}

    @cached_property
    def incumbent(self) -> int | None:
        """The arm of the least expected cost, None before the first solve."""
        known = self.finished
        return min(known, key=lambda i: (known[i], i != self.default)) if known else None

    @cached_property
    def scale(self) -> float:
        """Cost of one unit of the priors: the median of what the arms that have finished show.

        What was measured apart counts as one of them. Of two in the middle it is the lower one: an
        arm that is far dearer than expected says nothing about the others.
        """
        ratios = [cost / self.state.priors[i] for i, cost in self.finished.items()]
        if self.unit is not None:
            ratios.append(self.unit)
        return median_low(ratios) if ratios else 1.0

    @cached_property
    def noise(self) -> float:
        """Relative standard deviation of a cost, robust, pooled over the arms."""
        seen = [r.noise for r in self.state.records if len(r.costs) > 2]
        typical = median(seen) if seen else _FIRST_NOISE
        return _DEVIATION * max(typical, _LEAST_NOISE)

    def predicted(self, arm: int) -> float:
        """Return what the prior says, in units of cost."""
        return self.state.priors[arm] * self.scale

    def unpaid(self, arm: int) -> float:
        """Return what the arm's first set-up is expected to cost, 0 if that is paid."""
        paid = self.state.records[arm].setup
        return 0.0 if paid else self.arms[arm].prior_setup * self.scale

    def optimistic(self, arm: int) -> float:
        """Return the cost that this arm may have, o_i above."""
        record, rules = self.state.records[arm], self.rules
        if not record.uses and not record.aborts:
            return self.predicted(arm) / self._trust(arm)
        forgotten = 0.5 ** ((self.state.solves - record.last - 1) / rules.half_life)
        cost = record.estimate(rules.horizon)
        if cost is None:
            shown = record.level * _ABORTED * 2.0 ** (record.aborts - 1)
            foretold = self.predicted(arm)
            return forgotten * max(shown ** (1 - _FAITH) * foretold**_FAITH, foretold)
        # A clock's only time may be far too long; the prior says whether to believe that.
        if self.clock and len(record.costs) == 1:
            return forgotten * min(cost, max(cost / rules.trust, self.predicted(arm)))
        return forgotten * cost

    def candidates(self) -> list[int]:
        """Return the arms worth a trial, the most promising one first."""
        leader = self.incumbent
        if leader is None:
            return []
        best = self.finished[leader]
        owed = [i for i in range(len(self.arms)) if self._owed(i, best)]
        others = set(range(len(self.arms))) - {leader} - set(owed) - set(self.rivals)
        hopeful = [i for i in others if self.optimistic(i) < best and self._pays(i, best)]
        return owed + sorted(hopeful, key=lambda i: (self._rank(i), i))

    @cached_property
    def rivals(self) -> list[int]:
        """Return the incumbent and the arms that noise cannot tell from it."""
        leader, known = self.incumbent, self.finished
        if leader is None:
            return []
        counts = [max(len(r.costs), 1) for r in self.state.records]
        blur = {i: self.noise * sqrt(1 / counts[i] + 1 / counts[leader]) for i in known}
        return [i for i in known if i == leader or known[i] * (1 - blur[i]) < known[leader]]

    def drifted(self) -> bool:
        """Return whether the incumbent's last three costs all exceed what it cost before."""
        if self.incumbent is None:
            return False
        costs = self.state.records[self.incumbent].costs
        if len(costs) < 8 or self.state.solves - self.state.raced < self.rules.grace:
            return False
        limit = max(self.rules.drift, 1 + 3 * self.noise) * median(costs[:-3])
        return min(costs[-3:]) > limit

    def _rank(self, arm: int) -> float:
        """Return the cost by which candidates are ordered: a prior counts in full here."""
        record = self.state.records[arm]
        return self.optimistic(arm) if record.uses or record.aborts else self.predicted(arm)

    def _trust(self, arm: int) -> float:
        """Return how much cheaper than its prior an arm may be that was never run."""
        return min(_CERTAIN, self.rules.trust) if self.arms[arm].certain else self.rules.trust

    def _pays(self, arm: int, best: float) -> bool:
        """Return whether the solves that are left may pay for an arm's set-up.

        For that its prior is believed more than for a trial without set-up.
        """
        setup = self.unpaid(arm)
        if not setup:
            doubt = _DOUBTED * 2.0 ** self.state.records[arm].aborts
            return doubt * best < self.left * (best - self.optimistic(arm))
        hoped = max(self.optimistic(arm), self.predicted(arm) / _HOPE)
        return setup < self.left * (best - hoped)

    def _owed(self, arm: int, best: float) -> bool:
        """Return whether the arm has just paid a set-up and may yet prove cheap."""
        record = self.state.records[arm]
        if not record.owes_second_solve() or record.last != self.state.solves - 1:
            return False
        return (self.estimate(arm) or record.level) < self.rules.trial * best
