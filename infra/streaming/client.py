"""The solver's end of a stream.

A user's own time loop joins with three lines::

    stream = connect(path, sample=k)
    stream.send(step, u.x.array)        # in the loop, once per output time
    stream.finish()

The solver only copies its frame; a thread of the stream does the rest. While the trainer is away
or slow, frames go to the spool on disk, and the solver waits only when that is full.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, final

import numpy as np

from infra.errors import NotFiniteError, RomflowError, StreamError, UserError
from infra.streaming.frames import WIRE, StreamSpec, Values
from infra.streaming.values import fill_values

__all__ = ["INCOMPLETE", "LINGER", "ClientLimits", "FrameStream", "chosen_attempt", "connect",
           "new_attempt"]  # fmt: skip

INCOMPLETE = "incomplete"
"""Reason of a sample that was ended although steps of it are missing."""

# Longest time that the end of a sample waits for answers before it leaves its frames to the spool.
LINGER = 5.0
# So many steps are named in an error.
_NAMED = 10


@final
@dataclass(frozen=True)
class ClientLimits:
    """Bounds of one client.

    Attributes
    ----------
    memory_bytes
        Frames kept in memory until they are answered; at least two frames, whatever it says.
    welcome_seconds
        Longest wait for the trainer's first answer where the solver asks what is held.
    answer_seconds
        How long the end of a sample waits for a trainer that says nothing before it leaves its
        frames to the spool. The next samples of the process do not wait for that trainer until it
        has spoken again.
    refused_seconds
        How long a trainer must turn down this client's key, without giving a reason, until that is
        an error. It is shorter than `welcome_seconds`, so that the first question tells it.
    rendezvous_seconds
        Longest wait for a trainer to appear for the first time.
    patience_seconds
        Longest wait of one call for room, when memory and spool are full.
    beat_seconds
        Time between two signs of life.
    idle_seconds
        How old a waiting frame gets in a half-full memory before it goes to the spool.
    shared_bytes
        Frames of at least this size lie in memory that a trainer on the same machine reads
        itself; None: all frames are sent.
    """

    memory_bytes: int = 128 << 20
    welcome_seconds: float = 5.0
    answer_seconds: float = 0.5
    refused_seconds: float = 3.0
    rendezvous_seconds: float = 60.0
    patience_seconds: float = 3600.0
    beat_seconds: float = 1.0
    idle_seconds: float = 0.25
    shared_bytes: int | None = 1 << 16


class FrameStream(ABC):
    """Sends the frames of one attempt at one sample; the public methods check, hooks transport.

    In a ``with`` block a clean exit finishes and an exception abandons. Of one stream, one thread
    calls the methods.

    Parameters
    ----------
    spec
        The stream's study.
    sample, attempt
        What is computed.
    part
        Range of the vector that this rank sends; None for all of it.

    Raises
    ------
    UserError
        If the sample or the part is outside the study's.
    """

    def __init__(
        self, spec: StreamSpec, sample: int, attempt: int, part: tuple[int, int] | None
    ) -> None:
        if not 0 <= sample < spec.n_samples:
            raise UserError(
                f"Expected a sample from 0 to {spec.n_samples - 1}; received {sample}. "
                "Use the indices of the study."
            )
        if part is not None and not 0 <= part[0] < part[1] <= spec.n_values:
            raise UserError(
                f"Expected a part (start, stop) with 0 <= start < stop <= {spec.n_values}; "
                f"received {part}. Ranks without values do not connect."
            )
        self._spec = spec
        self._sample = sample
        self._attempt = attempt
        self._part = part
        self._sent: set[int] = set()
        self._open = True

    @property
    def spec(self) -> StreamSpec:
        """The stream's study."""
        return self._spec

    @property
    def sample(self) -> int:
        """The sample that is computed."""
        return self._sample

    @property
    def attempt(self) -> int:
        """The number of this attempt."""
        return self._attempt

    @property
    @abstractmethod
    def held(self) -> frozenset[int]:
        """Steps that the trainer already has; waits for its first answer, but not for ever.

        None while the trainer is away: the frames are then sent, and dropped over there.
        """

    @property
    @abstractmethod
    def complete(self) -> bool:
        """Whether the trainer has the whole sample: skip the computation. Waits like `held`.

        Also if it finds in the spool what it lacks, where an earlier attempt has left it.
        """

    @property
    @abstractmethod
    def blocked_seconds(self) -> float:
        """How long calls of `send` and `finish` have waited so far."""

    def send(self, step: int, values: Mapping[str, np.ndarray] | np.ndarray) -> None:
        """Hand over one frame; the arrays may be overwritten afterwards.

        Parameters
        ----------
        step
            Number of the output time; each once. A step that the trainer holds is skipped.
        values
            The fields by name, or the vector of all of them in the order of the stream, in double
            or single precision; from a rank with a part, the vector of its part.

        Raises
        ------
        UserError
            If step, names, sizes or types differ from the study's.
        NotFiniteError
            If a value is NaN or infinite; the sample is then given up as ``not-finite``.
        StreamError
            If the trainer refuses the sample, or there was no room for longer than the limits say.
        StorageAccessError
            If frames must go to the spool and it cannot be written; those in memory are kept.
        """
        self._require_open()
        if not 0 <= step < self._spec.n_frames or step in self._sent:
            raise UserError(
                f"Expected a step from 0 to {self._spec.n_frames - 1} that was not sent yet; "
                f"received step {step} of sample {self._sample}."
            )
        try:
            vector = self._buffer()
            digest = fill_values(self._spec, self._part, values, vector)
        except NotFiniteError as error:
            self.abandon("not-finite")
            raise NotFiniteError(f"Step {step} of sample {self._sample}: {error}") from error
        self._send(int(step), vector, digest)
        self._sent.add(int(step))

    def finish(self, linger: float = LINGER) -> None:
        """Say that the sample is complete, and leave once nothing can be lost any more.

        Parameters
        ----------
        linger
            Longest wait for answers, seconds; what has none by then goes to the spool, from which
            this or the next trainer reads it.

        Raises
        ------
        UserError
            If steps were neither sent nor held by the trainer; the sample is then given up as
            ``incomplete``. Frames are sent by this stream, or by an attempt whose frames the
            trainer already has.
        StreamError
            If the trainer refused frames, or neither it nor the spool takes the rest within the
            limits.
        StorageAccessError
            If the spool is needed and cannot be written.
        """
        self._require_open()
        missing = self._missing()
        self._open = False
        if missing:
            self._end(False, INCOMPLETE, linger)
            raise UserError(
                f"Expected all {self._spec.n_frames} steps of sample {self._sample} before "
                f"`finish`; received none of {_listed(missing)}. Send every output time once, "
                "or leave early with `abandon(reason)`."
            )
        self._end(True, "", linger)

    def abandon(self, reason: str) -> None:
        """Say that the sample will not be completed by this attempt; never raises, and is brief.

        Parameters
        ----------
        reason
            In short, for the record: ``diverged``, ``killed``.
        """
        if self._open:
            self._open = False
            self._end(False, reason, LINGER)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.abandon(kind.__name__)
        elif self._open:
            self.finish()

    def _missing(self) -> list[int]:
        """Return the steps that nobody has sent as far as is known; waits only if some lack."""
        rest = set(range(self._spec.n_frames)) - self._sent
        try:
            return [] if not rest or self.complete else sorted(rest - self.held)
        except RomflowError:
            return []  # the end of the stream raises it too, and frees all

    def _buffer(self) -> Values:
        """Return an array for a frame, of this rank's part if it has one."""
        start, stop = self._part or (0, self._spec.n_values)
        return np.empty(stop - start, WIRE)

    @abstractmethod
    def _send(self, step: int, vector: Values, digest: int) -> None:
        """Queue one checked frame; wait if there is no room for it."""

    @abstractmethod
    def _end(self, complete: bool, reason: str, linger: float) -> None:
        """Deliver or spool everything and free all; raise only if `complete`."""

    def _require_open(self) -> None:
        if not self._open:
            raise StreamError(
                f"Expected an open stream of sample {self._sample}; it was finished or abandoned. "
                "Connect again for another attempt."
            )


