"""How many chunks a Slurm job takes, one after another: learned from what chunks have cost.

A job that takes several short chunks costs one submission, one place in the queue and one start.
What a chunk costs is told with caution, by a quantile of what others have cost, so that a job is
through before Slurm asks it to close.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, final

from infra.cluster.policy import Attempt

__all__ = ["QUANTILE", "ChunkCost", "Pack", "Packing", "cautious", "learned_cost", "packed"]

type Pack = int | Literal["auto"]

# A further chunk costs no more than is said of it with this probability.
QUANTILE = 0.95
# Times the largest value, where there are too few values for the quantile.
_FEW = 1.5
# Seconds for starting a chunk's processes, where no chunk has told.
_START = 30.0
# Slurm's clock: a warning may come so many seconds early, says the manual of sbatch on --signal.
_EARLY = 60.0
_NO_SAMPLES: Mapping[int, int] = MappingProxyType({})


@final
@dataclass(frozen=True)
class ChunkCost:
    """What a chunk costs.

    Attributes
    ----------
    start : seconds for everything beside its samples: processes, mesh, first set-ups
    sample : seconds of each sample
    """

    start: float
    sample: float

    def seconds(self, samples: int) -> float:
        """Return the seconds of a chunk with so many samples left."""
        return self.start + samples * self.sample


def learned_cost(
    samples: Sequence[float], starts: Sequence[float] = (), quantile: float = QUANTILE
) -> ChunkCost | None:
    """Return what a further chunk costs at most, with the probability `quantile`.

    Parameters
    ----------
    samples : seconds of samples that are committed
    starts : seconds that chunks took beside their samples
    quantile : between 0 and 1

    Returns
    -------
    ChunkCost or None
        None if nothing was computed yet.
    """
    if not samples:
        return None
    start = cautious(starts, quantile) if starts else _START
    return ChunkCost(start, cautious(samples, quantile))


def cautious(values: Sequence[float], quantile: float) -> float:
    r"""Return a value that the next one exceeds with probability :math:`1 - q` at most.

    Of n values and a further one of the same kind, each is the k-th smallest with the same
    probability: the further one is not above the k-th of the others with probability
    :math:`k / (n + 1)`, whatever its distribution. Too few values have no such k; then the largest
    is taken half as much again, without a proof.

    Source: Wilks (1941), 10.1214/aoms/1177731788.

    Parameters
    ----------
    values : at least one
    quantile : q, between 0 and 1
    """
    place = math.ceil(quantile * (len(values) + 1))
    ordered = sorted(max(value, 0.0) for value in values)
    return ordered[place - 1] if place <= len(ordered) else _FEW * ordered[-1]


def packed(costs: Sequence[float], seconds: float, most: int) -> tuple[int, ...]:
    """Return how many chunks each job takes: neighbours, as many as fit, and at least one.

    Parameters
    ----------
    costs : seconds of each chunk, in their order
    seconds : that a job has
    most : chunks of a job
    """
    counts: list[int] = []
    used = 0.0
    for cost in costs:
        if counts and counts[-1] < most and used + cost <= seconds:
            counts[-1] += 1
            used += cost
        else:
            counts.append(1)
            used = cost
    return tuple(counts)


@final
@dataclass(frozen=True)
class Packing:
    """How the chunks of a round are put into jobs.

    Attributes
    ----------
    pack : chunks of a job, or ``auto``: as many as fit into its walltime by what was learned, and
        one each as long as nothing was
    grace : seconds before the walltime at which a job is closed
    cost : what was learned
    samples : samples that are left in each chunk, by its number
    side_by_side : jobs that run at once; chunks are packed only beyond so many. None: not known
    """

    pack: Pack = "auto"
    grace: int = 0
    cost: ChunkCost | None = None
    samples: Mapping[int, int] = field(default_factory=lambda: _NO_SAMPLES)
    side_by_side: int | None = None

    def counts(self, chunks: Sequence[int], attempt: Attempt) -> tuple[int, ...]:
        """Return how many of these chunks each job takes.

        Parameters
        ----------
        chunks : their numbers, in their order
        attempt : what each of the jobs asks for
        """
        if attempt.alone:
            return (1,) * len(chunks)
        if isinstance(self.pack, int):
            return packed([0.0] * len(chunks), math.inf, self.pack)
        if self.cost is None or any(chunk not in self.samples for chunk in chunks):
            return (1,) * len(chunks)
        costs = [self.cost.seconds(self.samples[chunk]) for chunk in chunks]
        room = attempt.resources.seconds - self.grace - _EARLY
        most = math.ceil(len(chunks) / (self.side_by_side or 1))
        return packed(costs, room, most)
