"""The interface of all samplers, and the seeds of the samples."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import final

import numpy as np

from infra.errors import UserError
from infra.records import Sample

__all__ = ["Sampler", "sample_seed", "spawn"]


class Sampler(ABC):
    """Choose which `mu` to compute.

    A sampler is a function of its fields and of what it has ingested: equal samplers suggest
    equal samples, however often they are asked. An *extendable* sampler also suggests the same
    first m samples whatever n >= m is; its docstring says so. The seed of the i-th sample never
    depends on n.

    Attributes
    ----------
    seed : non-negative integer from which the design and the samples' seeds are spawned
    """

    seed: int

    @final
    def suggest(self, n: int) -> list[Sample]:
        """Return the samples 0..n-1 of the design, each with its own seed.

        Raises
        ------
        UserError
            If n or the seed is negative, or n does not fit the design.
        """
        if n < 0 or self.seed < 0:
            raise UserError(
                "expected a number of samples >= 0 and a seed >= 0, "
                f"received n = {n}, seed = {self.seed}"
            )
        seeds = [sample_seed(child) for child in spawn(self.seed, n)]
        mus = self._mus(n)
        return [Sample(i, mu, seed) for i, (mu, seed) in enumerate(zip(mus, seeds, strict=True))]

    def ingest(  # noqa: B027 - designs that are fixed beforehand have nothing to learn
        self, samples: Sequence[Sample], results: Sequence[Mapping[str, float]]
    ) -> None:
        """Learn from finished samples; designs that are fixed beforehand ignore them.

        Parameters
        ----------
        samples : the samples that were computed
        results : for each of them its scalar results, for example `SolveReport.values`
        """

    @abstractmethod
    def _mus(self, n: int) -> Sequence[Mapping[str, float]]:
        """Return n mappings from parameter names to values; n is not negative."""


def spawn(seed: int, n: int) -> list[np.random.SeedSequence]:
    """Return n independent seed sequences; the i-th depends on `seed` and i only."""
    return np.random.SeedSequence(seed).spawn(n)


def sample_seed(child: np.random.SeedSequence) -> int:
    """Return the integer below 2^53 that is recorded as a sample's seed.

    Every JSON reader keeps integers of 53 bits exactly (RFC 8259, section 6); larger ones would
    change on their way through a browser.
    """
    return int(child.generate_state(1, np.uint64)[0] >> np.uint64(11))
