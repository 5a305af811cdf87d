"""The feeds of the feed's benchmark: ours over a live stream, the published kind, tensors."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self, final

import numpy as np
import torch
from _published_loop import PublishedBuffer, published_batches
from _report import ROOT, one_thread
from torch import Tensor

from infra.streaming.frames import Frame, FrameKey, frame_digest
from infra.streaming.zmq_source import ZmqSource
from surrogates.assembly import Direct, Pairs
from surrogates.batch import Batch
from surrogates.intake import Intake
from surrogates.journal import Journal
from surrogates.online_feed import OnlineFeed
from surrogates.pool import Pool, PoolShape
from surrogates.reservoirs.levelled import Levelled
from surrogates.study import Study

__all__ = ["Arrivals", "Items", "LiveReception", "preloaded", "published"]

_VIEWS = 20.0


@final
@dataclass(frozen=True)
class Items:
    """Everything there is to learn, as tensors.

    Attributes
    ----------
    inputs, target : (N, p) and (N, n)
    state : (N, n) in autoregressive mode, else None
    """

    inputs: Tensor
    state: Tensor | None
    target: Tensor

    @classmethod
    def of(cls, study: Study, samples: int) -> Self:
        """Return items of the first samples; their values are smooth, and otherwise no matter."""
        count = samples * (study.design.n_frames - study.frames + 1)
        generator = torch.Generator().manual_seed(1)
        inputs = 100.0 + 400.0 * torch.rand((count, study.inputs.n_inputs), generator=generator)
        ramp = torch.linspace(0.0, 1.0, study.spec.n_values)
        target = 100.0 + 400.0 * torch.rand((count, 1), generator=generator) * ramp
        state = target - ramp if study.frames == 2 else None
        return cls(inputs, state, target)


def preloaded(items: Items, batch: int, seed: int) -> Iterator[Batch]:
    """Yield batches of tensors in memory, by random permutations: the bare loop's feed."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(len(items.inputs), generator=generator)
        for start in range(0, len(order) - batch + 1, batch):
            index = order[start : start + batch]
            state = None if items.state is None else items.state.index_select(0, index)
            yield Batch.of(
                items.inputs.index_select(0, index), items.target.index_select(0, index), state
            )


def published(items: Items, batch: int, seed: int) -> Iterator[Batch]:
    """Yield batches of the published buffer, full, while nothing arrives."""
    count, width = items.inputs.shape
    buffer = PublishedBuffer(count, 0, seed)
    known = items.inputs if items.state is None else torch.cat([items.inputs, items.state], dim=1)
    for row, target in zip(known, items.target, strict=True):
        buffer.put((row.clone(), target.clone()))
    for x, y in published_batches(buffer, batch):
        state = None if items.state is None else x[:, width:]
        yield Batch(x[:, :width], state, y, torch.ones(len(y)))


@final
class LiveReception:
    """Our feed with its reception over ZeroMQ; `filled` samples are in it, further ones may come.

    Parameters
    ----------
    study : brings design, stream and seed
    folder : an empty folder for journal, spool and rendezvous
    filled : samples that are there from the beginning

    Attributes
    ----------
    rendezvous : file in which simulations find it
    here : items that are there from the beginning
    feed : the feed
    """

    def __init__(self, study: Study, folder: Path, filled: int) -> None:
        spec = study.spec
        self.rendezvous = folder / "rendezvous.json"
        self._source = ZmqSource(
            self.rendezvous, spec, spool=folder / "spool", spool_limit=10**9, interface="127.0.0.1"
        )
        design = replace(study.design, validation=frozenset())
        self._intake = Intake(
            self._source,
            design,
            Journal(folder / "journal", spec.study, spec.n_values),
            Journal(folder / "held-out", spec.study, spec.n_values),
        )
        self._study, self._filled = study, filled
        items = len(design.training) * (design.n_frames - study.frames + 1)
        self.here = filled * (design.n_frames - study.frames + 1)
        reservoir = Levelled(items, views_per_item=_VIEWS, expected=self.here)
        shape = PoolShape(items, study.inputs.n_inputs, study.frames, spec.n_values)
        assembler = Pairs(design.n_frames) if study.frames == 2 else Direct()
        rng = np.random.default_rng(study.job.training.seed)
        self.feed = OnlineFeed(self._intake, assembler, reservoir, Pool(shape), rng)

    def __enter__(self) -> Self:
        self._intake.start()
        ramp = np.linspace(0.0, 1.0, self._study.spec.n_values, dtype=np.float32)
        for sample in range(self._filled):
            for step in range(self._study.design.n_frames):
                values = np.float32(100.0 + 4.0 * sample + step) + 100.0 * ramp
                values.flags.writeable = False
                frame = Frame(FrameKey(sample, 0, step), values, frame_digest(values))
                self._intake.ingest(frame)
            self.feed.admit()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._intake.stop()
        self._source.close()


@final
class Arrivals:
    """A simulation in a process of its own, that sends when it is told to.

    Parameters
    ----------
    rendezvous : of the trainer
    first : number of its first sample
    core : where it runs
    """

    def __init__(self, rendezvous: Path, first: int, core: int) -> None:
        command = [sys.executable, str(ROOT / "_online_feed_client.py"), str(rendezvous)]
        self._process = subprocess.Popen(
            [*command, str(first)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**one_thread(), "PYTHONPATH": str(ROOT.parent)},
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
            text=True,
        )

    def __enter__(self) -> Self:
        assert self._process.stdout is not None, "asked for"
        if self._process.stdout.readline().strip() != "ready":
            raise RuntimeError("the simulation of the feed's benchmark did not start")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def send(self, count: int, seconds: float) -> None:
        """Let it send so many frames, evenly over the time."""
        assert self._process.stdin is not None, "asked for"
        self._process.stdin.write(f"{count} {seconds}\n")
        self._process.stdin.flush()
