"""What the store costs: commits side by side, and what grows with the number of samples."""

import json
import resource
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from _online_pair import Worker

from flows.plan import prepare
from flows.publish import publish
from flows.study import Study, load_study
from infra.records import Provenance, SolveReport
from infra.store import SnapshotStore
from infra.zarr_store import ZarrStore, open_store

__all__ = ["StoreCosts", "measure_store"]

# Processes that commit at once: more than cores, for a commit waits for the disk as well.
_WRITERS = 4
_PATIENCE = 300.0
_REPORT = SolveReport("finished", 1, 1, 1.0, 1.0, {}, {})
_PROVENANCE = Provenance("unknown", False, {}, {}, 0, "here", 1, "2026-01-01", "2026-01-01")


@final
@dataclass(frozen=True)
class StoreCosts:
    """Seconds.

    Attributes
    ----------
    alone : of a commit, its arrays included, if nobody else commits
    shared : what commits side by side may have to do one after another, at most: the time between
        two of them when several processes commit at once, or, if that is less, for how long a
        commit waits for the disk; what the processor works for it is each node's own
    bytes_each : size of a sample on the disk
    prepare, publish : of a study as such, and for each sample
    opening : of opening a dataset, for each of its samples
    looking : of looking whether a sample is left to do, for each that is committed
    """

    alone: float
    shared: float
    bytes_each: float
    prepare: tuple[float, float]
    publish: tuple[float, float]
    opening: float
    looking: float


def measure_store(folder: Path, settings: dict[str, Any], sizes: tuple[int, int]) -> StoreCosts:
    """Prepare, fill and publish a small and a large dataset without solving anything.

    Parameters
    ----------
    folder : an empty folder
    settings : of the study, without samples and places
    sizes : numbers of samples; what grows is taken as a straight line through both
    """
    small, large = (_Dataset(folder, settings, size) for size in sizes)
    prepare_ = _line(sizes, (small.prepared, large.prepared))
    opens = [_fastest(lambda d=d: open_store(d.root)) for d in (small, large)]
    alone, own = small.fill_alone()
    shared = large.fill_together()
    looks = [d.look() for d in (small, large)]
    publish_ = _line(sizes, (small.publish(), large.publish()))
    return StoreCosts(
        alone=alone,
        shared=min(shared, alone - own),
        bytes_each=large.bytes / sizes[1],
        prepare=prepare_,
        publish=publish_,
        opening=_line(sizes, opens)[1],
        looking=_line(sizes, looks)[1],
    )


@final
class _Dataset:
    """A dataset of arbitrary values.

    Parameters
    ----------
    folder, settings : see `measure_store`
    samples : how many
    """

    def __init__(self, folder: Path, settings: dict[str, Any], samples: int) -> None:
        sampling = {**settings["sampling"], "samples": samples}
        places = {"output": str(folder / "out"), "catalog": str(folder / "catalog")}
        path = folder / f"store{samples}.yaml"
        path.write_text(
            json.dumps({**settings, **places, "sampling": sampling, "name": f"store{samples}"})
        )
        self._study: Study = load_study(str(path))
        self._samples = samples
        begun = time.perf_counter()
        prepare(self._study)
        self.prepared = time.perf_counter() - begun

    @property
    def root(self) -> Path:
        return self._study.dataset

    @property
    def bytes(self) -> float:
        files = (self.root / "data.zarr").rglob("*")
        return float(sum(path.stat().st_size for path in files if path.is_file()))

    def fill_alone(self) -> tuple[float, float]:
        """Commit all samples one after another; return the seconds of one, and its processor's."""
        before = _processor()
        seconds = commit_all(self.root, range(self._samples))
        own = _processor() - before
        return seconds / self._samples, min(own, seconds) / self._samples

    def fill_together(self) -> float:
        """Commit all samples from several processes; return seconds over samples."""
        with ExitStack() as stack:
            workers = [stack.enter_context(Worker(place)) for place in range(_WRITERS)]
            for worker in workers:  # Python and libraries are loaded before the time runs
                worker.call(commit_all, _PATIENCE, root=self.root, indices=())
            begun = time.perf_counter()
            for place, worker in enumerate(workers):
                worker.ask(
                    commit_all, root=self.root, indices=range(place, self._samples, _WRITERS)
                )
            for worker in workers:
                worker.answer()
            return (time.perf_counter() - begun) / self._samples

    def look(self) -> float:
        """Return the seconds in which `solvers.worker` sees that a sample is left to do."""
        store = open_store(self.root)

        def look() -> None:
            for index in range(min(self._samples, 50)):
                store.sample(index)
                store.is_committed(index)
                store.is_failed(index)

        return _fastest(look) / min(self._samples, 50)

    def publish(self) -> float:
        begun = time.perf_counter()
        publish(self._study, [])
        return time.perf_counter() - begun


def _processor() -> float:
    """Return this process's processor seconds."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def commit_all(root: Path, indices: Sequence[int]) -> float:
    """Commit these samples with arbitrary values; return the seconds."""
    store = ZarrStore(root)
    values = _values(store)
    begun = time.perf_counter()
    for index in indices:
        _commit(store, index, values)
    return time.perf_counter() - begun


def _values(store: SnapshotStore) -> dict[str, np.ndarray]:
    """Return values of each array: a frame, or all of a sample."""
    described, rng = store.description, np.random.default_rng(0)
    return {s.name: rng.random(described.frame_shape(s)).astype(s.dtype) for s in described.arrays}


def _commit(store: SnapshotStore, index: int, values: dict[str, np.ndarray]) -> None:
    streamed = {s.name for s in store.description.arrays if s.streamed}
    with store.sink(store.sample(index)) as sink:
        for name in values.keys() - streamed:
            sink.put(name, values[name])
        for frame in range(len(store.description.times)):
            sink.write(frame, {name: values[name] for name in streamed})
        sink.commit(_REPORT, _PROVENANCE)


def _line(sizes: Sequence[int], seconds: Sequence[float]) -> tuple[float, float]:
    """Return what is always paid and what each sample adds; neither is negative."""
    slope = max((seconds[1] - seconds[0]) / (sizes[1] - sizes[0]), 0.0)
    return max(seconds[0] - slope * sizes[0], 0.0), slope


def _fastest(action: Callable[[], object], times: int = 5) -> float:
    """Return the least seconds of several calls: what disturbs makes longer."""
    seconds = []
    for _ in range(times):
        begun = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - begun)
    return min(seconds)
