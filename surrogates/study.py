"""What a training knows of its dataset before a single frame has come."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

from infra.dataset_space import field_space_of
from infra.description import DatasetDescription
from infra.errors import UserError
from infra.field_space import FieldSpace
from infra.store import SnapshotStore
from infra.streaming.frames import StreamSpec, stream_spec
from infra.zarr_store import open_store
from surrogates.architectures import architecture, build_surrogate, network_settings
from surrogates.arrivals import Design, HeldOut, design_of
from surrogates.dataset_inputs import input_spec_of
from surrogates.inputs import InputSpec
from surrogates.job import TrainingJob
from surrogates.surrogate import Surrogate

__all__ = ["Study"]


@final
@dataclass(frozen=True, eq=False)
class Study:
    """The dataset of a training.

    Attributes
    ----------
    job
        The training.
    store
        The dataset; it may have no committed sample at all.
    spec
        The stream.
    design
        Which frames may come.
    space, inputs
        Of the surrogate.
    """

    job: TrainingJob
    store: SnapshotStore
    spec: StreamSpec
    design: Design
    space: FieldSpace
    inputs: InputSpec

    @classmethod
    def of(cls, job: TrainingJob) -> Self:
        """Read the dataset's description and mesh.

        Raises
        ------
        UserError
            If the job is one of another study, names unknown samples or parameters, or has
            settings that the model does not take.
        StoreError
            If there is no dataset.
        """
        architecture(job.model.name)
        network_settings(job.model.name, job.model.settings)
        store = open_store(job.dataset)
        description = store.description
        spec = stream_spec(description)
        if spec.study != job.study:
            raise UserError(
                f"study: expected {spec.study}, that of {job.dataset}, received {job.study}. The "
                "dataset or the study was changed: start the training anew."
            )
        design = _design(job, description)
        bounds = dict(job.bounds) or None
        inputs = input_spec_of(description, bounds)
        space = field_space_of(description, store.static)
        made = cls(job, store, spec, design, space, replace(inputs, logarithmic=job.logarithmic))
        made.require_items()
        return made

    @property
    def expected_items(self) -> int:
        """Items that come if no sample fails."""
        return len(self.design.training) * (self.design.n_frames - self.frames + 1)

    @property
    def frames(self) -> int:
        """Frames of an item: 1 in direct mode, 2 in autoregressive mode."""
        return 2 if self.job.model.mode == "autoregressive" else 1

    @property
    def recipe(self) -> "partial[Surrogate]":
        """Makes the surrogate, here or in another process."""
        model = self.job.model
        seed = self.job.training.seed
        return partial(
            build_surrogate,
            model.name,
            self.space,
            self.inputs,
            model.mode,
            model.settings,
            seed,
        )

    def require_items(self) -> None:
        """Check that there is something to learn.

        Raises
        ------
        UserError
            If an autoregressive model is to learn from single frames.
        """
        if self.expected_items < 1:
            raise UserError(
                "model.mode: expected `direct`, received `autoregressive`: the study has one frame "
                "per sample, so there is no step from one to the next."
            )

    def trajectory(self, index: int) -> HeldOut:
        """Return a committed sample: all its frames in the order of the stream's fields."""
        times = np.array(self.design.times)
        mu = self.design.mus[index]
        return HeldOut(index, mu, times, self._values(index, len(times)))

    def committed(self, indices: tuple[int, ...]) -> list[HeldOut]:
        """Return those of these samples that are committed in the dataset."""
        done = self.store.committed()
        return [self.trajectory(index) for index in indices if index in done]

    def _values(self, index: int, n_times: int) -> NDArray[np.float32]:
        parts = [
            self.store.read(index, name).reshape(n_times, size) for name, size in self.spec.fields
        ]
        return np.concatenate(parts, axis=1).astype(np.float32)


def _design(job: TrainingJob, description: DatasetDescription) -> Design:
    design = design_of(description, frozenset(job.validation))
    unknown = sorted(set(job.samples) - design.training)
    if unknown:
        raise UserError(
            f"samples: expected samples of {description.name}, received {unknown[:5]} that it does "
            "not have. Make the job anew from its study."
        )
    return replace(design, training=frozenset(job.samples))
