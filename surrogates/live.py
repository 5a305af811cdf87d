"""The feed of running simulations with its reception: source, intake, watch over failures."""

import threading
from collections.abc import Callable, Mapping
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from infra.errors import RomflowError
from infra.store import SnapshotStore
from infra.streaming.rendezvous import check_epoch
from infra.streaming.source import FrameSource
from infra.streaming.zmq_source import ZmqSource
from surrogates.draws import Slots
from surrogates.feed_choice import FeedParts, OpenFeed, open_journal
from surrogates.intake import Intake, IntakeLimits
from surrogates.online_feed import OnlineFeed
from surrogates.states import State
from surrogates.study import Study

__all__ = ["LiveFeed"]

# Whether reception was over.
_CLOSED = "admitter.reservoir.closed"
# The largest parts of a feed's state; what is freed in the journal does not depend on them.
_LARGE = ("admitter.pool.", "admitter.reservoir.")


@final
class LiveFeed(OpenFeed):
    """Claims the rendezvous and receives; made as late as possible, since simulations then come.

    Parameters
    ----------
    study, parts
        Of the job.
    note
        Told of events by name and values; from any thread.
    """

    def __init__(self, study: Study, parts: FeedParts, note: Callable[..., None]) -> None:
        job = study.job
        assert job.rendezvous is not None, "the caller looked"
        settings = job.reception
        self._path = job.rendezvous
        journal = open_journal(study, job.paths.journal, keep=job.training.keep_journal)
        held_out = open_journal(study, job.paths.held_out, keep=True)
        self._source = ZmqSource(
            job.rendezvous,
            study.spec,
            spool=job.paths.spool,
            spool_limit=settings.spool,
            transport=settings.carried,
            interface=settings.interface,
            report=lambda peer, line: note("turned-away", peer=peer, message=line),
        )
        limits = IntakeLimits(settings.inbox, settings.first_client, settings.client)
        self._intake = Intake(
            self._source,
            study.design,
            journal,
            held_out,
            limits=limits,
            keep_partial=settings.keep_partial,
            report=lambda event, **values: note(event, **_explained(event, values)),
        )
        self._online = OnlineFeed(
            self._intake, parts.assembler, parts.reservoir, parts.pool, parts.rng
        )
        self.feed = self._online
        self._watch = _FailureWatch(study.store, self._intake, settings.failures_every, note)
        self._store, self._note = study.store, note
        self._drain = settings.drain
        self._blocked = _Blocked(self._source)
        self._before: State | None = None
        note("receiving", rendezvous=str(job.rendezvous), epoch=self._source.rendezvous.epoch)

    def start(self, state: State | None) -> None:
        """Begin to receive, or go on; frames that came since a checkpoint are in the journal."""
        if state is None:
            self._intake.recover({}, np.empty(0, np.int64))
        else:
            self.feed.restore(state)
        self._look_at_holes(closed=state is not None and bool(state[_CLOSED]))
        self._intake.start()
        self._watch.start()

    def samples_of(self, slots: Slots) -> NDArray[np.int64]:
        """Return the sample of each item in these slots, (B,), as they are now."""
        return self._intake.samples_of(self._online.pool.numbers(slots))

    def _look_at_holes(self, *, closed: bool) -> None:
        """Want the samples again whose failure was forgiven, or say that it is too late."""
        failed = self._store.failures().keys()
        if not closed:
            self._intake.reopen(failed)
        late = closed or not self._intake.keeps_partial
        for sample, reason in sorted(self._intake.holes.items()):
            if sample not in failed:
                said = f"{reason}; this training can take it no more" if late else reason
                values = {"sample": sample, "reason": said}
                self._note("hole", **_explained("hole", values))

    def blocked(self) -> float:
        """Return the waiting time of all simulations so far."""
        return self._blocked.seconds()

    def holes(self) -> Mapping[int, str]:
        """Return the samples that were given up."""
        return self._intake.holes

    def require_ours(self) -> None:
        """Check the fencing token; see `OpenFeed.require_ours`."""
        check_epoch(self._path, self._source.rendezvous)

    def checkpointed(self, state: State) -> None:
        """Drop segments of the journal that neither this checkpoint nor the one before needs."""
        if self._before is not None:
            self._online.release(self._before)
        self._before = {k: v for k, v in state.items() if not k.startswith(_LARGE)}

    def trained(self, stop: Callable[[], bool]) -> None:
        """Receive until all simulations are through, if that is wanted; the frames are dropped."""
        while self._drain and not (self._intake.over or stop()):
            self._intake.wait(1.0)
            self._intake.take(1024)

    def close(self) -> None:
        """End reception; simulations that still run keep their frames."""
        self._watch.stop()
        self._intake.stop()
        self._source.close()


def _explained(event: str, values: dict[str, Any]) -> dict[str, Any]:
    """Add a line for people to an event of the intake."""
    sample = values.get("sample")
    text = {
        "hole": "simulation {sample} will not come: {reason}",
        "client-silent": "simulation {sample} has said nothing for {seconds:.0f} s",
        "conflict": "simulation {sample} sent frame {step} again with other values: kept the first",
    }.get(event)
    return (
        values if text is None or sample is None else {**values, "message": text.format(**values)}
    )


@final
class _FailureWatch:
    """Looks for failure records of samples, and closes them in the intake."""

    def __init__(
        self, store: SnapshotStore, intake: Intake, every: float, note: Callable[..., None]
    ) -> None:
        self._store, self._intake, self._every, self._note = store, intake, every, note
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="failures", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            try:
                found: dict[int, Any] = {**self._store.failures()}
            except (RomflowError, OSError) as error:  # a shared disk may come back
                self._note("failures-unreadable", message=str(error))
                continue
            for index, record in found.items():
                # Every time: what an attempt has left may have made its sample wanted again.
                self._intake.close_sample(index, record.reason)


@final
class _Blocked:
    """Adds up the waiting times of clients, also of those that have left since."""

    def __init__(self, source: FrameSource) -> None:
        self._source = source
        self._present: dict[tuple[int, int], float] = {}
        self._gone = 0.0

    def seconds(self) -> float:
        now = {(c.sample, c.attempt): c.blocked_seconds for c in self._source.clients()}
        self._gone += sum(v for key, v in self._present.items() if key not in now)
        self._present = now
        return self._gone + sum(now.values())
