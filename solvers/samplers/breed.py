r"""The sampler that breeds samples where a surrogate learns badly.

Samples come in rounds of equal size. In round r the share

.. math:: R_r = R_0 + (R_1 - R_0) \min(r / b, 1)

of the samples is bred: a parent is drawn among the samples whose scores were told last, with a
probability proportional to its score :math:`Q`, and the child is normally distributed around it,

.. math:: u = u_{\text{parent}} + \sigma\, \xi, \qquad \xi \sim \mathcal N(0, I),

in unit coordinates, reflected at the bounds. All others are the next points of a design that fills
the space. The score ``delta_loss`` of a sample is the mean over its frames of
:math:`\max(0, (\ell - \bar\ell) / s)`, the excess of the training loss :math:`\ell` over the mean
:math:`\bar\ell` of its batch in standard deviations s.

Source: Breed, arXiv:2410.05860 (2024), after adaptive multiple importance sampling (Cornuet et
al., 2012, 10.1111/j.1467-9469.2011.00756.x).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict

from infra.errors import UserError
from infra.records import Sample
from solvers.parameters import ParameterSpace
from solvers.samplers.box import SobolSampler, UniformSampler
from solvers.samplers.sampler import Sampler

__all__ = ["SCORE", "BreedSampler", "BreedSettings"]

# The result that tells how badly a sample is learnt, at least 0.
SCORE = "delta_loss"
# So often a child that is not allowed is drawn again; then a point of the design takes its place.
_TRIES = 64


@final
@dataclass(frozen=True)
class BreedSettings:
    """How much is bred, and how far from its parents.

    Attributes
    ----------
    size : samples of a round, >= 1
    start, end : share of bred samples in the first round and from round `breakpoint` on, in [0, 1]
    breakpoint : rounds over which the share grows, >= 0
    sigma : standard deviation of a child around its parent, as a part of the range, > 0
    window : number of samples among which parents are drawn: those told last, >= 1
    base : the design of the other samples
    views : how often, in the mean, the items of a round should have been trained on before the
        next one is drawn, >= 0; none: until the trainer waits for data. Losses of a first view
        tell where fields are large rather than where they are difficult. This and the next are
        for whoever asks for the rounds
    patience : seconds without any new view after which a round is drawn all the same, >= 0

    Raises
    ------
    UserError
        If a value is out of its range.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")
    size: int = 16
    start: float = 0.0
    end: float = 0.7
    breakpoint: int = 3
    sigma: float = 0.05
    window: int = 64
    base: Literal["sobol", "uniform"] = "sobol"
    views: float | None = None
    patience: float = 30.0

    def __post_init__(self) -> None:
        # Comparisons in this direction also refuse NaN.
        counts = self.size >= 1 and self.window >= 1 and self.breakpoint >= 0
        shares = 0 <= self.start <= 1 and 0 <= self.end <= 1
        spread = 0 < self.sigma < math.inf and self.patience >= 0
        spread = spread and (self.views is None or self.views >= 0)
        if not (counts and shares and spread and self.base in ("sobol", "uniform")):
            raise UserError(
                "expected size >= 1, window >= 1, breakpoint >= 0, start and end in [0, 1], a "
                "finite sigma > 0, views >= 0, patience >= 0 and base sobol or uniform; received "
                f"{self}"
            )

    def share(self, number: int) -> float:
        """Return the share of bred samples in a round, counted from 0."""
        part = min(number / self.breakpoint, 1.0) if self.breakpoint else 1.0
        return self.start + (self.end - self.start) * part

    def bred(self, place: int, share: float) -> bool:
        """Tell whether the sample at this place of a round is bred: they are spread evenly."""
        # The slack keeps 0.7 * 10 = 7.000000000000001 and its like at whole numbers.
        whole = [math.floor(count * share + 1e-9) for count in (place, place + 1)]
        return whole[1] > whole[0]


