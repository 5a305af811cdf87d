"""The numbers of a published structure, without behaviour."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from infra.records import Json
from rom.structures.indicator import StructureIndicator
from rom.structures.life import LifeSettings
from rom.structures.model import ReducedStructure
from rom.structures.response import ResponseMaker
from solvers.problems.structures import structure_class
from solvers.problems.structures.problem import StructureCase

__all__ = ["PLASTICITY", "StructureParts"]

type _Floats = NDArray[np.float64]

PLASTICITY = "accumulated_plasticity"


@final
@dataclass(frozen=True, eq=False)
class StructureParts:
    """See the module.

    Attributes
    ----------
    model, indicator
        See `rom.structures`.
    problem, settings
        Name of the problem and its settings, from which the loads of a query are made.
    times
        Output times, (T,), s.
    steps
        Output times of a cycle.
    points
        Training points in unit coordinates, (m, d).
    life
        Coefficients of the material, or None.
    enriched
        Number of high-fidelity steps that the model was enriched with.
    """

    model: ReducedStructure
    indicator: StructureIndicator
    problem: str
    settings: Mapping[str, Json]
    times: _Floats
    steps: int
    points: _Floats
    life: LifeSettings | None = None
    enriched: int = 0

    @property
    def flows(self) -> bool:
        """Whether the model tells the accumulated plasticity."""
        return PLASTICITY in self.model.duals

    def maker(self) -> ResponseMaker:
        """Return what makes responses, of this model or of the full-order one."""
        return ResponseMaker(self.model.mesh, flows=self.flows, steps=self.steps, life=self.life)

    def case(self, mu: Mapping[str, float]) -> StructureCase:
        """Return loads, law and times for all parameters of the problem.

        Raises
        ------
        UserError
            If a parameter is outside of the bounds of the problem.
        """
        kind = structure_class(self.problem)
        made = kind(kind.Settings.model_validate(self.settings))
        return made.case(mu, self.model.mesh)
