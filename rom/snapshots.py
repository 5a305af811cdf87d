"""Solutions of a study as a reduced model reads them: one trajectory after the other.

A trajectory is the solution for one parameter vector at all output times, one row per time; each
row is a frame, all fields behind each other in the order of the dataset's stream. A steady
problem has trajectories of one row, at the time 0.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError
from infra.field_space import FieldSpace
from rom.sample_choice import chosen_samples

__all__ = ["Progress", "Snapshots", "StudyFrame", "Trajectory"]

type _Floats = NDArray[np.float64]
# Called with the number of trajectories that were read, and of those that will be.
type Progress = Callable[[int, int], None]


@final
@dataclass(frozen=True, eq=False)
class Trajectory:
    """The solution for one parameter vector.

    Attributes
    ----------
    index
        Index of the sample in its dataset.
    mu
        Parameters, shape (p,), in their units and the order of `Snapshots.names`.
    times
        Output times, shape (T,), s; (1,) with 0 for a steady problem.
    values
        Frames, shape (T, n), each in the units of its fields.
    """

    index: int
    mu: _Floats
    times: _Floats
    values: _Floats


@final
@dataclass(frozen=True, eq=False)
class StudyFrame:
    """What all trajectories of a study have in common.

    Attributes
    ----------
    space
        Where the values of a frame live.
    names, units
        Names and units of the p parameters.
    bounds
        Low and high bound of each parameter, shape (p, 2), in its units.
    times
        Output times, shape (T,), s; (1,) with 0 for a steady problem.
    quantity_units
        Units of the quantities of interest, by name.
    """

    space: FieldSpace
    names: tuple[str, ...]
    units: tuple[str, ...]
    bounds: _Floats
    times: _Floats
    quantity_units: Mapping[str, str]


class Snapshots(ABC):
    """Trajectories of one study on one mesh and one grid of times.

    The public methods check; a subclass gives the private hooks.

    Parameters
    ----------
    study
        What the trajectories have in common.
    indices
        Indices of the samples, in the order of reading.
    """

    def __init__(self, study: StudyFrame, indices: tuple[int, ...]) -> None:
        self._study = study
        self._indices = indices

    @property
    def space(self) -> FieldSpace:
        """Where the values of a frame live."""
        return self._study.space

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the p parameters."""
        return self._study.names

    @property
    def units(self) -> tuple[str, ...]:
        """Units of the parameters."""
        return self._study.units

    @property
    def bounds(self) -> _Floats:
        """Low and high bound of each parameter, shape (p, 2), in its units."""
        return self._study.bounds

    @property
    def times(self) -> _Floats:
        """Output times, shape (T,), s; (1,) with 0 for a steady problem."""
        return self._study.times

    @property
    def indices(self) -> tuple[int, ...]:
        """Indices of the samples, in the order of reading."""
        return self._indices

    @property
    def quantity_units(self) -> Mapping[str, str]:
        """Units of the quantities of interest, by name."""
        return self._study.quantity_units

    def subset(self, indices: Iterable[int]) -> Self:
        """Return only these samples, in this order; for example to leave some out.

        Raises
        ------
        UserError
            If there is none, one twice, or one that is not in `indices`.
        """
        other = copy(self)
        other._indices = chosen_samples(indices, self._indices)
        return other

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[Trajectory]:
        return map(self.trajectory, self.indices)

    @property
    def n_snapshots(self) -> int:
        """Number of frames of all trajectories."""
        return len(self) * len(self.times)

    @property
    def trajectory_bytes(self) -> int:
        """Bytes of the values of one trajectory."""
        return len(self.times) * self.space.n_values * 8

    @property
    def mus(self) -> _Floats:
        """Parameters of all samples, shape (m, p), in the order of `indices`."""
        return np.array([self.mu(index) for index in self.indices], np.float64)

    def mu(self, index: int) -> _Floats:
        """Return the parameters of a sample, shape (p,).

        Raises
        ------
        UserError
            If the sample is not in `indices`.
        """
        self._require(index)
        return self._mu(index)

    def quantities(self, index: int) -> dict[str, _Floats]:
        """Return the quantities of interest of a sample by name.

        Returns
        -------
        dict
            Shape (T,) for one number per output time, (1,) for one per sample. They may hold
            NaN where the dataset says that a number does not exist.

        Raises
        ------
        UserError
            If the sample is not in `indices`.
        """
        self._require(index)
        return self._quantities(index)

    def trajectory(self, index: int) -> Trajectory:
        """Read one trajectory.

        Raises
        ------
        UserError
            If the sample is not in `indices`, or one of its values is not finite.
        """
        self._require(index)
        values = self._values(index)
        if not np.isfinite(values).all():
            bad = [f for f, s in self.space.slices.items() if not np.isfinite(values[:, s]).all()]
            raise UserError(
                f"Expected finite values in sample {index}; {bad} hold NaN or infinite ones. "
                "Leave the sample out, or compute it again."
            )
        return Trajectory(index, self._mu(index), self.times, values)

    def read(
        self, *, memory: int | None = None, progress: Progress | None = None
    ) -> Iterator[Trajectory]:
        """Read all trajectories, one at a time.

        Parameters
        ----------
        memory
            Bytes that one trajectory may take; None: no limit.
        progress
            Called after each trajectory that was used, with how many were, and of how many.

        Yields
        ------
        Trajectory
            In the order of `indices`.

        Raises
        ------
        UserError
            If `memory` does not hold a trajectory.
        """
        self.require_memory(1, memory)
        for done, trajectory in enumerate(self, 1):
            yield trajectory
            if progress is not None:
                progress(done, len(self))

    def matrix(self, *, memory: int | None = None, progress: Progress | None = None) -> _Floats:
        """Read all frames, shape (m T, n), trajectory behind trajectory.

        Parameters
        ----------
        memory
            Bytes that all frames may take; None: no limit.
        progress
            As in `read`.

        Raises
        ------
        UserError
            If `memory` does not hold them.
        """
        self.require_memory(len(self), memory)
        result = np.empty((self.n_snapshots, self.space.n_values))
        n_times = len(self.times)
        for place, trajectory in enumerate(self.read(progress=progress)):
            result[place * n_times : (place + 1) * n_times] = trajectory.values
        return result

    def require_memory(self, n: int, memory: int | None) -> None:
        """Check that `n` trajectories fit into `memory` bytes.

        Raises
        ------
        UserError
            If they do not.
        """
        needed = n * self.trajectory_bytes
        if memory is not None and needed > memory:
            way = "Use hierarchical POD, which reads one at a time, or allow" if n > 1 else "Allow"
            raise UserError(
                f"Expected at least {needed} bytes of memory for {n} of the trajectories "
                f"({len(self.times)} frames of {self.space.n_values} values each); received "
                f"{memory}. {way} more memory."
            )

    @abstractmethod
    def _mu(self, index: int) -> _Floats: ...

    @abstractmethod
    def _values(self, index: int) -> _Floats: ...

    @abstractmethod
    def _quantities(self, index: int) -> dict[str, _Floats]: ...

    def _require(self, index: int) -> None:
        if index not in self.indices:
            raise UserError(f"Expected one of the samples {self.indices}; received {index}.")
