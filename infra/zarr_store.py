"""A dataset as plain Zarr v3 on a POSIX file system, with its records beside it.

The Zarr library is loaded when arrays are created or read; writing samples does not need it.
"""

import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, final

import numpy as np

from infra.description import ArraySpec, DatasetDescription, difference
from infra.draws import Draws
from infra.errors import ChecksumError, StoreError, StoreMismatchError, storage_errors
from infra.files import (
    FileLock,
    flush_folder,
    flush_tree,
    locked,
    require_space,
    write_durably,
)
from infra.layout import Layout, required_bytes
from infra.paths import DatasetPaths
from infra.records import CommitRecord, DrawRecord, FailureRecord, Sample, from_json, to_json
from infra.shard import BloscSettings
from infra.store import SnapshotStore
from infra.stream import TrajectorySink
from infra.zarr_sink import ZarrSink

if TYPE_CHECKING:
    from zarr import Array
    from zarr.core.metadata import ArrayV3Metadata

__all__ = ["ZarrStore", "open_store"]


def open_store(root: Path) -> "ZarrStore":
    """Open an existing dataset.

    Parameters
    ----------
    root
        The folder of the dataset, which holds ``data.zarr``.

    Returns
    -------
    ZarrStore
        The store; its `description` has been read.

    Raises
    ------
    StoreError
        If there is no dataset, or it was damaged.
    """
    store = ZarrStore(root)
    store.description  # noqa: B018 -- a missing dataset shall be noticed here, not later
    return store


