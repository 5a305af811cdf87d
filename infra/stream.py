"""Where a solver sends its frames: the interface, and one sink that keeps them in memory.

A solver knows no storage. It enters a sink, writes frame after frame and commits::

    with store.sink(sample) as sink:
        if not sink.already_committed:
            for frame, values in enumerate(solve(sample.mu)):
                sink.write(frame, values)
            sink.commit(report, provenance)

Leaving the block without a commit, by an exception or not, discards what was written.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self, final

import numpy as np

from infra.description import ArraySpec, DatasetDescription
from infra.errors import StoreError
from infra.records import Provenance, Sample, SolveReport

__all__ = ["MemorySink", "Trajectory", "TrajectorySink"]

type _State = Literal["new", "open", "broken", "closed"]


class TrajectorySink(ABC):
    """Receives the frames of one sample, in order, and commits them as a whole.

    The public methods check and then call one private hook each, which a subclass gives.

    Parameters
    ----------
    description
        The dataset: it fixes the arrays, their shapes and the number of frames.
    sample
        The sample that is computed.
    """

    def __init__(self, description: DatasetDescription, sample: Sample) -> None:
        self._description = description
        self._sample = sample
        self._state: _State = "new"
        self._already_committed = False
        self._frames = 0
        self._missing = {spec.name for spec in description.arrays if not spec.streamed}

    def __enter__(self) -> Self:
        if self._state != "new":
            raise StoreError("Expected a new sink; received one that was used. Ask for another.")
        self._already_committed = self._enter()
        self._state = "open"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.discard()

    @property
    def sample(self) -> Sample:
        """The sample that is computed."""
        return self._sample

    @property
    def already_committed(self) -> bool:
        """Whether the sample was complete when this sink was entered: skip the computation."""
        self._require_open()
        return self._already_committed

    def write(self, frame: int, values: Mapping[str, np.ndarray]) -> None:
        """Append one frame of every streamed array.

        Parameters
        ----------
        frame
            Number of the frame: 0, 1, 2, ... in this order.
        values
            Arrays of the shapes that follow ``(sample, time)`` in the layout, by name; shape
            ``()`` for a series. They are converted to the array's type and may be reused.

        Raises
        ------
        StoreError
            If the frame is out of order, or names, shapes or types differ from the layout.
        StorageFullError, StorageAccessError
            If the frame cannot be written; this attempt can then only be discarded.
        """
        self._require_open()
        n_frames = len(self._description.times)
        if not n_frames:
            raise StoreError(
                f"Expected no frames, since {self._description.name} has no output times; received "
                f"frame {frame}. Put its arrays once per sample."
            )
        if frame != self._frames or frame >= n_frames:
            raise StoreError(
                f"Expected frame {self._frames} of {n_frames}; received frame {frame}. "
                "Write every frame once, in order."
            )
        streamed = {spec.name for spec in self._description.arrays if spec.streamed}
        if set(values) != streamed:
            raise StoreError(
                f"Expected the arrays {sorted(streamed)} in every frame; received {sorted(values)}."
            )
        checked = {name: self._checked(name, value) for name, value in values.items()}
        self._state = "broken"  # until all arrays have the frame: half a frame is no frame
        self._write(frame, checked)
        self._state = "open"
        self._frames += 1

    def put(self, name: str, values: np.ndarray) -> None:
        """Write an array that has no time axis, once per sample.

        Parameters
        ----------
        name
            One of the layout's arrays without ``time``.
        values
            Array of the shape that follows ``sample`` in the layout.

        Raises
        ------
        StoreError
            If the name is unknown or was put before, or shape or type differ.
        StorageFullError, StorageAccessError
            If it cannot be written; this attempt can then only be discarded.
        """
        self._require_open()
        if name not in self._missing:
            raise StoreError(
                f"Expected one of {sorted(self._missing)}, each once; received {name!r}."
            )
        checked = self._checked(name, values)
        self._state = "broken"
        self._put(name, checked)
        self._state = "open"
        self._missing.discard(name)

    def commit(self, report: SolveReport, provenance: Provenance) -> bool:
        """Make the trajectory visible as a whole.

        Parameters
        ----------
        report, provenance
            What goes into the commit record.

        Returns
        -------
        bool
            True if this attempt committed; False if the sample was committed already, in which
            case what was written is discarded.

        Raises
        ------
        StoreError
            If frames or arrays are missing.
        StorageFullError, StorageAccessError
            If the data cannot be published; nothing is visible then.
        """
        self._require_open()
        if not self._already_committed:
            self._require_complete()
        self._state = "broken"
        committed = not self._already_committed and self._commit(report, provenance)
        self.discard()
        return committed

    def discard(self) -> None:
        """Drop what was not committed and free the sample for others; may be called twice."""
        if self._state in ("open", "broken"):
            self._state = "closed"
            self._leave()

    @abstractmethod
    def _enter(self) -> bool:
        """Take the sample for this attempt; return whether it is committed already."""

    @abstractmethod
    def _write(self, frame: int, values: Mapping[str, np.ndarray]) -> None:
        """Append one checked frame."""

    @abstractmethod
    def _put(self, name: str, values: np.ndarray) -> None:
        """Write one checked array."""

    @abstractmethod
    def _commit(self, report: SolveReport, provenance: Provenance) -> bool:
        """Publish; return False if someone else did first."""

    @abstractmethod
    def _leave(self) -> None:
        """Drop everything that is not committed and free the sample."""

    def _require_open(self) -> None:
        if self._state != "open":
            raise StoreError(
                f"Expected an open sink of sample {self._sample.index}; it is {self._state}. "
                "Use it inside its `with` block; after an error start a new attempt."
            )

    def _require_complete(self) -> None:
        n_frames = len(self._description.times)
        streamed = any(spec.streamed for spec in self._description.arrays)
        if (streamed and self._frames != n_frames) or self._missing:
            raise StoreError(
                f"Expected {n_frames} frames and all arrays before the commit of sample "
                f"{self._sample.index}; received {self._frames} frames, without "
                f"{sorted(self._missing)}. Write them, or discard the attempt."
            )

    def _checked(self, name: str, values: np.ndarray) -> np.ndarray:
        spec = self._description.specs[name]
        array = np.asarray(values)
        expected = self._description.frame_shape(spec)
        if array.shape != expected or not np.can_cast(array.dtype, spec.dtype, "same_kind"):
            raise StoreError(
                f"Expected {spec.dtype} of shape {expected} in `{name}`; received "
                f"{array.dtype} of shape {array.shape}."
            )
        # Little-endian and contiguous: these bytes are hashed and stored.
        return np.asarray(array, np.dtype(spec.dtype).newbyteorder("<"), order="C")


@final
@dataclass(frozen=True, eq=False)
class Trajectory:
    """One committed sample in memory.

    Attributes
    ----------
    sample, report, provenance
        As in the commit record.
    values
        Arrays by name, of the layout's shapes without ``sample``.
    """

    sample: Sample
    values: Mapping[str, np.ndarray]
    report: SolveReport
    provenance: Provenance


@final
class MemorySink(TrajectorySink):
    """Keeps the frames in memory: for tests and for consumers in the same process.

    Parameters
    ----------
    description, sample
        As in `TrajectorySink`.
    shelf
        Where committed trajectories go, by sample index; shared by the sinks of one dataset.
    """

    def __init__(
        self,
        description: DatasetDescription,
        sample: Sample,
        shelf: MutableMapping[int, Trajectory],
    ) -> None:
        super().__init__(description, sample)
        self._shelf = shelf
        self._values: dict[str, np.ndarray] = {}

    def _enter(self) -> bool:
        for spec in self._description.arrays:
            self._values[spec.name] = self._empty(spec)
        return self._sample.index in self._shelf

    def _write(self, frame: int, values: Mapping[str, np.ndarray]) -> None:
        for name, value in values.items():
            self._values[name][frame] = value

    def _put(self, name: str, values: np.ndarray) -> None:
        self._values[name][...] = values

    def _commit(self, report: SolveReport, provenance: Provenance) -> bool:
        trajectory = Trajectory(self._sample, self._values, report, provenance)
        return self._shelf.setdefault(self._sample.index, trajectory) is trajectory

    def _leave(self) -> None:
        self._values = {}

    def _empty(self, spec: ArraySpec) -> np.ndarray:
        return np.empty(self._description.sample_shape(spec), spec.dtype)
