r"""The indicator of a model that is enriched: calibrated for the model as it is now.

A high-fidelity state extends the bases, so that all residuals R fall, those of runs that were not
seen too; their errors do not fall in proportion. Pairs (R, E) of the model before would promise too
much. So each model that was built without one trajectory is extended by the same high-fidelity
states, and its pairs are taken anew. A state of the enrichment is thereby seen by all of them, as
it is by the model itself; only a model without the trajectory of the same loads does not see it.

The models without one trajectory are kept: a further state costs one extension and one reduced run
for each of them.
"""

from collections.abc import Collection, Sequence
from typing import final

import numpy as np

from rom.structures.extension import Extension
from rom.structures.full_step import FullState
from rom.structures.held_out import step_pairs
from rom.structures.indicator import StepPairs, StructureIndicator, calibrate_structure
from rom.structures.model import ReducedStructure
from rom.structures.offline import build_structure
from rom.structures.settings import StructureSettings
from rom.structures.trajectory import Trajectory
from solvers.laws.law import Law
from solvers.loads import LoadCase
from solvers.structure_mesh import StructureMesh

__all__ = ["Recalibration"]


@final
class Recalibration:
    """See the module.

    Parameters
    ----------
    mesh, law, trajectories, settings
        Those of the first model, as in `rom.structures.offline.build_structure`; at least two
        trajectories.
    first
        The indicator of the first model: field, size and level are taken.
    """

    def __init__(
        self,
        mesh: StructureMesh,
        law: Law,
        trajectories: Sequence[Trajectory],
        settings: StructureSettings,
        first: StructureIndicator,
    ) -> None:
        self._trajectories, self._first = tuple(trajectories), first
        self._models: list[ReducedStructure] = []
        for left_out in range(len(trajectories)):
            others = [one for i, one in enumerate(trajectories) if i != left_out]
            self._models.append(build_structure(mesh, law, others, settings)[0])
        self._extension = Extension(self._models[0], settings)

    def extend(self, loads: LoadCase, full: FullState, own: Collection[int] = ()) -> None:
        """Take one more high-fidelity state.

        Parameters
        ----------
        loads
            That acted.
        full
            The state.
        own
            Numbers of the trajectories under the same loads: the models without them do not learn
            from the state, for they would know what they are judged by.
        """
        self._models = [
            model if number in own else self._extension.extend(model, loads, full)
            for number, model in enumerate(self._models)
        ]

    def indicator(self) -> StructureIndicator:
        """Return the indicator of the model that knows all states that were taken."""
        name, size = self._first.name, self._first.size
        parts = []
        for number, (model, unseen) in enumerate(
            zip(self._models, self._trajectories, strict=True)
        ):
            residuals, errors = step_pairs(model, unseen, name, size)
            numbers = np.full(len(errors), number, np.int64)
            parts.append(StepPairs(np.array(residuals), np.array(errors), numbers))
        return calibrate_structure(name, size, StepPairs.joined(*parts), self._first.level)
