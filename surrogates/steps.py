"""The step protocol: what is done next is said by one process, and done by all.

The first process (rank 0) owns reception, reservoir and budget; it alone draws. It announces each
step by one small broadcast: the code, the learning rate and the slots of the batch. Every process
then reads its part of the batch out of the shared pool and takes part in the same collectives, so

- nobody can wait for a partner that has gone another way: there is no other way;
- no item is lost, whatever batch and number of processes: parts are a partition of the batch, and
  a process without an item takes one with weight zero;
- the number of processes does not change what is drawn, and changes the weights by rounding only.
"""

from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor

from surrogates.batch import Batch
from surrogates.draws import Slots
from surrogates.learner import Learner
from surrogates.pool import Pool

__all__ = ["LocalSteps", "Steps", "part_of", "take_part"]


class Steps(ABC):
    """Carries out what the trainer decides.

    Attributes
    ----------
    learner
        This process's replica.
    """

    learner: Learner

    @abstractmethod
    def step(self, slots: Slots, rate: float, observe: bool) -> None:
        """Take one gradient step.

        Parameters
        ----------
        slots
            Places of the batch in the pool, at least one.
        rate
            Learning rate.
        observe
            Whether the normalisation follows this batch; once it does not, it is frozen.
        """

    @abstractmethod
    def item_losses(self) -> Tensor:
        """Return the loss of each item of the last step before that step, in its slots' order.

        Returns
        -------
        Tensor
            Shape (B,), on any device; empty unless the steps were opened to keep them.
        """

    @abstractmethod
    def mean_loss(self) -> float:
        """Return the mean loss of the steps since the last call; not a number without any."""

    @abstractmethod
    def keep_alive(self) -> None:
        """Say that there is nothing to do yet; call it now and then while waiting.

        Raises
        ------
        RankLostError
            If another process is gone.
        """

    def pause(self) -> None:  # noqa: B027 - most have nothing to do
        """Do what is due before the trainer waits for data; called often."""

    @abstractmethod
    def require_agreement(self) -> None:
        """Check that all processes hold the same weights, bit for bit.

        Raises
        ------
        TrainingError
            If they do not.
        """

    @abstractmethod
    def close(self) -> None:
        """End the other processes in order; call it also after an error."""


@final
class LocalSteps(Steps):
    """The protocol of one process.

    Parameters
    ----------
    learner
        The replica.
    pool
        Where the items are.
    """

    def __init__(self, learner: Learner, pool: Pool) -> None:
        self.learner = learner
        self._pool = pool

    def step(self, slots: Slots, rate: float, observe: bool) -> None:
        """Take one gradient step; see `Steps.step`."""
        take_part(self.learner, self._pool.gather(slots), 0, 1, rate, observe)

    def item_losses(self) -> Tensor:
        """Return the losses of the items; see `Steps.item_losses`."""
        return self.learner.item_losses

    def mean_loss(self) -> float:
        """Return the mean loss; see `Steps.mean_loss`."""
        total, count = self.learner.losses().tolist()
        self.learner.forget_losses()
        return total / count if count else float("nan")

    def keep_alive(self) -> None:
        """Do nothing."""

    def require_agreement(self) -> None:
        """Do nothing: there is one replica."""

    def close(self) -> None:
        """Do nothing."""


def take_part(
    learner: Learner, whole: Batch, rank: int, ranks: int, rate: float, observe: bool
) -> None:
    """Take one process's part of a step.

    Parameters
    ----------
    learner
        Its replica.
    whole
        The whole batch, which every process sees: the normalisation must be the same on all.
    rank, ranks
        Which process, of how many.
    rate, observe
        As in `Steps.step`.
    """
    learner.observe(whole, observe)
    learner.learn(_part(whole, rank, ranks), whole.weight.sum(), rate)


def part_of(size: int, rank: int, ranks: int) -> tuple[int, int]:
    """Return where this process's items of a batch of `size` begin and end."""
    return size * rank // ranks, size * (rank + 1) // ranks


def _part(whole: Batch, rank: int, ranks: int) -> Batch:
    """Return this process's items, or the first one with weight zero if there is none."""
    start, stop = part_of(whole.size, rank, ranks)
    if start < stop:
        return whole.part(start, stop)
    first = whole.part(0, 1)
    nothing: Tensor = torch.zeros_like(first.weight)
    return Batch(first.inputs, first.state, first.target, nothing)