@final
class ZarrStore(SnapshotStore):
    """Store of one dataset in a folder; any number of processes may use it at once.

    Parameters
    ----------
    root
        The folder; it need not exist before `create`.
    """

    def __init__(self, root: Path) -> None:
        self._paths = DatasetPaths(Path(root))
        self._codec = BloscSettings()
        self._arrays: dict[str, Array[ArrayV3Metadata]] = {}
        self._draws = Draws(self._paths)
        self._described: DatasetDescription | None = None

    @property
    def paths(self) -> DatasetPaths:
        """All paths of the dataset."""
        return self._paths

    @property
    def description(self) -> DatasetDescription:
        """What the dataset holds; read once, since only later draws are added to it.

        Those that came after the first look are seen when `samples` is asked for.
        """
        if self._described is None:
            self._described = self._as_created()
            self._look()
        return self._described

    @property
    def samples(self) -> tuple[Sample, ...]:
        """All samples of the study, with what was drawn by now."""
        self._look()
        return self.description.samples

    def _look(self) -> None:
        """Add what was drawn since the last look; without samples left to draw, nothing is read."""
        described = self.description
        if described.undrawn:
            fresh = self._draws.fresh()
            if fresh:
                drawn = (sample for record in fresh for sample in record.samples)
                self._described = described.with_draws(drawn)

    def _as_created(self) -> DatasetDescription:
        with storage_errors(self._paths.root):
            if not self._paths.data.exists():
                raise StoreError(
                    f"Expected a dataset in {self._paths.root}; there is no {self._paths.data}. "
                    "Create it, or give the right folder."
                )
            described = DatasetDescription.from_json(self._present(self._paths.layout))
            metadata = self._present(self._paths.data / "zarr.json")
        stored = _layout_digest(metadata)
        if stored != described.digest:
            raise StoreError(
                f"Expected the layout {stored} of {self._paths.data}; received "
                f"{described.digest} in {self._paths.layout}. Restore the file that was changed."
            )
        return described

    def create(self, layout: Layout) -> None:
        """Create the dataset, see `SnapshotStore.create`."""
        with storage_errors(self._paths.root):
            for folder in self._paths.folders:
                folder.mkdir(parents=True, exist_ok=True)
            with locked(self._paths.dataset_lock):
                if not self._paths.data.exists():
                    self._build(layout)
        found = difference(self.description, layout.description)
        if found is not None:
            raise StoreMismatchError(*found)

    def committed(self) -> frozenset[int]:
        """Return the indices of the committed samples."""
        return self._paths.indices(self._paths.commits)

    def is_committed(self, index: int) -> bool:
        """Return whether this sample has a commit record."""
        return self._paths.commit(index).exists()

    def failures(self) -> Mapping[int, FailureRecord]:
        """Return the failure records of the samples that are not committed, by index."""
        committed = self.committed()
        return dict(self._failures(committed))

    def is_failed(self, index: int) -> bool:
        """Return whether this sample has a failure record and is not committed.

        Looks at two names only: lists of a million records would cost more than the sample.
        """
        return self._paths.failure(index).exists() and not self.is_committed(index)

    def record(self, index: int) -> CommitRecord:
        """Return the commit record of a sample."""
        self._require_committed(index)
        with storage_errors(self._paths.commits):
            return from_json(CommitRecord, self._paths.commit(index).read_bytes())

    def draws(self) -> tuple[DrawRecord, ...]:
        """Return what was drawn since the creation."""
        self._look()
        return self._draws.known()

    def forgive(self, indices: Iterable[int]) -> None:
        """Remove the failure records of these samples."""
        with storage_errors(self._paths.failures):
            for index in indices:
                self._paths.failure(index).unlink(missing_ok=True)

    def static(self, name: str) -> np.ndarray:
        """Read an array that was written at creation."""
        names = [array.name for array in self.description.static]
        if name not in names:
            raise StoreError(f"Expected one of {names}; received {name!r}.")
        return np.asarray(self._array(name)[...])

    def verify(self, index: int) -> None:
        """Compute the checksums of a committed sample again, one frame at a time."""
        record = self.record(index)
        for name, spec in self.description.specs.items():
            expected = record.checksums.get(name, "none")
            received = self._checksum(index, spec)
            if received != expected:
                raise ChecksumError(
                    f"`{name}` of sample {index}: expected SHA-256 {expected}; received "
                    f"{received}. The stored data were changed: remove "
                    f"{self._paths.commit(index)} and compute the sample again."
                )

    def finalise(self) -> None:
        """Write the status of all samples, and remove what dead attempts left."""
        from infra.zarr_format import STATUS_MEANINGS, write_status

        with storage_errors(self._paths.root), locked(self._paths.dataset_lock):
            if self.draws():  # a writer may have died before its columns
                self._write_parameters()
            status = np.zeros(len(self.samples), np.int8)
            status[sorted(self.failures())] = STATUS_MEANINGS.index("failed")
            status[sorted(self.committed())] = STATUS_MEANINGS.index("committed")
            write_status(self._paths.data, status)
            self._remove_leftovers()
            for index, folder in self._paths.attempts():
                self._remove_if_dead(index, folder)

    def _sink(self, sample: Sample) -> TrajectorySink:
        return ZarrSink(self.description, sample, self._paths, self._codec)

    def _fail(self, record: FailureRecord) -> None:
        final_path = self._paths.failure(record.sample.index)
        staged = self._paths.staged_failure(uuid.uuid4().hex)
        with storage_errors(final_path), locked(self._paths.dataset_lock):
            write_durably(staged, to_json(record).encode())
            staged.replace(final_path)
            flush_folder(final_path.parent)

    def _draw(self, record: DrawRecord) -> None:
        with storage_errors(self._paths.draws), locked(self._paths.dataset_lock):
            known = self.samples  # another process may just have drawn
            for sample in record.samples:
                self._require_drawable(sample, known)
            undrawn = self.description.undrawn
            left = tuple(sample for sample in record.samples if sample.index in undrawn)
            if left:
                self._draws.write(replace(record, samples=left))
            self._write_parameters()

    def _write_parameters(self) -> None:
        from infra.zarr_format import write_parameters

        self._look()
        write_parameters(self._paths.data, self.description)

    def _read(self, index: int, name: str, frame: int | None) -> np.ndarray:
        array = self._array(name)
        shard = self._paths.shard(self.description.specs[name], index)
        try:
            with storage_errors(self._paths.data):
                shard.stat()  # Zarr would give fill values for a shard that is gone
                return np.asarray(array[index] if frame is None else array[index, frame])
        except (FileNotFoundError, RuntimeError, ValueError) as error:
            raise ChecksumError(
                f"`{name}` of sample {index}: expected the committed data in {shard}; they cannot "
                f"be decoded ({error}). Restore them, or remove {self._paths.commit(index)} and "
                "compute the sample again."
            ) from error

    def _array(self, name: str) -> "Array[ArrayV3Metadata]":
        from infra.zarr_format import open_array

        if name not in self._arrays:
            with storage_errors(self._paths.data):
                self._arrays[name] = open_array(self._paths.data, name)
        return self._arrays[name]

    def _present(self, path: Path) -> bytes:
        """Read one of the files without which there is no dataset."""
        try:
            return path.read_bytes()
        except FileNotFoundError as error:
            raise StoreError(
                f"Expected {path} beside {self._paths.data}; it is gone. Restore it."
            ) from error

    def _build(self, layout: Layout) -> None:
        """Build the hierarchy aside and rename it: it is complete as soon as it is visible."""
        from infra.zarr_format import write_hierarchy

        if self.committed():
            raise StoreError(
                f"Expected {self._paths.data} beside the commit records in "
                f"{self._paths.commits}; it is gone. Restore it, or remove {self._paths.root}."
            )
        require_space(self._paths.root, required_bytes(layout))
        self._remove_leftovers()
        building = self._paths.creation(uuid.uuid4().hex)
        building.mkdir()
        write_hierarchy(building / "data.zarr", layout, self._codec)
        write_durably(building / "layout.json", layout.description.to_json().encode())
        flush_tree(building)
        (building / "layout.json").replace(self._paths.layout)
        (building / "data.zarr").rename(self._paths.data)
        flush_folder(self._paths.root)
        building.rmdir()

    def _failures(self, committed: frozenset[int]) -> Iterator[tuple[int, FailureRecord]]:
        for index in sorted(self._paths.indices(self._paths.failures) - committed):
            try:
                text = self._paths.failure(index).read_bytes()
            except FileNotFoundError:
                continue  # a commit has just removed it
            yield index, from_json(FailureRecord, text)

    def _checksum(self, index: int, spec: ArraySpec) -> str:
        frames = range(len(self.description.times)) if self._by_frame(spec) else [None]
        digest = hashlib.sha256()
        little_endian = np.dtype(spec.dtype).newbyteorder("<")
        try:
            for frame in frames:
                values = self._read(index, spec.name, frame)
                digest.update(np.ascontiguousarray(values, little_endian).data)
        except ChecksumError as error:
            return f"none, since it cannot be decoded ({error.__cause__})"
        return digest.hexdigest()

    @staticmethod
    def _by_frame(spec: ArraySpec) -> bool:
        return spec.streamed and not spec.series

    def _remove_leftovers(self) -> None:
        """Remove what killed creations and failure records left; needs the dataset's lock."""
        for path in self._paths.leftovers():
            if path.is_dir():
                rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def _remove_if_dead(self, index: int, folder: Path) -> None:
        """Remove an attempt's folder unless its process lives, which then holds the lock."""
        lock = FileLock(self._paths.lock(index))
        if lock.acquire(wait=False):
            try:
                rmtree(folder, ignore_errors=True)
            finally:
                lock.release()


def _layout_digest(metadata: bytes) -> str | None:
    """Return the digest in the root's metadata; None if it holds none, for it was damaged."""
    try:
        return json.loads(metadata)["attributes"]["layout_digest"]
    except (ValueError, KeyError, TypeError):
        return None
