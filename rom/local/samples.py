"""What local bases are made from: snapshots, where they are in the parameter space, and units.

A unit is what is assigned to one cluster: all snapshots of one trajectory at one place x. If the
time is a coordinate of x, or the problem is steady, each snapshot is a unit; else a trajectory.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError
from rom.snapshots import Snapshots

__all__ = ["LocalSamples"]

type _Floats = NDArray[np.float64]
type _Ints = NDArray[np.int64]


@final
@dataclass(frozen=True, eq=False)
class LocalSamples:
    """Snapshots with unit coordinates.

    Attributes
    ----------
    rows
        Snapshots, (k, n).
    x
        Unit coordinates of each, (k, d): parameters, and perhaps the time.
    groups
        Number of the trajectory of each, (k,): cross-validation leaves out whole ones.

    Raises
    ------
    UserError
        If the shapes do not fit together, or the coordinates are not finite.
    """

    rows: _Floats
    x: _Floats
    groups: _Ints

    def __post_init__(self) -> None:
        k = len(self.rows)
        fits = self.rows.ndim == self.x.ndim == 2 and self.x.shape[1] > 0
        if not fits or len(self.x) != k or self.groups.shape != (k,):
            raise UserError(
                "Expected snapshots (k, n), coordinates (k, d) and trajectories (k,); received "
                f"shapes {self.rows.shape}, {self.x.shape} and {self.groups.shape}."
            )
        if not np.isfinite(self.x).all():
            raise UserError("Expected finite coordinates; received NaN or infinite ones.")

    @classmethod
    def of(
        cls,
        snapshots: Snapshots,
        to_unit: Callable[[_Floats], _Floats] | None = None,
        *,
        timed: bool = True,
        memory: int | None = None,
    ) -> Self:
        """Return the samples of a study.

        Parameters
        ----------
        snapshots
            Read into memory.
        to_unit
            Unit coordinates (m, p) of parameters (m, p); by default linear in their bounds.
        timed
            Whether the time, from 0 to 1 over the output times, is a coordinate too: then a
            trajectory may pass through several clusters.
        memory
            As in `Snapshots.matrix`.

        Raises
        ------
        UserError
            As in `Snapshots.matrix`.
        """
        times, m = snapshots.times, len(snapshots)
        rows = snapshots.matrix(memory=memory)
        unit = to_unit or (lambda mus: _linear(mus, snapshots.bounds))
        x = np.repeat(unit(snapshots.mus), len(times), axis=0)
        if timed and len(times) > 1:
            clock = (times - times[0]) / (times[-1] - times[0])
            x = np.column_stack([x, np.tile(clock, m)])
        return cls(rows, x, np.repeat(np.arange(m), len(times)))

    @cached_property
    def units(self) -> tuple[_Ints, ...]:
        """Places of the snapshots of each unit, in the order of their first ones."""
        keys = np.column_stack([self.groups, self.x])
        _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        places = [np.flatnonzero(inverse.ravel() == i) for i in np.argsort(first)]
        return tuple(places)

    @property
    def unit_x(self) -> _Floats:
        """Coordinates of the units, (m, d)."""
        return self.x[[unit[0] for unit in self.units]]

    @property
    def unit_groups(self) -> _Ints:
        """Trajectories of the units, (m,)."""
        return self.groups[[unit[0] for unit in self.units]]


def _linear(mus: _Floats, bounds: _Floats) -> _Floats:
    spread = bounds[:, 1] - bounds[:, 0]
    return np.asarray((mus - bounds[:, 0]) / np.where(spread > 0, spread, 1.0))
