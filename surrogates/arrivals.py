"""One accepted frame on its way to the trainer, and the design that says what may come."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from infra.description import DatasetDescription
from infra.errors import UserError
from infra.streaming.frames import FrameKey, StreamSpec, stream_spec

__all__ = ["Arrival", "Design", "HeldOut", "design_of"]


@final
@dataclass(frozen=True, eq=False)
class Arrival:
    """One accepted frame.

    Attributes
    ----------
    number
        Accepted frames are numbered 0, 1, 2, ... in the order of their lines in the ledger.
    key
        Sample, attempt and number of the output time.
    values
        All fields one after the other, shape (n,) float32, read-only.
    mu
        Parameters in the order of `Design.names`, shape (p,) float64.
    time
        The output time; 0 for a steady problem.
    """

    number: int
    key: FrameKey
    values: NDArray[np.float32]
    mu: NDArray[np.float64]
    time: float


@final
@dataclass(frozen=True, eq=False)
class HeldOut:
    """A whole trajectory that is never trained on.

    Attributes
    ----------
    sample
        Number of the sample.
    mu
        Parameters in the order of `Design.names`, shape (p,) float64.
    times
        Output times, shape (T,) float64; ``[0.0]`` for a steady problem.
    values
        The frames, shape (T, n) float32.
    """

    sample: int
    mu: NDArray[np.float64]
    times: NDArray[np.float64]
    values: NDArray[np.float32]


@final
@dataclass(frozen=True, eq=False)
class Design:
    """What may come: which samples, with which parameters, at which times.

    Attributes
    ----------
    names
        Names of the parameters.
    times
        Output times, at least one; ``(0.0,)`` for a steady problem.
    n_values
        Size of a frame.
    training, validation
        Numbers of the samples that are trained on, and of those that never are.
    mus
        Parameters by sample, shape (p,) float64, where they are known beforehand. Those of a
        sample that is drawn later come with its frames.

    Raises
    ------
    UserError
        If a sample is in both sets, or there is nothing to train on.
    """

    names: tuple[str, ...]
    times: tuple[float, ...]
    n_values: int
    training: frozenset[int]
    validation: frozenset[int]
    mus: Mapping[int, NDArray[np.float64]]

    def __post_init__(self) -> None:
        both = sorted(self.training & self.validation)
        if both or not self.training or not self.times or self.n_values < 1:
            raise UserError(
                "Expected samples to train on, other samples to validate with, and frames; "
                f"received {len(self.training)} samples to train on, {both[:5]} in both sets, "
                f"{len(self.times)} frames of {self.n_values} values. Choose the validation "
                "samples among those of the study, fewer than all."
            )

    @property
    def samples(self) -> frozenset[int]:
        """All samples."""
        return self.training | self.validation

    @property
    def n_frames(self) -> int:
        """Frames of each sample."""
        return len(self.times)

    def mu(self, sample: int, announced: Mapping[str, float]) -> NDArray[np.float64] | None:
        """Return the parameters of a sample, shape (p,).

        Parameters
        ----------
        sample
            Its number.
        announced
            What its client says; empty if it says nothing.

        Returns
        -------
        ndarray or None
            None if they are unknown, incomplete, or contradict those that are known.
        """
        known = self.mus.get(sample)
        if not announced:
            return known
        if not set(self.names) <= set(announced):
            return None
        mu = np.array([announced[name] for name in self.names], dtype=np.float64)
        agrees = known is None or np.allclose(mu, known, rtol=1e-9, atol=0.0)
        return mu if agrees and np.isfinite(mu).all() else None


def design_of(description: DatasetDescription, validation: frozenset[int]) -> Design:
    """Return the design of a dataset.

    Parameters
    ----------
    description
        The dataset.
    validation
        Samples that are never trained on.

    Raises
    ------
    UserError
        If one of them is not a sample of the dataset, or nothing remains to train on.
    """
    indices = frozenset(sample.index for sample in description.samples)
    if unknown := sorted(validation - indices):
        raise UserError(
            f"Expected validation samples among the {len(indices)} of {description.name}; "
            f"received {unknown[:5]}."
        )
    spec: StreamSpec = stream_spec(description)
    names = tuple(column.name for column in description.parameters)
    mus = {
        sample.index: np.array([sample.mu[name] for name in names], dtype=np.float64)
        for sample in description.drawn
    }
    times = description.times or (0.0,)
    return Design(names, times, spec.n_values, indices - validation, validation, mus)
