"""A small application of a source, as the trainer is one, for the tests of all folders."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self, final

import numpy as np

from infra.streaming.frames import Ending, Frame, FrameKey, Hello, StreamSpec, Values, Verdict
from infra.streaming.source import FrameSource

__all__ = ["Application", "SmallLedger", "until", "values_of", "wait_for"]

# Generous, seconds: reached only when something is broken.
_DEADLINE = 20.0


def values_of(spec: StreamSpec, sample: int, step: int) -> np.ndarray:
    """Return a frame, shape (n_values,), float64, that names its sample and step."""
    return 100.0 * sample + step + np.arange(spec.n_values) / 8


@final
@dataclass
class SmallLedger:
    """Accepts each (sample, step) once, and remembers everything that was delivered.

    Attributes
    ----------
    spec
        The study.
    accepted
        Key, values and digest of what was accepted, by sample and step.
    delivered, verdicts, hellos, endings
        Everything in the order of its arrival.
    """

    spec: StreamSpec
    accepted: dict[tuple[int, int], tuple[FrameKey, Values, int]] = field(default_factory=dict)
    delivered: list[FrameKey] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    hellos: list[Hello] = field(default_factory=list)
    endings: list[Ending] = field(default_factory=list)

    def held(self, sample: int) -> frozenset[int]:
        """Return the steps that were accepted of a sample."""
        return frozenset(step for known, step in self.accepted if known == sample)

    def complete(self, sample: int) -> bool:
        """Return whether a sample came to its end."""
        return any(end.sample == sample and end.complete for end in self.endings)

    def judge(self, delivery: Hello | Frame | Ending) -> tuple[Verdict, frozenset[int]]:
        """Return the verdict on a delivery, and for a hello what is held."""
        match delivery:
            case Hello():
                self.hellos.append(delivery)
                done = self.complete(delivery.sample)
                verdict = Verdict.DUPLICATE if done else Verdict.ACCEPTED
                return verdict, self.held(delivery.sample)
            case Ending():
                self.endings.append(delivery)
                return Verdict.ACCEPTED, frozenset()
        self.delivered.append(delivery.key)
        self.verdicts.append(self._judge_frame(delivery))
        return self.verdicts[-1], frozenset()

    def _judge_frame(self, frame: Frame) -> Verdict:
        place = (frame.key.sample, frame.key.step)
        if place not in self.accepted:
            self.accepted[place] = (frame.key, frame.values, frame.digest)
            return Verdict.ACCEPTED
        same = self.accepted[place][2] == frame.digest
        return Verdict.DUPLICATE if same else Verdict.DIFFERENT

    def assert_holds(self, sample: int, steps: set[int]) -> None:
        """Check that exactly these steps of a sample are there, with the values of `values_of`."""
        assert self.held(sample) == steps
        for step in steps:
            expected = values_of(self.spec, sample, step).astype("f4")
            np.testing.assert_array_equal(self.accepted[sample, step][1], expected)


@final
class Application:
    """Receives and answers in a thread until it is stopped.

    Parameters
    ----------
    source, ledger
        What is received from, and what decides.
    frames
        How many are granted.
    """

    def __init__(self, source: FrameSource, ledger: SmallLedger, frames: int = 4) -> None:
        self.source = source
        self.ledger = ledger
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        source.grant(frames)
        self._thread.start()

    def stop(self) -> None:
        """Stop, after what was answered has gone out."""
        self._stop.set()
        self._thread.join(_DEADLINE)
        assert not self._thread.is_alive()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self) -> None:
        while not self._stop.is_set():
            for ticket, delivery in self.source.receive(0.02):
                self.source.answer(ticket, *self.ledger.judge(delivery))
        self.source.receive(0.0)


def until(source: FrameSource, done: Callable[[], bool], handle: Callable[..., Any]) -> None:
    """Hand deliveries over until something is true, or fail at a generous deadline."""
    end = time.monotonic() + _DEADLINE
    while not done():
        assert time.monotonic() < end, "the deadline has passed"
        for ticket, delivery in source.receive(0.05):
            handle(ticket, delivery)
    source.receive(0.0)


def wait_for(reached: Callable[[], bool]) -> None:
    """Wait for something that another thread brings about, or fail at a generous deadline."""
    end, pause = time.monotonic() + _DEADLINE, threading.Event()
    while not reached():
        assert time.monotonic() < end, "the deadline has passed"
        pause.wait(0.005)
