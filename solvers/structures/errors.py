"""Numerical events of structures that end an increment or a run, by name.

::

    RomflowError (infra.errors)
    ├── IncrementError         an increment was not solved; it is cut
    └── SampleError (solvers.errors)
        └── LoadStepError          the smallest increment was not solved: the run stops
"""

from pathlib import Path
from typing import final

from infra.errors import RomflowError
from solvers.errors import SampleError
from solvers.structures.state import StructureState

__all__ = ["IncrementError", "LoadStepError"]


@final
class IncrementError(RomflowError):
    """Newton's method did not solve an increment; a smaller one may do."""


@final
class LoadStepError(SampleError):
    """An increment was not solved however small it was made.

    Parameters
    ----------
    message : what happened and what to do
    state : the last state in equilibrium, the share of this rank
    saved : the file where it was saved whole, if it was
    """

    reason: str = "load-step"

    def __init__(self, message: str, state: StructureState, saved: Path | None = None) -> None:
        super().__init__(message, saved)
        self.state = state
        self.saved = saved

    def __str__(self) -> str:
        return str(self.args[0])
