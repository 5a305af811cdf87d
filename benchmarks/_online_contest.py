"""The contestants of "time to the same error": each from nothing to its last validation."""

import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np
from _online_jobs import Curve, Jobs, events, mpi, script
from _online_pair import core_of
from _online_study import HeatCase

from flows.plan import Chunk
from infra.streaming.frames import stream_spec
from infra.zarr_store import open_store
from solvers.chunk import ChunkJob

__all__ = ["Contest", "Stored"]

_PYTHON = script("none.py")[0]
SOLVER, TRAINER = 0, 1


@final
@dataclass(frozen=True)
class Stored:
    """Training from memory-mapped frames.

    Attributes
    ----------
    curve : its seconds begin with the trainer's process
    converted : seconds to copy the dataset into one .npy file
    """

    curve: Curve
    converted: float


@final
class Contest:
    """One repeat: every contestant has folders of its own, and the same seed.

    Parameters
    ----------
    folder : an empty folder
    settings : of the study and of the training, see `HeatCase.make`
    budget : settings of the training: seed, passes, validations
    level : error at which trainings are ended; those that run without it set it
    """

    def __init__(self, folder: Path, settings: tuple[str, ...], budget: dict[str, Any]) -> None:
        self._folder, self._settings, self._budget = folder, settings, budget
        self.level = 0.0

    def online(self, passes: float) -> Curve:
        """Train while the simulations run, with our trainer and stream, for so many passes."""
        began, case = time.time(), self._case("online")
        rendezvous = case.folder / "rendezvous.json"
        (chunk,) = case.chunks(stream=rendezvous)
        job = self._job(case, "online", rendezvous=rendezvous, passes=passes)
        log = case.folder / "trainer.jsonl"
        with Jobs() as jobs:
            jobs.start([_PYTHON, "-m", "surrogates", str(job), "--lifeline"], core_of(TRAINER), log)
            jobs.start(_solvers(chunk), core_of(SOLVER), chunk.log)
            jobs.wait(lambda: self._enough(log))
        return self._ended(case, Curve.of(log, began))

    def published(self, frames: Path) -> Curve:
        """Train while the simulations run, as published; held-out ones are in `frames`."""
        began, case = time.time(), self._case("published")
        chunk = _without_held_out(case, case.chunks()[0])
        job, log = self._job(case, "published"), case.folder / "trainer.jsonl"
        address = case.folder / "address.txt"
        trainer = script("_online_published_trainer.py", job, frames, address)
        solver = mpi(script("_online_solver.py", chunk.job, "push", address))
        with Jobs() as jobs:
            jobs.start(trainer, core_of(TRAINER), log)
            jobs.start(solver, core_of(SOLVER), case.folder / "solver.log")
            jobs.wait(lambda: self._enough(log))
        return self._ended(case, Curve.of(log, began))

    def generate(self, parts: int = 1) -> tuple[HeatCase, float]:
        """Compute the dataset; return it and the seconds."""
        began, case = time.time(), self._case(f"store{parts}")
        with Jobs() as jobs:
            for place, chunk in enumerate(case.chunks(parts)):
                jobs.start(_solvers(chunk), core_of(place), chunk.log)
            jobs.wait()
        return case, time.time() - began

    def generate_mapped(self, parts: int = 1) -> tuple[Path, float]:
        """Compute all frames straight into an .npy file; return it and the seconds."""
        began, case = time.time(), self._case(f"mapped{parts}")
        frames, chunks = self._folder / f"mapped{parts}.npy", case.chunks(parts)
        spec = stream_spec(open_store(case.dataset).description)
        shape = (spec.n_samples, spec.n_frames, spec.n_values)
        np.lib.format.open_memmap(frames, "w+", np.float32, shape)
        with Jobs() as jobs:
            for place, chunk in enumerate(chunks):
                command = mpi(script("_online_solver.py", chunk.job, "npy", frames))
                jobs.start(command, core_of(place), case.folder / f"solver{place}.log")
            jobs.wait()
        seconds = time.time() - began
        self._ended(case, None)
        return frames, seconds

    def train_mapped(self, case: HeatCase) -> Stored:
        """Train from an .npy file that is made of the dataset first."""
        job, log = self._job(case, "stored"), case.folder / "stored.jsonl"
        command = script("_online_stored_trainer.py", job, case.folder / "frames.npy")
        curve = self._train(command, log)
        (converted,) = events(log, "converted")
        return Stored(curve, float(converted["seconds"]))

    def train_in_memory(self, case: HeatCase) -> Curve:
        """Train from a dataset, all of it in memory, with our trainer."""
        job, log = self._job(case, "memory"), case.folder / "memory.jsonl"
        return self._train([_PYTHON, "-m", "surrogates", str(job), "--lifeline"], log)

    def _train(self, command: list[str], log: Path) -> Curve:
        began = time.time()
        with Jobs() as jobs:
            jobs.start(command, core_of(TRAINER), log)
            jobs.wait(lambda: self._enough(log))
        return Curve.of(log, began)

    def _enough(self, log: Path) -> bool:
        return any(e <= self.level for e in Curve.of(log, 0.0).errors)

    def _case(self, name: str) -> HeatCase:
        return HeatCase.make(self._folder / name, *self._settings)

    def _job(self, case: HeatCase, name: str, **places: Any) -> Path:
        path = case.folder / f"{name}.json"
        path.write_text(case.job(name, **{**self._budget, **places}).model_dump_json())
        return path

    @staticmethod
    def _ended(case: HeatCase, curve: Any) -> Any:
        shutil.rmtree(case.folder, ignore_errors=True)
        return curve


def _solvers(chunk: Chunk) -> list[str]:
    return mpi([_PYTHON, "-m", "solvers", str(chunk.job), "--lifeline"])


def _without_held_out(case: HeatCase, chunk: Chunk) -> Chunk:
    """Return the chunk without the held-out simulations, which the published way has on disk."""
    job = ChunkJob.model_validate_json(chunk.job.read_bytes())
    samples = tuple(index for index in job.samples if index not in case.training.held_out)
    chunk.job.write_text(job.model_copy(update={"samples": samples}).model_dump_json())
    return replace(chunk, samples=samples)