def connect(
    rendezvous: Path,
    sample: int,
    *,
    mu: Mapping[str, float] | None = None,
    seed: int = 0,
    part: tuple[int, int] | None = None,
    attempt: int | None = None,
    study: str | None = None,
    limits: ClientLimits | None = None,
) -> FrameStream:
    """Join a stream; the trainer may be away if it has been there once.

    Parameters
    ----------
    rendezvous
        The file that the trainer writes.
    sample
        Index of the sample that is computed.
    mu, seed
        Its parameters and seed, if the trainer does not know them from the study.
    part
        Range (start, stop) of the vector that this rank sends, where every rank sends its own; the
        ranges of all ranks make up the vector. None sends whole frames.
    attempt
        Number of the attempt; with `part`, the same on all ranks, such as `new_attempt` of rank 0
        broadcast.
    study
        Digest of the study that the solver computes; None takes the stream's.
    limits
        Bounds of memory and waiting.

    Returns
    -------
    FrameStream
        Open; end it with `finish`, `abandon` or a ``with`` block.

    Raises
    ------
    UserError
        If no trainer was ever there, it trains on another study, or sample, part or attempt are
        wrong.
    """
    # ZeroMQ is loaded here, so that describing and testing streams needs no sockets.
    from infra.streaming.zmq_stream import ZmqStream

    return ZmqStream(
        Path(rendezvous),
        sample,
        mu=mu or {},
        seed=seed,
        part=part,
        attempt=chosen_attempt(attempt, part),
        study=study,
        limits=limits or ClientLimits(),
    )


def new_attempt() -> int:
    """Return a number for a new attempt: the time in microseconds, larger than all before."""
    return time.time_ns() // 1000


def chosen_attempt(attempt: int | None, part: tuple[int, int] | None) -> int:
    """Return the given number of the attempt, or a new one for a client that sends whole frames.

    Raises
    ------
    UserError
        If there is none although several ranks have to agree on it.
    """
    if attempt is None and part is not None:
        raise UserError(
            "Expected the number of the attempt beside `part`, the same on all ranks; received "
            "none. Broadcast one: `attempt = comm.bcast(new_attempt())`."
        )
    return new_attempt() if attempt is None else attempt


def _listed(steps: list[int]) -> str:
    rest = f" and {len(steps) - _NAMED} more" if len(steps) > _NAMED else ""
    return f"steps {', '.join(map(str, steps[:_NAMED]))}{rest}"
