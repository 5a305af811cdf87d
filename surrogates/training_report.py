"""What a training says while it runs: progress lines and metrics."""

import math
import time
from collections.abc import Callable
from typing import final

from surrogates.feed import Counts
from surrogates.metrics import Metrics
from surrogates.progress_lines import ProgressLines
from surrogates.validation import Score

__all__ = ["COLUMNS", "Report"]

COLUMNS = (
    *("seconds", "loss", "learning_rate", "visits", "unique", "admitted"),
    *("visits_per_second", "unique_per_second", "fill", "starving", "blocked"),
    *("validation_error", "validation_mse", "baseline_error"),
)
"""Columns of ``history.csv`` after ``step``."""


@final
class Report:
    """Writes the training's numbers where they are wanted.

    Parameters
    ----------
    lines
        Progress lines; they decide when a line is due.
    metrics
        Where the same numbers go too.
    blocked
        Returns the seconds that simulations have waited for the trainer so far, all together.
    """

    def __init__(
        self,
        lines: ProgressLines,
        metrics: tuple[Metrics, ...] = (),
        blocked: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._lines, self._metrics, self._blocked = lines, metrics, blocked
        self._last = time.monotonic()
        self._visits, self._unique = 0, 0
        self._error: float | None = None

    @property
    def due(self) -> bool:
        """Whether it is time for a line."""
        return self._lines.due

    def begin(self, counts: Counts) -> None:
        """Count from here on; a training that goes on from a checkpoint has visits already."""
        self._last, self._visits, self._unique = time.monotonic(), counts.visits, counts.visited

    def progress(
        self, step: int, counts: Counts, seconds: float, starving: float, loss: float, rate: float
    ) -> None:
        """Write a line of progress.

        Parameters
        ----------
        step
            Gradient steps so far.
        counts
            Of the feed.
        seconds, starving
            Of the training so far, and of these the ones that it waited for data.
        loss
            Mean since the line before; not a number if there was no step.
        rate
            Learning rate.
        """
        now = time.monotonic()
        # Repeats are not new information: both rates are said.
        gone = max(now - self._last, 1e-9)
        visits, unique = counts.visits - self._visits, counts.visited - self._unique
        self._last, self._visits, self._unique = now, counts.visits, counts.visited
        values = {
            "seconds": seconds,
            "loss": loss,
            "learning_rate": rate,
            "visits": counts.visits,
            "unique": counts.visited,
            "admitted": counts.admitted,
            "visits_per_second": visits / gone,
            "unique_per_second": unique / gone,
            "fill": counts.held / max(counts.capacity, 1),
            "starving": starving,
            "blocked": self._blocked(),
        }
        extra = {"held": counts.held, "capacity": counts.capacity, "over": counts.over}
        error = {"validation_error": self._error}
        self._lines.now_and_then("training", step=step, **values, **extra, **error)
        self._log(step, values)

    def validated(self, step: int, score: Score, best: bool) -> None:
        """Write the errors of a validation down."""
        self._error = score.error
        values = {
            "validation_error": score.error,
            "validation_mse": score.mse,
            "baseline_error": score.baseline,
        }
        extra = {"best": best, "frames": score.frames, "fields": score.fields}
        self._lines.send("validated", step=step, **values, **extra)
        self._log(step, values)

    def note(self, event: str, **values: object) -> None:
        """Write any other line."""
        self._lines.send(event, **values)

    def close(self) -> None:
        """Close the metrics."""
        for metrics in self._metrics:
            metrics.close()

    def _log(self, step: int, values: dict[str, float]) -> None:
        # Some receivers have no place for what is not a number, such as a loss without a step.
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        for metrics in self._metrics:
            metrics.log(step, finite)
