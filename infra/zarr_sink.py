"""The sink that streams one sample into its shards of a Zarr dataset.

Order of the steps, so that a kill at any point leaves the sample committed or invisible:

1. entering takes the sample's lock, then looks for a commit record;
2. frames go to unfinished shards in the attempt's staging folder;
3. the commit finishes all shards (index, flush), then moves them into the Zarr hierarchy;
4. only then the commit record is linked into place: `link` fails if there is one already;
5. the failure record, the staging folder and the lock go away.
"""

import os
import shutil
import uuid
from collections.abc import Mapping
from typing import final

import numpy as np

from infra.description import ArraySpec, DatasetDescription
from infra.errors import storage_errors
from infra.files import FileLock, flush_folder, write_durably
from infra.moments import NOTHING, ArrayStatistics, merge, statistics_of
from infra.paths import DatasetPaths
from infra.records import CommitRecord, Provenance, Sample, SolveReport, to_json
from infra.shard import BloscSettings, ShardWriter
from infra.stream import TrajectorySink

__all__ = ["ZarrSink"]


@final
class ZarrSink(TrajectorySink):
    """Streams one sample into a Zarr dataset; at most one encoded frame is in memory.

    Parameters
    ----------
    description, sample
        As in `TrajectorySink`.
    paths
        The dataset, which exists.
    codec
        Compression, as in the metadata of the arrays.
    """

    def __init__(
        self,
        description: DatasetDescription,
        sample: Sample,
        paths: DatasetPaths,
        codec: BloscSettings,
    ) -> None:
        super().__init__(description, sample)
        self._paths = paths
        self._codec = codec
        self._lock = FileLock(paths.lock(sample.index))
        self._staging = paths.attempt(sample.index, uuid.uuid4().hex)
        self._writers: dict[str, ShardWriter] = {}
        self._series: dict[str, np.ndarray] = {}
        self._statistics: dict[str, ArrayStatistics] = {}

    def _enter(self) -> bool:
        self._lock.acquire()
        try:
            if self._committed():
                return True
            self._open_shards()
        except BaseException:
            # `with` calls __exit__ only after a successful __enter__.
            self._leave()
            raise
        return False

    def _write(self, frame: int, values: Mapping[str, np.ndarray]) -> None:
        for name, value in values.items():
            if name in self._series:
                self._series[name][frame] = value
            else:
                self._append(name, value)

    def _put(self, name: str, values: np.ndarray) -> None:
        self._append(name, values)

    def _append(self, name: str, values: np.ndarray) -> None:
        stored = np.asarray(values, self._description.specs[name].dtype)
        self._writers[name].append(stored)
        known = self._statistics.get(name, NOTHING)
        self._statistics[name] = merge(known, statistics_of(stored))

    def _commit(self, report: SolveReport, provenance: Provenance) -> bool:
        for name, values in self._series.items():
            self._append(name, values)
        checksums = {name: writer.finish() for name, writer in self._writers.items()}
        # Where the file system loses locks, another attempt may have been faster.
        if self._committed():
            return False
        for name, writer in self._writers.items():
            spec = self._description.specs[name]
            writer.publish(self._paths.shard(spec, self._sample.index))
        return self._publish(
            CommitRecord(self._sample, checksums, report, provenance, self._statistics)
        )

    def _leave(self) -> None:
        try:
            for writer in self._writers.values():
                writer.discard()
            shutil.rmtree(self._staging, ignore_errors=True)
        finally:
            self._lock.release()

    def _committed(self) -> bool:
        return self._paths.commit(self._sample.index).exists()

    def _open_shards(self) -> None:
        with storage_errors(self._staging):
            self._staging.mkdir()
        for spec in self._description.arrays:
            if spec.series:
                shape = self._description.sample_shape(spec)
                self._series[spec.name] = np.empty(shape, spec.dtype)
            self._writers[spec.name] = self._writer(spec)

    def _writer(self, spec: ArraySpec) -> ShardWriter:
        whole = not spec.streamed or spec.series
        described = self._description
        return ShardWriter(
            self._staging / spec.name,
            described.sample_shape(spec) if whole else described.frame_shape(spec),
            spec.dtype,
            1 if whole else len(described.times),
            self._codec,
        )

    def _publish(self, record: CommitRecord) -> bool:
        final_path = self._paths.commit(self._sample.index)
        with storage_errors(final_path):
            staged = self._staging / "commit.json"
            write_durably(staged, to_json(record).encode())
            try:
                os.link(staged, final_path)
            except FileExistsError:
                return False
            flush_folder(final_path.parent)
            self._paths.failure(self._sample.index).unlink(missing_ok=True)
        return True
