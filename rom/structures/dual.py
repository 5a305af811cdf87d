"""Bases of stresses and internal variables, from which fields come back by few values."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
from numpy.typing import NDArray

from rom.decomposition import decompose
from rom.gappy import Gappy
from rom.part_pod import pod_of_parts
from rom.parts import Parts
from rom.products import Diagonal
from rom.truncation import Truncation

__all__ = ["DualBasis", "DualModes", "dual_modes", "extended"]

type _Floats = NDArray[np.float64]
type _Ints = NDArray[np.int64]


@final
@dataclass(frozen=True, eq=False)
class DualModes:
    """Modes of a field at all material points.

    Attributes
    ----------
    name
        ``stress``, or an internal variable of the law.
    modes
        Orthonormal with the volumes of the points, (G, c, r); r is 0 for a field that was always
        zero.
    coefficients
        Of the k frames that it was made from, (k, r); orthogonal columns.
    """

    name: str
    modes: _Floats
    coefficients: _Floats

    def __post_init__(self) -> None:
        # One layout, whether they were computed or read: sums round alike.
        for name in ("modes", "coefficients"):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name)))

    @property
    def rank(self) -> int:
        """Number r of modes."""
        return int(self.modes.shape[2])

    @property
    def singular_values(self) -> _Floats:
        """Descending, (r,)."""
        return np.asarray(np.linalg.norm(self.coefficients, axis=0))

    @property
    def scaled(self) -> _Floats:
        """Modes times their singular values, (G, c, r): they say as much as all frames do."""
        return self.modes * self.singular_values

    def size(self, places: _Ints) -> float:
        """Return the largest norm of a frame at points (m,)."""
        own = self.modes[places].reshape(len(places) * self.modes.shape[1], self.rank)
        return float(np.linalg.norm(self.coefficients @ own.T, axis=1).max(initial=0.0))


@final
@dataclass(frozen=True, eq=False)
class DualBasis:
    """Modes of a field and how they are fitted to values at the model's points.

    Attributes
    ----------
    field
        The modes.
    places
        Numbers of the points, (m,).
    """

    field: DualModes
    places: _Ints

    @property
    def name(self) -> str:
        """Of the field."""
        return self.field.name

    @cached_property
    def gappy(self) -> Gappy:
        """The fit.

        Raises
        ------
        UserError
            If there are too few points.
        """
        at_places = np.ascontiguousarray(self.field.modes[self.places])
        return Gappy(at_places, self.field.size(self.places))

    def lift(self, values: _Floats) -> tuple[_Floats, float]:
        """Return the field (G, c) of values (m, c) at the points, and the residual R."""
        z, residual = self.gappy.fit(values)
        return np.asarray(self.field.modes @ z), residual


def dual_modes(
    name: str,
    frames: Sequence[_Floats],
    shape: tuple[int, int],
    volumes: _Floats,
    truncation: Truncation,
    points: Parts | None = None,
) -> DualModes:
    """Return the modes of frames at points with volumes (G,); whole, and the same everywhere.

    Parameters
    ----------
    name
        Of the field.
    frames
        Snapshots (k, g, c) at the g points of each block of this process, in their order.
    shape
        k and c.
    volumes
        That all points stand for, mm^3.
    truncation
        How many modes are kept.
    points
        Which points are here; by default all.
    """
    points = points or Parts(len(volumes))
    k, c = shape
    seen = points.reducer.sum(np.array([float(any(own.any() for own in frames))]))
    if not seen[0]:
        return DualModes(name, np.zeros((points.n, c, 0)), np.zeros((k, 0)))
    weights = [np.sqrt(np.repeat(volumes[block], c))[:, None] for block in points.blocks]
    columns = [own.reshape(k, -1).T for own in frames]
    basis = pod_of_parts(columns, lambda i, u: weights[i] * u, k, truncation, points)
    r = basis.rank
    own = np.concatenate([np.zeros((0, c, r)), *(m.reshape(-1, c, r) for m in basis.modes)])
    return DualModes(name, points.whole(own), basis.coefficients)


def extended(
    field: DualModes, frames: Sequence[_Floats], volumes: _Floats, tolerance: float
) -> DualModes:
    """Return the modes of what a field was made from, and of some more frames (G, c) each.

    The old modes go in with their singular values: what they stood for keeps its weight.
    """
    g, c, _ = field.modes.shape
    product = Diagonal(np.repeat(volumes, c))
    new = np.array([frame.reshape(-1) for frame in frames]).reshape(len(frames), g * c)
    columns = np.column_stack([field.scaled.reshape(g * c, -1), new.T])
    if not columns.any():
        return field
    modes = decompose(columns, product, Truncation(None, tolerance), "qr").modes
    old = product.gram(field.modes.reshape(g * c, -1), modes)
    coefficients = np.concatenate([field.coefficients @ old, product.gram(new.T, modes)])
    return DualModes(field.name, np.ascontiguousarray(modes).reshape(g, c, -1), coefficients)
