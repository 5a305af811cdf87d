r"""Where a list of singular values is cut off.

The modes 1..r are kept, with the smallest r for which what is left out is small,

.. math:: \sum_{j > r} \sigma_j^2 \le \max(\epsilon^2 \sum_j \sigma_j^2, \; b),

for a relative tolerance :math:`\epsilon` and an absolute budget b: by Eckart and Young (1936,
doi:10.1007/BF02288367) the left side is the sum of the squared projection errors.
"""

from dataclasses import dataclass, replace
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError

__all__ = ["Factors", "Truncation", "mode_signs"]

type _Floats = NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class Factors:
    """A truncated singular value decomposition in an inner product.

    Attributes
    ----------
    modes
        Orthonormal in the product, shape (n, r).
    singular_values
        All of them that were computed, descending, shape (m,), m >= r.
    """

    modes: _Floats
    singular_values: _Floats

    @property
    def scaled(self) -> _Floats:
        """Modes times their singular values, shape (n, r)."""
        return self.modes * self.singular_values[: self.modes.shape[1]]

    @property
    def left_out(self) -> float:
        """Sum of the squared singular values without a mode."""
        return float((self.singular_values[self.modes.shape[1] :] ** 2).sum())


@final
@dataclass(frozen=True)
class Truncation:
    """How many modes are kept.

    Attributes
    ----------
    rank
        At most so many, >= 1; None: no limit.
    tolerance
        Relative tolerance, in [0, 1).
    budget
        Absolute tolerance of the sum of squares, >= 0.
    floor
        Singular values up to this one are rounding: they are never kept.

    Raises
    ------
    UserError
        If a number is out of its range.
    """

    rank: int | None = None
    tolerance: float = 0.0
    budget: float = 0.0
    floor: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.tolerance < 1 or (self.rank is not None and self.rank < 1):
            raise UserError(
                "Expected a tolerance from 0 to below 1 and a number of modes of at least 1; "
                f"received {self.tolerance} and {self.rank}."
            )

    @property
    def exact(self) -> bool:
        """Whether every mode is asked for that is more than rounding."""
        return self.rank is None and not (self.tolerance or self.budget)

    def above(self, floor: float) -> Self:
        """Return the same with a floor that is at least this one."""
        return replace(self, floor=max(floor, self.floor))

    def count(self, singular_values: _Floats) -> int:
        """Return the number r of modes to keep of these, which descend; see the module."""
        left_out = np.cumsum(singular_values[::-1] ** 2)[::-1]
        total = float(left_out[0]) if left_out.size else 0.0
        kept = int((left_out > max(self.tolerance**2 * total, self.budget)).sum())
        real = int((singular_values > self.floor).sum())
        limit = len(singular_values) if self.rank is None else self.rank
        return min(kept, real, limit)


def mode_signs(right: _Floats) -> _Floats:
    """Return the signs, (r,), that fix those of modes: a decomposition leaves them open.

    Parameters
    ----------
    right
        Right singular vectors, shape (k, r). The largest entry of each shall become positive;
        it does not move when fields are cut into parts or snapshots change places.
    """
    largest = np.abs(right).argmax(axis=0) if right.size else np.empty(0, np.int64)
    return np.asarray(np.where(right[largest, np.arange(len(largest))] < 0, -1.0, 1.0))
