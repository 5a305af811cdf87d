"""Training from stored frames: memory-mapped, read from the store, read from npz files.

All of them use the trainer's own loop and step; only where a batch comes from differs.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import cast, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from infra.store import SnapshotStore
from infra.zarr_store import open_store
from surrogates.array_feed import ArrayFeed
from surrogates.batch import Batch
from surrogates.draws import Slots
from surrogates.learner import Learner
from surrogates.pool import Pool
from surrogates.steps import LocalSteps, Steps
from surrogates.study import Study

__all__ = [
    "MappedReader",
    "NpzReader",
    "Reader",
    "StoreReader",
    "convert",
    "order_of",
    "stored_steps",
    "write_npz",
]

FIELD = "temperature"


class Reader(ABC):
    """Reads batches of frames in direct mode.

    Parameters
    ----------
    study : brings samples, parameters and output times
    """

    def __init__(self, study: Study) -> None:
        design = study.design
        self.samples = np.array(study.job.samples)
        self.n_frames = design.n_frames
        rows = [np.append(design.mus[s], t) for s in study.job.samples for t in design.times]
        self._inputs = torch.from_numpy(np.array(rows, dtype=np.float32))

    def gather(self, slots: Slots) -> Batch:
        """Return the items of these places: samples one after another, frame by frame."""
        samples, frames = np.divmod(slots, self.n_frames)
        target = self._frames(self.samples[samples], frames)
        return Batch.of(self._inputs[torch.from_numpy(slots)], target)

    @abstractmethod
    def _frames(self, samples: NDArray[np.int64], frames: NDArray[np.int64]) -> Tensor:
        """Return the frames (B, n) of numbers of samples and of frames."""


@final
class MappedReader(Reader):
    """From one uncompressed .npy file (samples, frames, values) of float32, memory-mapped."""

    def __init__(self, study: Study, path: Path) -> None:
        super().__init__(study)
        self._array = np.load(path, mmap_mode="r")

    def _frames(self, samples: NDArray[np.int64], frames: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(self._array[samples, frames])


@final
class StoreReader(Reader):
    """From the Zarr store, one frame at a time."""

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        self._store: SnapshotStore = open_store(study.job.dataset)

    def _frames(self, samples: NDArray[np.int64], frames: NDArray[np.int64]) -> Tensor:
        pairs = zip(samples.tolist(), frames.tolist(), strict=True)
        read = [self._store.read(sample, FIELD, frame) for sample, frame in pairs]
        return torch.from_numpy(np.stack(read).astype(np.float32).reshape(len(read), -1))


@final
class NpzReader(Reader):
    """From one npz file per simulation, as in the published artefact.

    It asks for a memory map, which NumPy does not make of an npz file: the whole file is read for
    every frame.
    """

    def __init__(self, study: Study, folder: Path) -> None:
        super().__init__(study)
        self._folder = folder

    def _frames(self, samples: NDArray[np.int64], frames: NDArray[np.int64]) -> Tensor:
        read = []
        for sample, frame in zip(samples.tolist(), frames.tolist(), strict=True):
            with np.load(self._folder / f"{sample}.npz", mmap_mode="r") as file:
                read.append(torch.from_numpy(file[FIELD][frame].copy()))
        return torch.stack(read)


def stored_steps(learner: Learner, reader: Reader) -> Steps:
    """Return the trainer's own steps, whose batches come from a reader instead of the pool."""
    return LocalSteps(learner, cast(Pool, reader))  # of a pool, they only call `gather`


def order_of(study: Study) -> ArrayFeed:
    """Return shuffled passes over all items, without their values: the reader has them."""
    settings, items = study.job.training, study.expected_items
    passes = None if settings.passes is None else round(settings.passes)
    empty = np.zeros((items, 1), np.float32)
    rng = np.random.default_rng(settings.seed)
    return ArrayFeed(empty, empty[:, None, :], passes, rng)


def convert(dataset: Path, target: Path) -> None:
    """Copy all committed samples of a dataset into one memory-mapped .npy file."""
    store = open_store(dataset)
    samples = sorted(store.committed())
    first = np.asarray(store.read(samples[0], FIELD))
    shape = (len(store.samples), len(first), int(np.prod(first.shape[1:])))
    array = np.lib.format.open_memmap(target, "w+", np.float32, shape)
    for sample in samples:
        array[sample] = store.read(sample, FIELD).reshape(shape[1:])
    array.flush()


def write_npz(source: Path, folder: Path) -> None:
    """Write one npz file per sample from an .npy file, uncompressed, as the artefact does."""
    array = np.load(source, mmap_mode="r")
    folder.mkdir(parents=True, exist_ok=True)
    for sample, values in enumerate(array):
        arrays: Mapping[str, NDArray[np.float32]] = {FIELD: values}
        np.savez(folder / f"{sample}.npz", **arrays)  # type: ignore[arg-type]
