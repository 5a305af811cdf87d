"""What a training has left is counted: frames in its journals, admissions, samples, errors."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from _online_fault_bench import Case, Place

from surrogates.admissions import AdmissionLog
from surrogates.journal_format import Record, scan

__all__ = ["Audit", "Resume", "audit", "resume_seconds", "twice_computed"]

type _Name = tuple[int, int]


@final
@dataclass(frozen=True)
class Audit:
    """The verdict on one run that is over.

    Attributes
    ----------
    lost
        Frames that are in no journal, that were never admitted, or never drawn into a batch.
    doubled
        Frames that are in the journals, or were admitted, more than once or without a reason.
    error
        Relative error on the held-out simulations; infinite if there is no surrogate.
    """

    lost: int
    doubled: int
    error: float


@final
@dataclass(frozen=True)
class Resume:
    """How fast a trainer was replaced.

    Attributes
    ----------
    receives
        Seconds from the kill until the new one received.
    steps
        Seconds until it took a step; None if there was none left, or none before the kill: that
        of a training that has not begun waits for its first frames, whatever was killed.
    """

    receives: float
    steps: float | None


def audit(place: Place, case: Case) -> Audit:
    """Count the frames of a run, whole and with `keep_journal`."""
    samples = range(case.samples + case.held_out)
    expected = {(sample, step) for sample in samples for step in range(case.frames)}
    taught = {name for name in expected if name[0] < case.samples}
    journaled = [*_records(place.paths.journal), *_records(place.paths.held_out)]
    accepted = Counter((record.key.sample, record.key.step) for record in journaled)
    admitted = _admitted(place, journaled)
    card = _card(place)
    lost = len(expected - accepted.keys()) + len(taught - admitted.keys())
    doubled = sum(n - 1 for found in (accepted, admitted) for n in found.values())
    unseen = int(card.get("never_seen", len(taught)))
    foreign = len((accepted.keys() | admitted.keys()) - expected) + len(admitted.keys() - taught)
    error = card.get("validation_error")
    whole = int(card.get("validation_frames", 0)) == case.held_out * case.frames
    return Audit(
        lost + unseen, doubled + foreign, float(error) if whole and error else float("inf")
    )


def twice_computed(place: Place) -> int:
    """Return how many computations of samples were begun that had been begun before."""
    begun = Counter(
        event["sample"]
        for told in place.chunks().values()
        for event in told
        if event["event"] == "started"
    )
    return sum(n - 1 for n in begun.values())


def resume_seconds(told: list[dict[str, Any]], killed: float) -> Resume:
    """Return how long after a kill a trainer received again, and took its next step.

    Parameters
    ----------
    told
        All lines of the trainers.
    killed
        Unix time.
    """
    later = [event for event in told if event["time"] > killed]
    receiving = next((e["time"] for e in later if e["event"] == "receiving"), float("inf"))
    after = next((e["step"] for e in later if e["event"] == "started"), 0)
    steps = (e["time"] for e in later if e["event"] == "training" and e["step"] > after)
    step = next(steps, None) if after else None
    return Resume(receiving - killed, None if step is None else step - killed)


def _records(folder: Path) -> list[Record]:
    return [record for path in sorted(folder.glob("*.frames")) for record in _frames(path)]


def _frames(path: Path) -> Iterator[Record]:
    file = os.open(path, os.O_RDONLY)
    try:
        yield from (record for record in scan(file) if record.kind == "frame")
    finally:
        os.close(file)


def _admitted(place: Place, journaled: list[Record]) -> Counter[_Name]:
    """Return how often each frame went to the reservoir, in the history that counts."""
    names = {record.number: (record.key.sample, record.key.step) for record in journaled}
    path = place.paths.journal / "admissions.log"
    if not path.is_file():
        return Counter()
    log = AdmissionLog(path)
    numbers = [number for entry in log.entries() for number in entry.numbers or ()]
    log.close()
    return Counter(names.get(number, (-1, number)) for number in numbers)


def _card(place: Place) -> dict[str, Any]:
    path = place.paths.model / "card.json"
    metrics: dict[str, Any] = json.loads(path.read_text())["metrics"] if path.is_file() else {}
    bias = place.paths.bias
    return metrics | (json.loads(bias.read_text()) if bias.is_file() else {})
