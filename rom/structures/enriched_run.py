"""The state of an enriched run between two steps, and what it records of each."""

from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveFloat

from rom.structures.indicator import StructureIndicator
from rom.structures.model import ReducedStructure
from rom.structures.paths import MaterialPoints
from rom.structures.replay import PointState
from rom.structures.state import ReducedState
from solvers.loads import LoadCase

__all__ = ["EnrichedRun", "EnrichmentOptions", "StepRecord", "begin"]

type _Floats = NDArray[np.float64]
type Level = Literal["reduced", "full"]


@final
class EnrichmentOptions(BaseModel):
    """When the full-order solver is called.

    Attributes
    ----------
    tolerance
        Of the indicator.
    budget
        High-fidelity steps in a run; when none is left, steps above the tolerance are kept as they
        are, and say so in their record.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tolerance: PositiveFloat
    budget: NonNegativeInt


@final
@dataclass(frozen=True)
class StepRecord:
    """What was decided in a step.

    Attributes
    ----------
    time
        s.
    level
        ``reduced``, or ``full`` for a high-fidelity step.
    residual, eta
        R and the indicator of the reduced step; infinite if it failed.
    trusted
        Whether the state that was kept is below the tolerance or of high fidelity.
    error
        True relative error of the reduced step where the high-fidelity one tells it, else NaN.
    imbalance
        Of the restart of a high-fidelity step, else NaN.
    """

    time: float
    level: Level
    residual: float
    eta: float
    trusted: bool
    error: float
    imbalance: float


@final
@dataclass(frozen=True, eq=False)
class EnrichedRun:
    """A run between two steps.

    Attributes
    ----------
    model, indicator
        As they are now.
    version
        Number of extensions so far.
    state
        Of the model.
    anchor
        All material points at the last high-fidelity state, or at the start.
    times, coefficients
        Of the steps since then, (k,) and (k, n).
    records
        Of all steps.
    """

    model: ReducedStructure
    indicator: StructureIndicator
    version: int
    state: ReducedState
    anchor: PointState
    times: _Floats
    coefficients: _Floats
    records: tuple[StepRecord, ...]

    @property
    def full_steps(self) -> int:
        """Number of high-fidelity steps so far."""
        return sum(record.level == "full" for record in self.records)


def begin(
    model: ReducedStructure, indicator: StructureIndicator, loads: LoadCase, time: float = 0.0
) -> EnrichedRun:
    """Return the run of virgin material before its first step."""
    points = MaterialPoints(model.mesh, model.law)
    at_rest = np.zeros(model.mesh.points.shape)
    return EnrichedRun(
        model=model,
        indicator=indicator,
        version=0,
        state=model.start(time),
        anchor=points.virgin(loads, time, at_rest),
        times=np.empty(0),
        coefficients=np.empty((0, model.rank)),
        records=(),
    )
