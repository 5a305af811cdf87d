"""Statistics of a dataset: from its commit records, or in one pass through its values."""

from collections.abc import Iterator, Mapping
from functools import reduce

import numpy as np

from infra.description import ArraySpec
from infra.errors import StoreError
from infra.moments import NOTHING, ArrayStatistics, merge, statistics_of
from infra.store import SnapshotStore

__all__ = ["ArrayStatistics", "dataset_statistics", "merge", "statistics_of"]


def dataset_statistics(store: SnapshotStore) -> Mapping[str, ArrayStatistics]:
    """Return the statistics of every array over all committed samples.

    Parameters
    ----------
    store
        The dataset. Samples of earlier versions, whose records hold no statistics, are read; one
        frame of one array is in memory at a time.

    Returns
    -------
    mapping
        Statistics by name of the array.

    Raises
    ------
    StoreError
        If no sample is committed.
    """
    committed = sorted(store.committed())
    if not committed:
        raise StoreError("Expected committed samples; received none. Compute some first.")
    found = dict.fromkeys(store.description.specs, NOTHING)
    for index in committed:
        known = store.record(index).statistics
        for name, spec in store.description.specs.items():
            found[name] = merge(found[name], known.get(name) or _read(store, spec, index))
    return found


def _read(store: SnapshotStore, spec: ArraySpec, sample: int) -> ArrayStatistics:
    return reduce(merge, map(statistics_of, _pieces(store, spec, sample)))


def _pieces(store: SnapshotStore, spec: ArraySpec, sample: int) -> Iterator[np.ndarray]:
    if spec.streamed and not spec.series:
        for frame in range(len(store.description.times)):
            yield store.read(sample, spec.name, frame)
    else:
        yield store.read(sample, spec.name)
