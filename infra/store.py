"""The interface of a store of snapshots: what every backend promises.

A sample is in one of three states: missing, committed or failed. Readers see committed samples
only. A sample is committed at most once, whoever tries, and a killed process leaves its sample
either committed or missing.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from infra.description import DatasetDescription
from infra.errors import StoreError
from infra.records import CommitRecord, DrawRecord, FailureRecord, Sample
from infra.stream import TrajectorySink

if TYPE_CHECKING:
    from infra.layout import Layout

__all__ = ["SnapshotStore"]


class SnapshotStore(ABC):
    """Trajectories of all samples of one dataset."""

    @abstractmethod
    def create(self, layout: "Layout") -> None:
        """Create the dataset; do nothing if it exists with the same layout.

        A creation that was interrupted is done again.

        Parameters
        ----------
        layout
            The layout.

        Raises
        ------
        StoreMismatchError
            If the dataset exists with another layout.
        StorageFullError, StorageAccessError
            If there is no room for the complete dataset, or the place cannot be written.
        """

    @property
    @abstractmethod
    def description(self) -> DatasetDescription:
        """What the dataset holds.

        Raises
        ------
        StoreError
            If the dataset does not exist.
        """

    @property
    def samples(self) -> tuple[Sample, ...]:
        """All samples of the study, committed or not; one that is drawn later has no `mu` yet."""
        return self.description.samples

    def sample(self, index: int) -> Sample:
        """Return a sample that can be computed.

        Raises
        ------
        StoreError
            If there is none of this index, or it has not been drawn yet.
        """
        samples = self.samples
        if not 0 <= index < len(samples):
            raise StoreError(
                f"Expected a sample index from 0 to {len(samples) - 1}; received {index}."
            )
        if index in self.description.undrawn:
            raise StoreError(
                f"Expected a sample that has been drawn; received {index}, whose parameters are "
                "not known yet. Draw it first: the flow that trains the surrogate does."
            )
        return samples[index]

    @property
    def times(self) -> np.ndarray:
        """Output times, shape (n_time,), seconds; empty for steady problems."""
        return np.array(self.description.times)

    @abstractmethod
    def committed(self) -> frozenset[int]:
        """Return the indices of the samples that have a commit record."""

    @abstractmethod
    def is_committed(self, index: int) -> bool:
        """Return whether this sample has a commit record."""

    @abstractmethod
    def failures(self) -> Mapping[int, FailureRecord]:
        """Return the failure records of the samples that are not committed, by index."""

    def is_failed(self, index: int) -> bool:
        """Return whether this sample has a failure record and is not committed."""
        return index in self.failures()

    @abstractmethod
    def record(self, index: int) -> CommitRecord:
        """Return the commit record of a sample.

        Raises
        ------
        StoreError
            If the sample is not committed.
        """

    def sink(self, sample: Sample) -> TrajectorySink:
        """Return a sink for one sample; entering it takes the sample's lock.

        Parameters
        ----------
        sample
            One of `samples`.

        Returns
        -------
        TrajectorySink
            To be used in a ``with`` block; skip the sample if it is `already_committed`.

        Raises
        ------
        StoreError
            If the dataset has another sample, or none, at this index.
        """
        self._require_known(sample)
        return self._sink(sample)

    def fail(self, record: FailureRecord) -> None:
        """Write down that a sample could not be computed, atomically.

        A later commit of the sample removes the record. Nothing happens if it is committed.

        Parameters
        ----------
        record
            The failure.

        Raises
        ------
        StoreError
            If the dataset has another sample, or none, at this index.
        """
        self._require_known(record.sample)
        if not self.is_committed(record.sample.index):
            self._fail(record)

    @abstractmethod
    def forgive(self, indices: Iterable[int]) -> None:
        """Remove the failure records of these samples, so that they are tried again."""

    def read(self, index: int, name: str, frame: int | None = None) -> np.ndarray:
        """Read an array of one committed sample.

        Parameters
        ----------
        index
            The sample.
        name
            One of the layout's arrays of samples.
        frame
            One frame of a streamed array; None reads all of them.

        Returns
        -------
        numpy.ndarray
            Shape of the layout without ``sample``, and without ``time`` if `frame` is given.

        Raises
        ------
        StoreError
            If the sample is not committed, or there is no such array or frame.
        ChecksumError
            If the data are gone or cannot be decoded; `verify` notices every other change.
        """
        spec = self.description.specs.get(name)
        if spec is None:
            raise StoreError(
                f"Expected one of {sorted(self.description.specs)}; received {name!r}."
            )
        n_time = len(self.description.times)
        if frame is not None and not (spec.streamed and 0 <= frame < n_time):
            expected = f"a frame from 0 to {n_time - 1} of an array with time" if n_time else "none"
            raise StoreError(
                f"Expected {expected}; received frame {frame} of `{name}` with dimensions "
                f"{spec.dims}."
            )
        self._require_committed(index)
        return self._read(index, name, frame)

    def draw(self, record: DrawRecord) -> None:
        """Give samples that were left open at the creation their parameters, all or none.

        Who comes first wins; the same draw again does nothing. The layout's digest stays as it is.

        Parameters
        ----------
        record
            The samples, in order of their index, at least one.

        Raises
        ------
        StoreError
            If one of them was fixed at the creation, was drawn with other parameters before, or
            does not fit the dataset.
        """
        known = self.samples
        for sample in record.samples:
            self._require_drawable(sample, known)
        if not self.description.undrawn.isdisjoint(s.index for s in record.samples):
            self._draw(record)

    @abstractmethod
    def draws(self) -> tuple[DrawRecord, ...]:
        """Return what was drawn since the creation, in order of the first samples."""

    @abstractmethod
    def static(self, name: str) -> np.ndarray:
        """Read an array that was written at creation.

        Raises
        ------
        StoreError
            If there is no such array.
        """

    @abstractmethod
    def verify(self, index: int) -> None:
        """Compute the checksums of the decoded data of a committed sample again.

        Raises
        ------
        ChecksumError
            If an array differs from its commit record or cannot be decoded.
        StoreError
            If the sample is not committed.
        """

    @abstractmethod
    def finalise(self) -> None:
        """Write the status of all samples into the data, and remove what dead attempts left.

        May be called at any time and again, also while samples are computed.
        """

    @abstractmethod
    def _sink(self, sample: Sample) -> TrajectorySink: ...

    @abstractmethod
    def _fail(self, record: FailureRecord) -> None: ...

    @abstractmethod
    def _draw(self, record: DrawRecord) -> None: ...

    @abstractmethod
    def _read(self, index: int, name: str, frame: int | None) -> np.ndarray: ...

    def _require_known(self, sample: Sample) -> None:
        known = self.sample(sample.index)
        if (dict(known.mu), known.seed) != (dict(sample.mu), sample.seed):
            raise StoreError(
                f"Expected the dataset's {known}; received {sample}. "
                "Take the samples from the store, or create a dataset for the new study."
            )

    def _require_drawable(self, sample: Sample, known: tuple[Sample, ...]) -> None:
        columns = {column.name for column in self.description.parameters}
        fits = 0 <= sample.index < len(known) and known[sample.index].seed == sample.seed
        if not fits or set(sample.mu) != columns or not all(map(math.isfinite, sample.mu.values())):
            raise StoreError(
                f"Expected finite values of {sorted(columns)} for a sample of the dataset, with "
                f"its seed; received {sample}. Take index and seed from the store."
            )
        before = dict(known[sample.index].mu)
        if before and before != dict(sample.mu):
            raise StoreError(
                f"Expected sample {sample.index} as it was drawn, {before}; received "
                f"{dict(sample.mu)}. What was drawn stays: take the sample from the store."
            )

    def _require_committed(self, index: int) -> None:
        if not self.is_committed(index):
            raise StoreError(
                f"Expected a committed sample; received {index}. "
                "`committed()` lists them; compute this one first."
            )
