"""Greedy enrichment: solutions are added where the indicator is largest, until it is small.

Each round chooses a batch of parameters; whoever runs this computes their solutions and gives the
new model. The end is one of

- ``tolerance``: the largest indicator on the pool is at most the tolerance,
- ``budget``: no sample is left,
- ``stagnation``: several rounds together have not lowered the best value by a given part.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
)

from infra.records import Sample
from rom.conditioning import ModelIndicator
from rom.indicator_sampler import IndicatorSampler
from rom.reduced_model import ReducedModel

__all__ = ["Enrichment", "EnrichmentSettings", "Round", "Stop", "enrich"]

type Stop = Literal["tolerance", "budget", "stagnation"]
# Computes the solutions of new samples, and returns the model of all that is known then.
type Extend = Callable[[Sequence[Sample]], ReducedModel]


@final
class EnrichmentSettings(BaseModel):
    """When enrichment ends, and how it goes.

    Attributes
    ----------
    tolerance
        Of the largest indicator on the pool.
    budget
        New samples in all.
    batch
        Samples of a round.
    patience
        Rounds without progress after which it stops.
    progress
        The part by which the largest indicator must have fallen in these.
    pool
        Points that are looked at, a power of 2, at most 65536.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tolerance: PositiveFloat
    budget: NonNegativeInt
    batch: PositiveInt = 4
    patience: PositiveInt = 4
    progress: float = Field(0.05, ge=0.0, lt=1.0)
    pool: int = Field(512, ge=2, le=1 << 16)

    @field_validator("pool")
    @classmethod
    def _is_a_power_of_two(cls, pool: int) -> int:
        if pool & (pool - 1):
            raise ValueError(f"expected 2, 4, 8, ... points, received {pool}")
        return pool


@final
@dataclass(frozen=True)
class Round:
    """One round.

    Attributes
    ----------
    largest
        The largest indicator on the pool before it.
    trajectories
        Of the model before it.
    samples
        What was asked for; none in the last round.
    """

    largest: float
    trajectories: int
    samples: tuple[Sample, ...]


@final
class Enrichment:
    """The state of an enrichment: `ask` for samples, compute them, `tell` the new model.

    Parameters
    ----------
    model
        The first model.
    settings
        When it ends.
    seed
        Of the pool and the samples.
    """

    def __init__(self, model: ReducedModel, settings: EnrichmentSettings, seed: int) -> None:
        self.settings, self.model = settings, model
        self.rounds: tuple[Round, ...] = ()
        self.stop: Stop | None = None
        self._used = 0
        self._rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))
        indicator = ModelIndicator(model, self._rng)
        self._sampler = IndicatorSampler(model.card.space, seed, indicator, settings.pool)

    def ask(self) -> tuple[Sample, ...]:
        """Return the samples of the next round; none if it has ended, then `stop` says why."""
        if self.stop is not None:
            return ()
        largest = self._sampler.largest
        self.stop = self._reason(largest)
        n = 0 if self.stop else min(self.settings.batch, self.settings.budget - self._used)
        samples = tuple(self._sampler.suggest(self._used + n)[self._used :])
        self._used += n
        trajectories = self.model.card.training.trajectories
        self.rounds = (*self.rounds, Round(largest, trajectories, samples))
        return samples

    def tell(self, model: ReducedModel) -> None:
        """Go on with the model that knows the samples of this round."""
        self.model = model
        self._sampler.update(ModelIndicator(model, self._rng))

    def _reason(self, largest: float) -> Stop | None:
        if largest <= self.settings.tolerance:
            return "tolerance"
        if self._used >= self.settings.budget:
            return "budget"
        values = [done.largest for done in self.rounds]
        if len(values) >= self.settings.patience:
            before = min(values[: len(values) - self.settings.patience + 1])
            best = min(*values[len(values) - self.settings.patience + 1 :], largest)
            if best > (1 - self.settings.progress) * before:
                return "stagnation"
        return None


def enrich(
    model: ReducedModel, settings: EnrichmentSettings, extend: Extend, seed: int
) -> Enrichment:
    """Run an enrichment to its end.

    Parameters
    ----------
    model
        The first model.
    settings
        When it ends.
    extend
        Computes samples and returns the model of all.
    seed
        Of the pool and the samples.

    Returns
    -------
    Enrichment
        Its `model`, its `rounds`, and why it has stopped.
    """
    enrichment = Enrichment(model, settings, seed)
    while samples := enrichment.ask():
        enrichment.tell(extend(samples))
    return enrichment
