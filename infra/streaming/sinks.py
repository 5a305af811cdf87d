"""Sinks that hand frames to a trainer, alone or beside a store."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import final

import numpy as np

from infra.description import DatasetDescription
from infra.errors import StoreError
from infra.records import Provenance, Sample, SolveReport
from infra.store import SnapshotStore
from infra.stream import TrajectorySink
from infra.streaming.client import ClientLimits, FrameStream, connect
from infra.streaming.frames import stream_spec

__all__ = ["StreamSink", "TeeSink"]


@final
class StreamSink(TrajectorySink):
    """Streams one sample to a trainer; nothing is stored.

    The fields of `stream_spec` are sent, everything else is dropped. Frames that the trainer
    already has from an earlier attempt are not sent again. Of a steady problem, the arrays with
    the role ``solution`` are the only frame, sent at the commit.

    Parameters
    ----------
    description, sample
        As in `TrajectorySink`.
    rendezvous
        The trainer's file; or a function that opens the stream of the sample instead.
    limits
        Bounds of memory and waiting.
    """

    def __init__(
        self,
        description: DatasetDescription,
        sample: Sample,
        rendezvous: Path | Callable[[], FrameStream],
        limits: ClientLimits | None = None,
    ) -> None:
        super().__init__(description, sample)
        self._rendezvous = rendezvous
        self._limits = limits
        self._fields = tuple(name for name, _ in stream_spec(description).fields)
        self._solution: dict[str, np.ndarray] = {}
        self._stream: FrameStream | None = None

    @property
    def held(self) -> frozenset[int]:
        """Steps that the trainer already has."""
        return self._joined().held

    def fail(self, reason: str) -> None:
        """Say why the sample will not come, in short, and discard."""
        if self._stream is not None:
            self._stream.abandon(reason)
        self.discard()

    def _enter(self) -> bool:
        self._stream = stream = self._opened()
        try:
            if stream.complete or len(stream.held) == stream.spec.n_frames:
                # All frames came with an earlier attempt; perhaps its ending did not.
                stream.finish()
                return True
        except BaseException as error:
            # `with` calls __exit__ only after a successful __enter__.
            stream.abandon(type(error).__name__)
            raise
        return False

    def _opened(self) -> FrameStream:
        if callable(self._rendezvous):
            return self._rendezvous()
        return connect(
            self._rendezvous,
            self._sample.index,
            mu=self._sample.mu,
            seed=self._sample.seed,
            study=self._description.digest,
            limits=self._limits,
        )

    def _write(self, frame: int, values: Mapping[str, np.ndarray]) -> None:
        if not self._already_committed:
            self._joined().send(frame, {name: values[name] for name in self._fields})

    def _put(self, name: str, values: np.ndarray) -> None:
        if name in self._fields:
            self._solution[name] = values.copy()

    def _commit(self, report: SolveReport, provenance: Provenance) -> bool:  # noqa: ARG002 - nothing is stored
        stream = self._joined()
        if not self._description.times:
            stream.send(0, self._solution)
        stream.finish()
        return True

    def _leave(self) -> None:
        self._solution = {}
        if self._stream is not None:
            # After `finish` this does nothing.
            self._stream.abandon("discarded")

    def _joined(self) -> FrameStream:
        if self._stream is None:
            raise StoreError("Expected a sink inside its `with` block; received one before it.")
        return self._stream


@final
class TeeSink(TrajectorySink):
    """Writes one sample into a store and to another sink, such as a stream, at the same time.

    A sample that only the store has is handed on from there, not computed again; one that only
    the other sink has is computed for the store.

    Parameters
    ----------
    store
        The dataset that archives the sample.
    other
        The second sink, of the same dataset and not entered yet; the tee enters and leaves it.
    """

    def __init__(self, store: SnapshotStore, other: TrajectorySink) -> None:
        super().__init__(store.description, other.sample)
        self._store = store
        self._other = other
        self._own = store.sink(other.sample)

    def fail(self, reason: str) -> None:
        """Tell the second sink why the sample will not come, if it is a stream, and discard."""
        if isinstance(self._other, StreamSink):
            self._other.fail(reason)
        self.discard()

    def _enter(self) -> bool:
        self._own.__enter__()
        try:
            self._other.__enter__()
            if self._own.already_committed and not self._other.already_committed:
                self._hand_on()
        except BaseException:
            self._leave()
            raise
        return self._own.already_committed

    def _hand_on(self) -> None:
        index, described = self._sample.index, self._description
        streamed = [spec.name for spec in described.arrays if spec.streamed]
        for frame in range(len(described.times)):
            values = {name: self._store.read(index, name, frame) for name in streamed}
            self._other.write(frame, values)
        for spec in described.arrays:
            if not spec.streamed:
                self._other.put(spec.name, self._store.read(index, spec.name))
        record = self._store.record(index)
        self._other.commit(record.report, record.provenance)

    def _write(self, frame: int, values: Mapping[str, np.ndarray]) -> None:
        self._own.write(frame, values)
        self._other.write(frame, values)

    def _put(self, name: str, values: np.ndarray) -> None:
        self._own.put(name, values)
        self._other.put(name, values)

    def _commit(self, report: SolveReport, provenance: Provenance) -> bool:
        # The store first: whatever happens to the stream then, it can be sent from there.
        committed = self._own.commit(report, provenance)
        self._other.commit(report, provenance)
        return committed

    def _leave(self) -> None:
        self._other.discard()
        self._own.discard()
