"""How far the chunks are: read from their logs, so that it works for any task runner."""

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from flows.plan import Chunk, Plan

__all__ = ["Follower", "Progress", "new_events"]

# More samples than this that end between two looks are told together.
_CROWD = 8


@final
@dataclass(frozen=True)
class Progress:
    """A moment of a run.

    Attributes
    ----------
    samples, committed, failed : the whole dataset
    frames, frames_done : frames of the dataset and how many are computed; a sample of a steady
        problem counts as one
    messages : lines for people, new since the last look
    """

    samples: int
    committed: int
    failed: int
    frames: int
    frames_done: int
    messages: tuple[str, ...]

    @property
    def fraction(self) -> float:
        """How much of the dataset is computed, 0 to 1."""
        return self.frames_done / max(self.frames, 1)


@final
@dataclass
class Follower:
    """Reads what the chunks' logs have gained since the last look.

    Parameters
    ----------
    plan : the run that is followed
    """

    plan: Plan
    _offsets: dict[int, int] = field(default_factory=dict)
    _frames: dict[int, int] = field(default_factory=dict)
    _state: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Logs are appended to: what earlier runs wrote is over.
        self._offsets = {chunk.number: chunk.log.stat().st_size for chunk in self.plan.chunks}

    def look(self) -> Progress:
        """Read new lines and return the state."""
        events = [e for chunk in self._grown() for e in self._new_events(chunk)]
        for event in events:
            self._take(event)
        each = max(self.plan.n_frames, 1)
        states = Counter(self._state.values())
        finished = self.plan.n_committed + self.plan.n_failed
        finished += states["committed"] + states["failed"]
        running = sum(n for i, n in self._frames.items() if self._state.get(i) == "started")
        return Progress(
            samples=self.plan.n_samples,
            committed=self.plan.n_committed + states["committed"],
            failed=self.plan.n_failed + states["failed"],
            frames=self.plan.n_samples * each,
            frames_done=finished * each + running,
            messages=tuple(_messages(events, steady=self.plan.steady)),
        )

    def computed(self, sample: int) -> bool:
        """Return whether a sample was seen to be computed, or to be there already."""
        return self._state.get(sample) == "committed"

    def _grown(self) -> list[Chunk]:
        """Return the chunks whose logs are longer than what was read.

        Folders are looked at as a whole: to open ten thousand logs several times in a second
        would take longer than all else that the flow does.
        """
        chunks = self.plan.chunks
        sizes = {folder: _sizes(folder) for folder in {chunk.log.parent for chunk in chunks}}
        return [
            chunk
            for chunk in chunks
            if sizes[chunk.log.parent].get(chunk.log.name, 0) > self._offsets[chunk.number]
        ]

    def _new_events(self, chunk: Chunk) -> Sequence[dict[str, Any]]:
        offset = self._offsets[chunk.number]
        events, self._offsets[chunk.number] = new_events(chunk.log, offset)
        return events

    def _take(self, event: dict[str, Any]) -> None:
        """Note an event."""
        kind, sample = event["event"], event.get("sample", -1)
        if kind == "frame":
            self._frames[sample] = event["frame"] + 1
        elif kind in ("started", "committed", "failed"):
            self._state[sample] = kind
            self._frames[sample] = 0
        elif kind == "skipped":
            self._state.setdefault(sample, "committed")


def _sizes(folder: Path) -> dict[str, int]:
    """Return the lengths of the files of a folder by name, bytes."""
    with os.scandir(folder) as entries:
        return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}


def new_events(log: Path, offset: int) -> tuple[list[dict[str, Any]], int]:
    """Return the events that a log has gained since `offset`, and the offset after them."""
    with log.open("rb") as file:
        file.seek(offset)
        text = file.read()
    whole = text[: text.rfind(b"\n") + 1]  # the last line may still be growing
    found = [event for line in whole.splitlines() if (event := _parsed(line))]
    return found, offset + len(whole)


def _messages(events: Sequence[dict[str, Any]], *, steady: bool) -> Iterator[str]:
    """Say what a person should read; a crowd of quick samples in one line."""
    done = [event for event in events if event["event"] == "committed"]
    crowd = len(done) > _CROWD
    if crowd:
        yield f"{len(done)} more samples committed"
    for event in events:
        kind, sample = event["event"], event.get("sample", -1)
        if kind == "failed":
            yield f"sample {sample}: failed ({event['reason']}): {event['message']}"
        elif kind == "committed" and not crowd:
            cost = f"in {event['seconds']:.2g} s"
            if not steady:
                cost = f"{event['steps']} steps in {event['seconds']:.1f} s"
            yield f"sample {sample}: committed, {cost}"


def _parsed(line: bytes) -> dict[str, Any] | None:
    """Return the event of a line; other output that a library may print is no event."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None
