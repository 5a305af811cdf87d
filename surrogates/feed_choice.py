"""From a job to the parts of its feed, and to a feed of data that are there already."""

import math
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np

from infra.errors import UserError
from surrogates.array_feed import ArrayFeed
from surrogates.arrivals import HeldOut
from surrogates.assembly import Assembler, Direct, Pairs
from surrogates.feed import Feed
from surrogates.job import TrainingJob, TrainingPaths
from surrogates.journal import Journal
from surrogates.pool import Pool, PoolShape, fit_capacity
from surrogates.replay_feed import ReplayFeed, recorded_run
from surrogates.reservoirs.fifo import Fifo
from surrogates.reservoirs.firo import Firo
from surrogates.reservoirs.levelled import Levelled
from surrogates.reservoirs.published import Published
from surrogates.reservoirs.reservoir import Reservoir
from surrogates.states import State
from surrogates.study import Study

__all__ = ["FeedParts", "OpenFeed", "StoredFeed", "feed_parts", "offline_feed", "open_journal",
           "replay_feed"]  # fmt: skip


# Planned views are made up of whole ones at random: a budget in steps shall not lack the last.
_SPARE = 1.02


class OpenFeed(ABC):
    """A feed with what belongs to it outside the trainer.

    Attributes
    ----------
    feed
        The feed.
    """

    feed: Feed

    @abstractmethod
    def start(self, state: State | None) -> None:
        """Begin, or go on from the feed's state of a checkpoint."""

    @abstractmethod
    def blocked(self) -> float:
        """Return the seconds that simulations have waited for the trainer, all together."""

    @abstractmethod
    def holes(self) -> Mapping[int, str]:
        """Return the samples that did not come as a whole, with the reason."""

    @abstractmethod
    def require_ours(self) -> None:
        """Check that no other trainer has taken over; before anything is written down.

        Raises
        ------
        FencedError
            If one has.
        """

    @abstractmethod
    def checkpointed(self, state: State) -> None:
        """Free what is not needed any more, now that a checkpoint with this state is safe."""

    @abstractmethod
    def trained(self, stop: Callable[[], bool]) -> None:
        """Do what is due when the training is over, though simulations may still run.

        Parameters
        ----------
        stop
            Asked often; whether to leave at once.
        """

    @abstractmethod
    def close(self) -> None:
        """End reception."""


@final
class StoredFeed(OpenFeed):
    """A feed of data that are there already.

    Parameters
    ----------
    feed
        The feed.
    holes
        Samples of the job that are not among the data, with the reason.
    """

    def __init__(self, feed: Feed, holes: Mapping[int, str]) -> None:
        self.feed = feed
        self._holes = dict(holes)

    def start(self, state: State | None) -> None:
        """Go on from a state, if there is one."""
        if state is not None:
            self.feed.restore(state)

    def blocked(self) -> float:
        """Return 0: nothing runs."""
        return 0.0

    def holes(self) -> Mapping[int, str]:
        """Return what is not among the data."""
        return self._holes

    def require_ours(self) -> None:
        """Do nothing: nobody can take over."""

    def checkpointed(self, state: State) -> None:
        """Do nothing."""

    def trained(self, stop: Callable[[], bool]) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


@final
@dataclass(frozen=True, eq=False)
class FeedParts:
    """What feeds of frames are made of.

    Attributes
    ----------
    assembler, reservoir, pool, rng
        See `surrogates.admitter.Admitter`.
    message
        What was cut to fit the memory, for people; empty if nothing was.
    """

    assembler: Assembler
    reservoir: Reservoir
    pool: Pool
    rng: np.random.Generator
    message: str


def feed_parts(study: Study) -> FeedParts:
    """Return assembler, reservoir, pool and generator of a job.

    Raises
    ------
    UserError
        If not even one item fits into the memory, or a GPU is asked for that is not there.
    """
    wished = _shape(study, min(study.job.reservoir.capacity, study.expected_items))
    shape, message = fit_capacity(wished, study.job.reservoir.memory)
    n_frames = study.design.n_frames
    return FeedParts(
        assembler=Pairs(n_frames) if study.frames == 2 else Direct(),
        reservoir=_reservoir(study, shape.capacity),
        pool=Pool(shape, _place(study.job)),
        rng=np.random.default_rng(study.job.training.seed),
        message=message,
    )


