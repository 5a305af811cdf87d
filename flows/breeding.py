"""Active sampling in an online training: rounds of samples that are drawn while it goes on.

The first round and the held-out simulations are fixed beforehand. Each later round is drawn when
workers would be idle otherwise, from the scores that the trainer has written by then, and is on
disk before any of its simulations starts: a flow that goes on finds the same rounds.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np

from flows.design import problem_and_space, require_possible
from flows.online_study import OnlineStudy
from infra.errors import UserError
from infra.records import DrawRecord, Sample
from infra.store import SnapshotStore
from infra.zarr_store import open_store
from solvers.parameters import ParameterSpace
from solvers.problem import Problem
from solvers.sampling import BreedSampler, BreedSettings, SobolSampler, UniformSampler
from surrogates.sample_scores import Told, read_scores

__all__ = ["Breeder", "bred_of", "breed_samples", "breeder_of", "rounds_of"]

# Tells the seed of the held-out simulations from that of the others.
_HELD_OUT = 1


def rounds_of(training: OnlineStudy) -> list[tuple[int, ...]]:
    """Return the samples of each round; all of them in one without active sampling."""
    count, breed = training.study.sampling.samples, training.study.sampling.breed
    size = count if breed is None else breed.size
    return [tuple(range(i, min(i + size, count))) for i in range(0, count, size)]


def breed_samples(
    training: OnlineStudy, problem: Problem, space: ParameterSpace
) -> tuple[Sample, ...]:
    """Return all samples: those of the first round and the held-out ones with their parameters.

    Raises
    ------
    UserError
        If a point of the design that fills the box, from which samples may come, is impossible.
    """
    sampling, breed = training.study.sampling, training.study.sampling.breed
    assert breed is not None, "asked for with active sampling only"
    base = SobolSampler if breed.base == "sobol" else UniformSampler
    design = base(space, sampling.seed).suggest(sampling.samples)
    seed = np.random.SeedSequence(sampling.seed, spawn_key=(_HELD_OUT,)).generate_state(1)
    others = SobolSampler(space, int(seed[0])).suggest(training.validation)
    require_possible(problem, [*design, *others])
    # Without scores nothing is bred: the first round is the beginning of the design.
    mine = [s if s.index < breed.size else Sample(s.index, {}, s.seed) for s in design]
    held = [Sample(i, s.mu, s.seed) for i, s in zip(training.held_out, others, strict=True)]
    return (*mine, *held)


@final
@dataclass(frozen=True)
class _Views:
    """How often items were trained on, and since when not more often (monotonic seconds)."""

    count: int
    since: float


@final
class Breeder:
    """Draws the rounds of one training.

    Parameters
    ----------
    training : with active sampling
    problem, space : of its study
    store : its dataset
    scores : file in which the trainer tells the scores
    """

    def __init__(
        self,
        training: OnlineStudy,
        problem: Problem,
        space: ParameterSpace,
        store: SnapshotStore,
        scores: Path,
    ) -> None:
        breed = training.study.sampling.breed
        assert breed is not None, "made with active sampling only"
        self._settings: BreedSettings = breed
        self._rounds = rounds_of(training)
        self._problem, self._space = problem, space
        self._seed = training.study.sampling.seed
        self._store, self._scores = store, scores
        self._views: _Views | None = None
        self._frames = 1 if training.study.time is None else training.study.time.frames

    @property
    def drawn(self) -> int:
        """Number of rounds that are drawn."""
        undrawn = self._undrawn()
        return sum(undrawn.isdisjoint(one) for one in self._rounds)

    @property
    def over(self) -> bool:
        """Whether all rounds are drawn."""
        return not self._undrawn()

    def drawn_all(self, samples: Sequence[int]) -> bool:
        """Whether all of these samples are drawn."""
        return self._undrawn().isdisjoint(samples)

    def due(self, *, learning: bool) -> bool:
        """Tell whether the next round should be drawn, now that workers would be idle.

        It should as soon as all samples of the last round have been trained on, and that either
        often enough or as often as the trainer may without further data; or if nothing was trained
        on for as long as the settings allow.

        Parameters
        ----------
        learning : whether the trainer is still at work; there are no more scores else
        """
        if self.over or not learning:
            return not self.over
        told, now = read_scores(self._scores), time.monotonic()
        count = sum(told.visits.values())
        if self._views is None or count > self._views.count:
            self._views = _Views(count, now)
        late = now - self._views.since >= self._settings.patience
        return late or told.mood == "over" or self._learned(told)

    def _learned(self, told: Told) -> bool:
        """Tell whether the scores of the last round are worth a new one."""
        views = self._settings.views
        if views == 0:
            return True
        last = set(self._rounds[self.drawn - 1]) - self._store.failures().keys()
        if not last <= told.visits.keys():
            return False
        enough = views is not None and (
            sum(told.visits[i] for i in last) >= views * self._frames * len(last)
        )
        return enough or told.mood == "waiting"

    def draw(self) -> str:
        """Draw the next round and write it down; return a line for people.

        Raises
        ------
        StoreError, StorageFullError, StorageAccessError
            If it cannot be written down.
        """
        self._views = None
        sampler, number = self._sampler(), self.drawn
        mine = self._rounds[number]
        scores = read_scores(self._scores).scores
        known = self._store.samples
        told = [known[index] for index in scores if index < mine[0]]
        sampler.ingest(told, [{"delta_loss": scores[s.index]} for s in told])
        samples = sampler.suggest(mine[-1] + 1)[mine[0] :]
        parents = {i: sampler.parents[i] for i in mine if i in sampler.parents}
        self._store.draw(DrawRecord(tuple(samples), parents))
        return f"round {number + 1} of {len(self._rounds)}, {len(parents)} of {len(mine)} bred"

    def _undrawn(self) -> frozenset[int]:
        self._store.samples  # noqa: B018 - looks for what was drawn
        return self._store.description.undrawn

    def _sampler(self) -> BreedSampler:
        """Return a sampler that has suggested what is drawn, and been told nothing yet."""
        sampler = BreedSampler(self._space, self._seed, self._settings, self._possible)
        drawn = [i for one in self._rounds[: self.drawn] for i in one]
        known = self._store.samples
        rows = self._space.array([known[i].mu for i in drawn]).tolist()
        pairs = [[*pair] for record in self._store.draws() for pair in record.parents.items()]
        sampler.restore({"archive": [], "design": rows, "parents": pairs})
        return sampler

    def _possible(self, mu: Mapping[str, float]) -> bool:
        try:
            self._problem.check(mu)
        except UserError:
            return False
        return True


def breeder_of(training: OnlineStudy) -> Breeder | None:
    """Return what draws the rounds of a training whose dataset exists; None if nothing is drawn."""
    if training.study.sampling.breed is None:
        return None
    problem, space = problem_and_space(training.data)
    store = open_store(training.data.dataset)
    return Breeder(training, problem, space, store, training.paths.scores)


def bred_of(store: SnapshotStore) -> list[int]:
    """Return the samples that were bred, in order."""
    return sorted(index for record in store.draws() for index in record.parents)
