"""The full-order model as the solver of single steps, whose states are kept with the model.

::

    <folder>/000003.npz   the state after step 3 of the run, as `solvers.structures.state_files`
"""

from collections.abc import Sequence
from pathlib import Path
from typing import final

import numpy as np

from infra.errors import UserError
from rom.structures.full_step import FullState
from solvers.laws.law import Law
from solvers.loads import LoadCase
from solvers.structure_mesh import StructureMesh
from solvers.structures.settings import StructureSettings
from solvers.structures.state import StructureState
from solvers.structures.state_files import load_state, save_state

__all__ = ["FullSteps", "kept_states"]


@final
class FullSteps:
    """The full-order model of a run, in this process.

    Parameters
    ----------
    mesh, law, loads : of the run
    times : of its steps, s
    settings : of the full-order model
    folder : receives each state
    """

    def __init__(
        self,
        mesh: StructureMesh,
        law: Law,
        loads: LoadCase,
        times: Sequence[float],
        settings: StructureSettings,
        folder: Path,
    ) -> None:
        from solvers.backend import MPI
        from solvers.structures.model import StructureModel

        self._model = StructureModel(mesh, law, loads, MPI.COMM_SELF, settings)
        self._times, self._folder = np.asarray(times), folder

    def __call__(self, restart: FullState, loads: LoadCase, time: float) -> FullState:  # noqa: ARG002 - interface
        """Return the state at a later time, and keep it."""
        before = StructureState(
            restart.time,
            restart.displacement,
            restart.internal,
            restart.stress,
            restart.temperature,
        )
        after, _ = self._model.advance(before, time)
        number = int(np.abs(self._times - time).argmin())
        save_state(self._folder / f"{number:06d}.npz", after)
        return _full(after)

    def destroy(self) -> None:
        """Free PETSc's objects."""
        self._model.destroy()


def kept_states(folder: Path, count: int) -> list[FullState]:
    """Return the states of an enrichment, in the order of their times.

    Raises
    ------
    UserError
        If there are less than `count`, or one is damaged.
    """
    paths = sorted(folder.glob("*.npz"))
    if len(paths) < count:
        raise UserError(
            f"{folder}: expected the {count} high-fidelity states of an enrichment, by which the "
            f"indicator is calibrated; received {len(paths)}. Put them back, or build the model "
            "under another name and enrich that."
        )
    return [_full(load_state(path)) for path in paths]


def _full(state: StructureState) -> FullState:
    return FullState(
        state.time, state.displacement, state.stress, state.internal, state.temperature
    )
