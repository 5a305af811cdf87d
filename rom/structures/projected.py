r"""Stresses and internal variables along projected displacements, at the points of a process.

.. math::
   \varepsilon(t_j) = \sum_d g_d(t_j)\, \varepsilon(L_d) + \sum_i a_{ji}\, \varepsilon(\psi_i)

The reduced model will see these strains, and its stresses, not those of the solver, are what the
cubature must integrate.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from rom.parts import Parts, raise_together
from rom.structures.displacement_basis import DisplacementBasis
from rom.structures.replay import PointState, replay
from rom.structures.strain_operator import interpolation, strain_operator
from solvers.laws.law import Law, LocalIntegrationError
from solvers.loads import LoadCase, TemperatureHistory
from solvers.structure_mesh import StructureMesh

__all__ = ["ProjectedPaths"]

type _Floats = NDArray[np.float64]
type _Run = tuple[LoadCase, _Floats]
# Of the blocks of a process.
type _Frames = tuple[_Floats, ...]


@final
@dataclass(frozen=True, eq=False)
class ProjectedPaths:
    """The paths of all runs.

    Attributes
    ----------
    mesh, law
        Of the solver.
    runs
        Loads and times (T + 1,) of each run.
    basis
        Of displacements.
    points
        The material points, and which are here.
    """

    mesh: StructureMesh
    law: Law
    runs: Sequence[_Run]
    basis: DisplacementBasis
    points: Parts

    @property
    def n_frames(self) -> int:
        """Number k of frames: the steps of all runs."""
        return sum(len(times) - 1 for _, times in self.runs)

    def components(self, name: str) -> int:
        """Return the number c of components of a field."""
        column = None if name == "stress" else self.law.column(name)
        return 6 if column is None else column.stop - column.start

    def frames(self, names: Sequence[str]) -> dict[str, _Frames]:
        """Return fields, (k, g, c) for each block of g points of this process.

        Raises
        ------
        LocalIntegrationError
            On all processes, if the law has no answer on one.
        """
        found: dict[str, list[_Floats]] = {name: [] for name in names}
        error = None
        try:
            for block in self.points.blocks:
                fields = self._block(np.arange(block.start, block.stop), names)
                for name in names:
                    found[name].append(fields[name])
        except LocalIntegrationError as failed:
            error = failed
        raise_together(self.points.reducer, error, _elsewhere)
        return {name: tuple(fields) for name, fields in found.items()}

    def _block(self, places: NDArray[np.int64], names: Sequence[str]) -> dict[str, _Floats]:
        shape = (self.n_frames, len(places))
        fields = {name: np.empty((*shape, self.components(name))) for name in names}
        for frame, state in enumerate(self._states(places)):
            for name in names:
                own = state.stress if name == "stress" else state.internal[:, self.law.column(name)]
                fields[name][frame] = own
        return fields

    def _states(self, places: NDArray[np.int64]) -> Iterator[PointState]:
        """Give the states of points after each step of all runs, each from virgin material."""
        B = strain_operator(self.mesh, places)
        own, lifts = B @ self.basis.modes, B @ self.basis.lifting.fields.T
        mean = interpolation(self.mesh, places)
        ends = np.cumsum([0, *(len(times) for _, times in self.runs)])
        for (loads, times), (a, b) in zip(self.runs, pairwise(ends), strict=True):
            warm = _at_points(loads, mean)
            path = (
                (
                    float(t),
                    (own @ q + lifts @ g).reshape(-1, 6),
                    warm.temperature_at(float(t), len(places), self.law.reference_temperature),
                )
                for t, q, g in zip(
                    times, self.basis.coefficients[a:b], self.basis.amounts[a:b], strict=True
                )
            )
            time, strain, temperature = next(path)
            start = PointState(
                time,
                strain,
                temperature,
                np.zeros_like(strain),
                self.law.initial_state(len(places)),
            )
            yield from replay(self.law, start, path)


def _at_points(loads: LoadCase, mean: csr_array) -> LoadCase:
    """Return loads whose temperatures are those of points, instead of nodes."""
    history = loads.temperature
    if history is None:
        return loads
    fields = np.ascontiguousarray((mean @ history.fields.T).T)
    return replace(loads, temperature=TemperatureHistory(history.times, fields))


def _elsewhere(message: str) -> LocalIntegrationError:
    return LocalIntegrationError(message, np.empty(0, np.int64))
