"""Intakes for tests: successive trainers on one folder, and what their clients send."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from infra.streaming.frames import Verdict
from infra.streaming.memory import MemoryLink
from surrogates.arrivals import Arrival, Design
from surrogates.intake import Intake, IntakeLimits
from surrogates.journal import Journal
from surrogates.testing import small_design, small_frame, small_spec

__all__ = ["SPEC", "Room", "keys", "receive", "send", "wait_for"]

SPEC = small_spec(n_samples=4, n_frames=5, n_values=6)


@final
@dataclass
class Room:
    """Makes intakes on one folder, as successive trainers do.

    Attributes
    ----------
    folder, link
        Where the journals lie, and the way from the clients.
    intakes, events
        All that were made, and what they have reported.
    """

    folder: Path
    link: MemoryLink
    intakes: list[Intake] = field(default_factory=list)
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def intake(
        self,
        *,
        design: Design | None = None,
        memory: int = 1 << 20,
        keep_partial: bool = True,
        first_client: float = 60.0,
        silence: float = 60.0,
    ) -> Intake:
        """Return the intake of the next trainer; sample 3 is held out."""
        intake = Intake(
            self.link.source(),
            design or small_design(SPEC, validation=[3]),
            Journal(self.folder / "training", SPEC.study, SPEC.n_values),
            Journal(self.folder / "held-out", SPEC.study, SPEC.n_values, keep=True),
            limits=IntakeLimits(memory, first_client, silence),
            keep_partial=keep_partial,
            report=lambda event, **values: self.events.append((event, values)),
        )
        self.intakes.append(intake)
        return intake


def send(intake: Intake, sample: int, steps: Iterable[int], attempt: int = 0) -> None:
    """Give the intake frames, all of which it must accept."""
    for step in steps:
        verdict, _ = intake.ingest(small_frame(SPEC, sample, step, attempt))
        assert verdict is Verdict.ACCEPTED


def keys(arrivals: Iterable[Arrival]) -> list[tuple[int, int]]:
    """Return sample and step of each frame."""
    return [(arrival.key.sample, arrival.key.step) for arrival in arrivals]


def receive(intake: Intake, count: int) -> list[Arrival]:
    """Take until there are so many; a test that fails here would wait in vain."""
    arrivals: list[Arrival] = []
    for _ in range(10_000):
        arrivals += intake.take(1000)
        if len(arrivals) >= count:
            return arrivals
        intake.wait(10.0)
    raise AssertionError(f"Only {len(arrivals)} of {count} frames came.")


def wait_for[T](condition: Callable[[], T]) -> T:
    """Return the first true value of the condition."""
    pause = threading.Event()
    for _ in range(3000):
        if value := condition():
            return value
        pause.wait(0.01)
    raise AssertionError("It never came.")
