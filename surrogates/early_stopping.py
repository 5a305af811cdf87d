"""Early stopping: training ends when the validation error has not fallen for some time."""

import math
from collections.abc import Mapping
from typing import final

from infra.records import Json

__all__ = ["EarlyStopping"]


@final
class EarlyStopping:
    """Watches the validation error.

    Parameters
    ----------
    patience : validations without improvement that are allowed; None: any number
    improvement : smallest relative fall below the best error that counts
    """

    def __init__(self, patience: int | None, improvement: float = 0.0) -> None:
        self._patience = patience
        self._improvement = improvement
        self._best = math.inf
        self._best_step = 0
        self._waited = 0

    @property
    def best(self) -> float:
        """The smallest error so far; infinite before the first."""
        return self._best

    @property
    def best_step(self) -> int:
        """The step after which it was measured."""
        return self._best_step

    @property
    def stop(self) -> bool:
        """Whether patience is at its end."""
        return self._patience is not None and self._waited >= self._patience

    def update(self, error: float, step: int) -> bool:
        """Take the error after a step; an error that is not a number never improves.

        Returns
        -------
        bool
            Whether it is the best so far.
        """
        if math.isfinite(error) and error < self._best * (1.0 - self._improvement):
            self._best, self._best_step, self._waited = error, step, 0
            return True
        self._waited += 1
        return False

    def state(self) -> dict[str, Json]:
        """Return what a checkpoint needs."""
        best = self._best if math.isfinite(self._best) else None
        return {"best": best, "best_step": self._best_step, "waited": self._waited}

    def restore(self, state: Mapping[str, Json]) -> None:
        """Go on from a `state`."""
        best = state["best"]
        self._best = math.inf if best is None else float(best)  # type: ignore[arg-type]
        self._best_step = int(state["best_step"])  # type: ignore[arg-type]
        self._waited = int(state["waited"])  # type: ignore[arg-type]
