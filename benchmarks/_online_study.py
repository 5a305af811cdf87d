"""The heat study of the online benchmarks: its dataset, its chunks, its trainings.

The settings are those of the training that romflow ships, ``heat-mlp``, with other sizes.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, final

from flows.online_plan import online_design
from flows.online_study import OnlineStudy, load_training, with_training_settings
from flows.plan import Chunk, prepare
from infra.cluster import LocalCluster
from infra.streaming.frames import stream_spec
from infra.zarr_store import open_store
from surrogates.job import TrainingJob

__all__ = ["HeatCase"]

_ROOT = Path(__file__).resolve().parent.parent


@final
@dataclass(frozen=True)
class HeatCase:
    """One dataset of the heat problem, with its trainings.

    Attributes
    ----------
    folder : folder of all its files
    training : sizes and settings
    """

    folder: Path
    training: OnlineStudy

    @classmethod
    def make(cls, folder: Path, *settings: str) -> Self:
        """Return the shipped training with other settings, ``training.passes=5`` and the like."""
        places = (f"output={folder}", f"study.output={folder}", f"study.catalog={folder}/catalog")
        return cls(
            folder,
            with_training_settings(load_training("heat-mlp"), (*places, "archive=true", *settings)),
        )

    @property
    def frames(self) -> int:
        """Frames of each simulation."""
        time = self.training.study.time
        assert time is not None, "heat is a problem in time"
        return time.frames

    @property
    def simulations(self) -> int:
        """Simulations that are trained on."""
        return self.training.study.sampling.samples

    @property
    def items(self) -> int:
        """Frames that are trained on."""
        return self.simulations * self.frames

    @property
    def dataset(self) -> Path:
        """Folder of the dataset."""
        return self.training.data.dataset

    def chunks(self, parts: int = 1, *, stream: Path | None = None) -> tuple[Chunk, ...]:
        """Make the dataset, empty, and return its chunks: held-out simulations come first.

        Parameters
        ----------
        parts : number of chunks, computed side by side
        stream : rendezvous of a trainer that takes the frames instead of the dataset
        """
        made = online_design(self.training)
        order = [index for chunk in made.chunks for index in chunk]
        plan = prepare(
            self.training.data,
            made=replace(made, chunks=tuple(tuple(order[k::parts]) for k in range(parts))),
            stream=stream,
            archive=stream is None,
        )
        return plan.chunks

    def generate(self) -> None:
        """Compute the dataset, as one MPI job."""
        for chunk in self.chunks():
            result = LocalCluster().run(["solvers", str(chunk.job)], 1, chunk.log)
            if result.code:
                raise RuntimeError(f"the simulations ended with {result.code}: {result.errors}")

    def job(self, name: str, *, rendezvous: Path | None = None, **settings: Any) -> TrainingJob:
        """Return a training with a folder of its own; `settings` are the budget and the like."""
        training = self.training
        values = {**training.training.model_dump(), **settings}
        return TrainingJob(
            study=stream_spec(open_store(self.dataset).description).study,
            dataset=self.dataset,
            run=self.folder / "runs" / name,
            code=_ROOT,
            rendezvous=rendezvous,
            samples=tuple(range(self.simulations)),
            validation=training.held_out,
            bounds={p.name: (p.low, p.high) for p in online_design(training).space.parameters},
            model=training.model,
            reservoir=training.reservoir,
            reception=training.reception,
            training=values,
        )
