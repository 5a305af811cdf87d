r"""A local basis written in the coordinates of another one: no field is needed to make it.

With the coordinates z of fields in a basis of many modes, orthonormal in the product, the POD of
some of the fields is that of their coordinates in the Euclidean product:

.. math:: z \approx m + V a, \qquad a = V^T (z - m) .

It comes from the covariance of the coordinates, hence directions of a singular value below
:math:`10^{-7}` of all are rounding.
"""

from dataclasses import dataclass
from typing import Self, final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

__all__ = ["Span", "joint_directions"]

type _Floats = NDArray[np.float64]

# Part of the sum of all squares below which an eigenvalue is rounding.
_ROUNDING = 1e-14


@final
@dataclass(frozen=True, eq=False)
class Span:
    """See the module.

    Attributes
    ----------
    mean
        m, shape (R,); zeros if it is not centred.
    modes
        V, shape (R, r), orthonormal.
    """

    mean: _Floats
    modes: _Floats

    @classmethod
    def of(cls, rows: _Floats, rank: int | None, *, centre: bool) -> Self:
        """Return the POD basis of coordinates (k, R).

        Parameters
        ----------
        rows
            The coordinates, k >= 1.
        rank
            At most so many modes; None: all that are more than rounding. There is at least one.
        centre
            Whether the mean is taken off.
        """
        mean = rows.mean(axis=0) if centre else np.zeros(rows.shape[1])
        away = rows - mean
        size = rows.shape[1]
        most = size if rank is None else min(rank, size)
        values, modes = eigh(away.T @ away, subset_by_index=(size - most, size - 1))
        rounding = _ROUNDING * float(np.vdot(rows, rows))
        count = max(1, int((values > rounding).sum()))
        return cls(mean, np.ascontiguousarray(modes[:, ::-1][:, :count]))

    @property
    def rank(self) -> int:
        """Number r of modes."""
        return int(self.modes.shape[1])

    def coefficients(self, z: _Floats) -> _Floats:
        """Return a, shape (..., r), for coordinates (..., R)."""
        return np.asarray((z - self.mean) @ self.modes)

    def lift(self, a: _Floats) -> _Floats:
        """Return the coordinates (..., R) for coefficients (..., r)."""
        return np.asarray(self.mean + a @ self.modes.T)

    def turned(self, directions: _Floats) -> Self:
        """Return the same in the coordinates of orthonormal directions (R, R') that hold it."""
        return type(self)(self.mean @ directions, directions.T @ self.modes)


def joint_directions(spans: tuple[Span, ...]) -> _Floats:
    """Return orthonormal directions (R, R') that hold all modes and means, as few as can be.

    The first ones are those that most modes share.
    """
    columns = [span.modes for span in spans]
    means = np.stack([span.mean for span in spans], axis=1)
    sizes = np.linalg.norm(means, axis=0)
    left, values, _ = np.linalg.svd(
        np.concatenate([*columns, means[:, sizes > 0] / sizes[sizes > 0]], axis=1),
        full_matrices=False,
    )
    return np.ascontiguousarray(left[:, values > np.sqrt(_ROUNDING) * values[0]])