@final
class BreedSampler(Sampler):
    """See the module; extendable.

    What `ingest` was told and the rounds that were suggested are kept in the sampler, and nowhere
    else: a round is drawn as a whole when its first sample is asked for, from the scores that
    are known by then, and never changes afterwards. So a sampler that is told the same between the
    same rounds suggests the same samples; `state` and `restore` carry it over to another process.

    Parameters
    ----------
    space : the box
    seed : seed of the design, of the children and of the samples
    settings : how much is bred
    allowed : tells whether there is a sample of this `mu`; children for which there is none are
        drawn again. Points of the design are not asked about
    """

    def __init__(
        self,
        space: ParameterSpace,
        seed: int,
        settings: BreedSettings | None = None,
        allowed: Callable[[Mapping[str, float]], bool] = lambda _: True,
    ) -> None:
        self.space = space
        self._allowed = allowed
        self.seed = seed
        self.settings = settings or BreedSettings()
        # Unit coordinates and score by sample; the sample that was told last stands last.
        self._archive: dict[int, tuple[list[float], float]] = {}
        # Values of the free parameters, whole rounds.
        self._design: list[list[float]] = []
        self._parents: dict[int, int] = {}

    @property
    def parents(self) -> Mapping[int, int]:
        """The parent of each bred sample, by their indices."""
        return dict(self._parents)

    def ingest(self, samples: Sequence[Sample], results: Sequence[Mapping[str, float]]) -> None:
        """Take the scores ``delta_loss`` of samples; a later score replaces an earlier one.

        Parameters
        ----------
        samples : samples whose frames were trained on
        results : for each its results; those without a score are passed over

        Raises
        ------
        UserError
            If a score is negative or not finite, or a `mu` does not fit the space.
        """
        told = [(s, r[SCORE]) for s, r in zip(samples, results, strict=True) if SCORE in r]
        wrong = [f"sample {s.index}: {score}" for s, score in told if not 0 <= score < math.inf]
        if wrong:
            raise UserError(
                f"{SCORE}: expected finite scores >= 0, received {', '.join(wrong)}. Leave the "
                "score of such a sample out."
            )
        units = self.space.to_unit(self.space.array([s.mu for s, _ in told]))
        for (sample, score), unit in zip(told, units.tolist(), strict=True):
            self._archive.pop(sample.index, None)
            self._archive[sample.index] = unit, float(score)

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs, as JSON-able values."""
        return {
            "archive": [[index, unit, score] for index, (unit, score) in self._archive.items()],
            "design": [list(row) for row in self._design],
            "parents": [list(pair) for pair in self._parents.items()],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where a sampler of the same space, seed and settings was.

        Raises
        ------
        UserError
            If the state is that of another space or size of rounds.
        """
        points = [*state["design"], *(unit for _, unit, _ in state["archive"])]
        fits = all(len(unit) == self.space.dimension for unit in points)
        if not fits or len(state["design"]) % self.settings.size:
            raise UserError(
                f"breed: expected whole rounds of {self.settings.size} points with "
                f"{self.space.dimension} coordinates, received the state of another sampler. "
                "Restore it with the study and the settings that it was made with."
            )
        self._archive = {int(i): (list(unit), float(q)) for i, unit, q in state["archive"]}
        self._design = [list(row) for row in state["design"]]
        self._parents = {int(child): int(parent) for child, parent in state["parents"]}

    def _mus(self, n: int) -> Sequence[Mapping[str, float]]:
        while len(self._design) < n:
            self._draw_round()
        return [self.space.mu(row) for row in self._design[:n]]

    def _draw_round(self) -> None:
        size, first = self.settings.size, len(self._design)
        window = list(self._archive.items())[-self.settings.window :]
        scores = np.array([score for _, (_, score) in window])
        # Without any badly learnt sample there is nothing to breed from.
        share = self.settings.share(first // size) if scores.max(initial=0.0) > 0.0 else 0.0
        children = {
            index: child
            for place, index in enumerate(range(first, first + size))
            if self.settings.bred(place, share)
            and (child := self._child(index, window, scores)) is not None
        }
        others = iter(self._others(size - len(children)))
        for index in range(first, first + size):
            if index in children:
                row, self._parents[index] = children[index]
                self._design.append(row)
            else:
                self._design.append(next(others))

    def _child(
        self,
        index: int,
        window: Sequence[tuple[int, tuple[list[float], float]]],
        scores: NDArray[np.float64],
    ) -> tuple[list[float], int] | None:
        """Return a child's free values and its parent; each child has its own generator.

        None if no child was allowed.
        """
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(index, 1)))
        # Scaled first: the sum of huge scores would overflow.
        weights = scores / scores.max()
        for _ in range(_TRIES):
            parent, (unit, _) = window[rng.choice(len(window), p=weights / weights.sum())]
            moved = np.array(unit) + self.settings.sigma * rng.standard_normal(len(unit))
            row = self.space.from_unit(_reflected(moved)[np.newaxis])[0]
            if self._allowed(self.space.mu(row)):
                return row.tolist(), parent
        return None

    def _others(self, count: int) -> list[list[float]]:
        """Return the free values of the next points of the design that fills the space."""
        kind = SobolSampler if self.settings.base == "sobol" else UniformSampler
        used = len(self._design) - len(self._parents)
        samples = kind(self.space, self.seed).suggest(used + count)[used:]
        return self.space.array([sample.mu for sample in samples]).tolist()


def _reflected(units: NDArray[np.float64]) -> NDArray[np.float64]:
    """Reflect coordinates at 0 and 1, as often as needed."""
    folded = np.mod(units, 2.0)
    return np.asarray(np.where(folded > 1.0, 2.0 - folded, folded))
