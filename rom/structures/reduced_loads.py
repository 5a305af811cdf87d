r"""What loads are for a reduced structure: few numbers per time, whatever the mesh.

.. math:: F_i(t) = \sum_l a_l(t)\, \psi_i^T f_l
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from solvers.loads import Amplitude

__all__ = ["ReducedLoads"]

type _Floats = NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class ReducedLoads:
    """Loads at the modes and points of one reduced structure.

    Attributes
    ----------
    amplitudes
        One per force.
    forces
        psi^T f with the magnitudes, (number of forces, n), N mm.
    lift_times, lifts
        Where prescribed displacements bend, (k,), s, and their values, (k, moved), mm.
    temperature_times, temperatures
        (k,), s, and at the points, (k, m), degrees Celsius.
    """

    amplitudes: tuple[Amplitude, ...]
    forces: _Floats
    lift_times: _Floats
    lifts: _Floats
    temperature_times: _Floats
    temperatures: _Floats

    def force(self, time: float) -> _Floats:
        """Return F, (n,)."""
        factors = np.array([amplitude(time) for amplitude in self.amplitudes])
        return np.asarray(factors @ self.forces)

    def lift(self, time: float) -> _Floats:
        """Return the prescribed displacements, (moved,), mm."""
        return _between(self.lift_times, self.lifts, time)

    def temperature(self, time: float) -> _Floats:
        """Return the temperatures at the points, (m,), degrees Celsius."""
        return _between(self.temperature_times, self.temperatures, time)


def _between(times: _Floats, rows: _Floats, time: float) -> _Floats:
    """Return a row between those of two times, constant outside."""
    after = int(np.searchsorted(times, time, side="right"))
    if after in (0, len(times)):
        return np.array(rows[min(after, len(times) - 1)])
    share = (time - times[after - 1]) / (times[after] - times[after - 1])
    return np.asarray((1.0 - share) * rows[after - 1] + share * rows[after])
