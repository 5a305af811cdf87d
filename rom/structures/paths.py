"""Strains and temperatures at all material points along a history, and what the law makes of it."""

from collections.abc import Iterator
from typing import final

import numpy as np
from numpy.typing import NDArray

from rom.structures.replay import PointState, replay
from rom.structures.strain_operator import interpolation, strain_operator
from solvers.laws.law import Law
from solvers.loads import LoadCase
from solvers.structure_mesh import StructureMesh

__all__ = ["MaterialPoints"]

type _Floats = NDArray[np.float64]
type _Ints = NDArray[np.int64]


@final
class MaterialPoints:
    """Some or all material points of a mesh.

    Parameters
    ----------
    mesh, law
        The structure.
    places
        Numbers of the points, (m,); None: all.
    """

    def __init__(self, mesh: StructureMesh, law: Law, places: _Ints | None = None) -> None:
        self.mesh, self.law = mesh, law
        self._strains = strain_operator(mesh, places)
        self._interpolation = interpolation(mesh, places)

    def strain(self, displacement: _Floats) -> _Floats:
        """Return the strains (m, 6) of a displacement (N, 3) or (3 N,), mm."""
        return np.asarray(self._strains @ displacement.reshape(-1)).reshape(-1, 6)

    def temperature(self, loads: LoadCase, time: float) -> _Floats:
        """Return the temperatures (m,) at a time, degrees Celsius."""
        reference = self.law.reference_temperature
        return np.asarray(
            self._interpolation @ loads.temperature_at(time, self.mesh.n_nodes, reference)
        )

    def virgin(self, loads: LoadCase, time: float, displacement: _Floats) -> PointState:
        """Return the state of virgin material."""
        strain = self.strain(displacement)
        return PointState(
            time=time,
            strain=strain,
            temperature=self.temperature(loads, time),
            stress=np.zeros_like(strain),
            internal=self.law.initial_state(len(strain)),
        )

    def follow(
        self, loads: LoadCase, times: _Floats, displacements: _Floats, start: PointState
    ) -> Iterator[PointState]:
        """Give the states after each step of a path from `start` on.

        Parameters
        ----------
        loads
            For the temperature.
        times
            After each step, (T,).
        displacements
            (T, N, 3), mm.
        start
            Before the first step.
        """
        path = (
            (float(t), self.strain(u), self.temperature(loads, float(t)))
            for t, u in zip(times, displacements, strict=True)
        )
        return replay(self.law, start, path)
