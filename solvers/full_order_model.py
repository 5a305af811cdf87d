"""The interface of full-order models: one sample in, its values into a sink, a report out."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from infra.records import Sample, SolveReport
from infra.stream import TrajectorySink

__all__ = ["FullOrderModel", "Progress"]

# Called on rank 0 after each frame with its number.
type Progress = Callable[[int], None]


class FullOrderModel(ABC):
    """A problem on the ranks of a communicator, ready to solve one sample after another."""

    @abstractmethod
    def solve(
        self, sample: Sample, sink: TrajectorySink | None, progress: Progress | None = None
    ) -> SolveReport:
        """Compute a trajectory; collective.

        Parameters
        ----------
        sample : parameters and seed
        sink : an entered sink on rank 0, None on the others; it is not committed here
        progress : called on rank 0 after each frame

        Raises
        ------
        SampleError
            If this sample cannot be computed; `reason` says why.
        """

    def expect(  # noqa: B027 - only some can use it
        self, samples: Sequence[Sample]
    ) -> None:
        """Learn which samples are going to be computed next, in this order; collective."""

    def state(self) -> Mapping[str, Any] | None:
        """Return what has been learned about solving, as JSON-able values; None for nothing."""
        return None

    def restore(self, state: Mapping[str, Any]) -> None:  # noqa: B027 - only some learn
        """Go on with what a model of the same problem has learned; collective.

        What does not fit is not used: learning then begins anew.
        """

    @property
    @abstractmethod
    def options(self) -> Mapping[str, str]:
        """Solver options as used."""