def offline_feed(study: Study) -> StoredFeed:
    """Return a feed of the committed samples, all in memory.

    Raises
    ------
    UserError
        If none of the job's samples is committed.
    """
    held = study.committed(study.job.samples)
    if not held:
        raise UserError(
            f"dataset: expected committed samples among the {len(study.job.samples)} of the job, "
            f"received none in {study.job.dataset}. Generate the data first, or give a rendezvous."
        )
    first = study.frames - 1
    inputs = [np.column_stack([np.tile(h.mu, (len(h.times), 1)), h.times]) for h in held]
    rows = [x[: len(x) - first].astype(np.float32) for x in inputs]
    frames = [
        np.stack([h.values[k : len(h.values) - first + k] for k in range(study.frames)], axis=1)
        for h in held
    ]
    settings = study.job.training
    passes = None if settings.passes is None else math.ceil(settings.passes)
    return StoredFeed(
        ArrayFeed(
            np.concatenate(rows),
            np.concatenate(frames),
            passes,
            np.random.default_rng(settings.seed),
            place=_place(study.job),
        ),
        dict.fromkeys(set(study.job.samples) - {h.sample for h in held}, "not in the dataset"),
    )


def replay_feed(study: Study, parts: FeedParts) -> StoredFeed:
    """Return the feed of an earlier run, from the journal that it kept.

    Raises
    ------
    UserError
        If there is no journal, it is of another study, or its run is not over.
    """
    assert study.job.replay is not None, "the caller looked"
    earlier = TrainingPaths(study.job.replay)
    for folder in (earlier.journal, earlier.held_out):
        if not folder.is_dir():
            raise UserError(
                f"replay: expected the folder of a run with a kept journal, received {folder} "
                "which does not exist. Set `keep_journal` in the run that is to be replayed."
            )
    with recorded_run(earlier.run):
        journal = open_journal(study, earlier.journal, keep=True)
        held_out = open_journal(study, earlier.held_out, keep=True)
        return StoredFeed(
            ReplayFeed(
                journal,
                study.design.times,
                parts.assembler,
                parts.reservoir,
                parts.pool,
                parts.rng,
                held_out=_held_out(held_out, study),
            ),
            {**journal.holes(), **held_out.holes()},
        )


def open_journal(study: Study, folder: Path, *, keep: bool) -> Journal:
    """Return a journal of this study's frames; raises as `Journal`."""
    return Journal(folder, study.spec.study, study.spec.n_values, keep=keep)


def _held_out(journal: Journal, study: Study) -> list[HeldOut]:
    """Return the whole trajectories of a journal."""
    numbers: dict[int, dict[int, int]] = defaultdict(dict)
    for record in journal.frames():
        numbers[record.key.sample].setdefault(record.key.step, record.number)
    times, held = np.array(study.design.times), []
    for sample, steps in sorted(numbers.items()):
        if len(steps) == len(times) and sample in study.design.validation:
            read = [journal.read(steps[step]) for step in range(len(times))]
            held.append(HeldOut(sample, read[0][1], times, np.stack([v for _, _, v in read])))
    return held


def _shape(study: Study, capacity: int) -> PoolShape:
    return PoolShape(capacity, study.inputs.n_inputs, study.frames, study.spec.n_values)


def _place(job: TrainingJob) -> str:
    settings, place = job.training, job.reservoir.place
    if settings.processes > 1:
        return "shared"
    if place == "auto":
        return settings.device
    return place


def _reservoir(study: Study, capacity: int) -> Reservoir:
    settings, expected = study.job.reservoir, study.expected_items
    training = study.job.training
    spare = 1.0 if training.steps is None else _SPARE
    views = max(1.0, spare * training.planned_views(expected))
    threshold = min(settings.threshold or 0, capacity - 1)
    match settings.kind:
        case "fifo":
            return Fifo(capacity)
        case "firo":
            return Firo(capacity, threshold, passes=max(1, round(views)))
        case "published":
            return Published(capacity, threshold)
        case "levelled":
            return Levelled(
                capacity,
                None if settings.threshold is None else threshold,
                views_per_item=views,
                expected=expected,
                patience=settings.patience,
            )
