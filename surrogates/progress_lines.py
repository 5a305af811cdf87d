"""Progress of a training as JSON lines, as the chunks of a study write theirs."""

import json
import math
import time
from collections.abc import Callable
from typing import Any, final

__all__ = ["ProgressLines"]


@final
class ProgressLines:
    """JSON lines that tell how the training goes on.

    Parameters
    ----------
    write : receives one line without its newline
    interval : least time between two lines that may be left out, seconds
    """

    def __init__(self, write: Callable[[str], None], interval: float = 1.0) -> None:
        self._write = write
        self._interval = interval
        self._last = -math.inf

    def send(self, event: str, **values: Any) -> None:
        """Write one line: the event's name, the time and its values; not a number becomes null."""
        line = {"event": event, "time": time.time(), **values}
        self._write(json.dumps({name: _clean(value) for name, value in line.items()}))

    @property
    def due(self) -> bool:
        """Whether the last line of `now_and_then` is long enough ago."""
        return time.monotonic() - self._last >= self._interval

    def now_and_then(self, event: str, **values: Any) -> None:
        """Write one line and begin the interval anew; the caller asks `due` first."""
        self._last = time.monotonic()
        self.send(event, **values)


def _clean(value: Any) -> Any:
    """Replace numbers that JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _clean(entry) for key, entry in value.items()}
    return value
