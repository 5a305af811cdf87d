"""What befell the jobs of a dataset: lines of JSON, for `romflow status` and for reports."""

import json
import os
import time
from pathlib import Path
from typing import Any, final

from infra.cluster.policy import Attempt, advice
from infra.cluster.resources import time_text
from infra.cluster.states import Outcome
from infra.errors import storage_errors
from infra.files import write_whole

__all__ = ["Journal"]

# Texts that each event has; readers count on them.
_TEXTS = ("event", "text")


@final
class Journal:
    """Appends events to a file, each as one line.

    Parameters
    ----------
    path : of the file; its folder is made if needed
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, chunk: str, outcome: Outcome, before: Attempt, after: Attempt | None) -> None:
        """Note how an attempt at a chunk ended, and what is done about it.

        Parameters
        ----------
        chunk : its name
        outcome : how the attempt ended
        before, after : this attempt and the next one; None if there is none
        """
        text = f"chunk {chunk} {outcome.value}; {_answer(outcome, before, after)}"
        self.write(outcome.name.lower(), text, chunk=chunk)

    def write(self, event: str, text: str, **values: Any) -> None:
        """Append an event with a line for people."""
        line = json.dumps({"event": event, "time": time.time(), "text": text, **values}) + "\n"
        with storage_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            file = os.open(self._path, flags, 0o666)
            try:
                # A full disk may have torn the last line; this one is none of its parts.
                write_whole(file, (f"\n{line}" if _is_torn(file) else line).encode())
            finally:
                os.close(file)

    def read(self) -> list[dict[str, Any]]:
        """Return all events, the oldest first; none without a file. Torn lines are left out."""
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        return [event for event in map(_event, lines) if event is not None]


def _event(line: bytes) -> dict[str, Any] | None:
    """Return the event of a line; None if it holds none."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if isinstance(event, dict) and all(isinstance(event.get(key), str) for key in _TEXTS):
        return event
    return None


def _is_torn(file: int) -> bool:
    """Return whether an open file ends amid a line."""
    size = os.fstat(file).st_size
    return size > 0 and os.pread(file, 1, size - 1) != b"\n"


def _answer(outcome: Outcome, before: Attempt, after: Attempt | None) -> str:
    if after is None:
        return f"it is not tried again. {advice(outcome, before)}"
    if after.resources.seconds > before.resources.seconds:
        return f"again with {time_text(after.resources.seconds)}"
    if after.resources != before.resources:
        return f"again with {after.resources.memory} MiB"
    if after.alone and not before.alone:
        return "again, in a job of its own"
    return "again"
