r"""Scales of the fields of a study: what makes fields of different units comparable.

The scale of a field is the root mean square of its values over all snapshots and points,

.. math:: s_f^2 = \frac{1}{k n_f} \sum_{i \le k} \| u_{f,i} - \bar u_f \|_2^2,

after the mean snapshot was taken off (or not). Components of one vector share one scale, so that
the product does not depend on the directions of the axes. One pass, one trajectory in memory; the
means are merged as in `infra.statistics`.
"""

import math
from typing import final

import numpy as np
from numpy.typing import NDArray

from infra.field_space import FieldInfo, FieldSpace
from rom.snapshots import Progress, Snapshots

__all__ = ["field_scales"]

type _Floats = NDArray[np.float64]

# Less than this part of a field's size is rounding.
_ROUNDING = 1e-13
_COMPONENTS = ("_x", "_y", "_z")


def field_scales(
    snapshots: Snapshots,
    *,
    centre: bool = True,
    memory: int | None = None,
    progress: Progress | None = None,
) -> dict[str, float]:
    """Return the scale of each field, in its units, see the module.

    Parameters
    ----------
    snapshots
        Read once.
    centre
        Whether the basis will be centred.
    memory, progress
        As in `Snapshots.read`.

    Returns
    -------
    dict
        Positive numbers by name of the field. A field that does not vary has the size of its
        constant value as its scale, and 1 if it is zero.
    """
    moments = _Moments(snapshots.space)
    for trajectory in snapshots.read(memory=memory, progress=progress):
        moments.add(trajectory.values)
    groups: dict[tuple[str, str, str], list[FieldInfo]] = {}
    for info in snapshots.space.fields:
        groups.setdefault(_vector_of(info), []).append(info)
    return {
        info.name: moments.scale(group, centre=centre)
        for group in groups.values()
        for info in group
    }


@final
class _Moments:
    """Mean snapshot, and per field the sum of squared deviations from it."""

    def __init__(self, space: FieldSpace) -> None:
        self._space = space
        self._count = 0
        self._mean: _Floats = np.zeros(space.n_values)
        self._squares = dict.fromkeys(space.slices, 0.0)

    def add(self, values: _Floats) -> None:
        """Take in the frames of a trajectory, (T, n)."""
        new, old = len(values), self._count
        mean = values.mean(axis=0)
        shift = mean - self._mean
        self._count += new
        for name, place in self._space.slices.items():
            deviation = values[:, place] - mean[place]
            between = float(shift[place] @ shift[place]) * old * new / self._count
            self._squares[name] += float(np.vdot(deviation, deviation)) + between
        self._mean += shift * (new / self._count)

    def scale(self, group: list[FieldInfo], *, centre: bool) -> float:
        """Return the scale of a vector's components; see `field_scales`."""
        size = sum(info.size for info in group)
        squares = sum(self._squares[info.name] for info in group) / (size * self._count)
        means = [self._mean[self._space.slices[info.name]] for info in group]
        constant = sum(float(mean @ mean) for mean in means) / size
        varies = squares > _ROUNDING**2 * constant
        return math.sqrt(squares if centre and varies else squares + constant) or 1.0


def _vector_of(info: FieldInfo) -> tuple[str, str, str]:
    """Return what components of one vector have in common."""
    stem = info.name[:-2] if info.name.endswith(_COMPONENTS) else info.name
    return stem, info.units, info.location
