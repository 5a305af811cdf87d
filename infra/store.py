"""The interface of a store of snapshots: what every backend promises.

A sample is in one of three states: missing, committed or failed. Readers see committed samples
only. A sample is committed at most once, whoever tries, and a killed process leaves its sample
either committed or missing.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from infra.description import DatasetDescription
from infra.errors import StoreError
from infra.records import CommitRecord, FailureRecord, Sample
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
        """All samples of the study, committed or not."""
        return self.description.samples

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
    def _read(self, index: int, name: str, frame: int | None) -> np.ndarray: ...

    def _require_known(self, sample: Sample) -> None:
        n_sample = len(self.samples)
        if not 0 <= sample.index < n_sample:
            raise StoreError(
                f"Expected a sample index from 0 to {n_sample - 1}; received {sample.index}."
            )
        known = self.samples[sample.index]
        if (dict(known.mu), known.seed) != (dict(sample.mu), sample.seed):
            raise StoreError(
                f"Expected the dataset's {known}; received {sample}. "
                "Take the samples from the store, or create a dataset for the new study."
            )

    def _require_committed(self, index: int) -> None:
        if not self.is_committed(index):
            raise StoreError(
                f"Expected a committed sample; received {index}. "
                "`committed()` lists them; compute this one first."
            )
