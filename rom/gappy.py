r"""Fields from their values at few points: gappy proper orthogonal decomposition.

With the modes :math:`\Phi_s` at the points and values :math:`\hat p` there,

.. math::
   z = \arg\min \|\Phi_s z - \hat p\|, \qquad \tilde p = \Phi z, \qquad
   R = \|\hat p - \Phi_s z\| / \max(\|\hat p\|, \theta P),

where P is the largest :math:`\|\hat p\|` of the training. R tells which part of the values no mode
can explain. It has no unit; where the values are zero, or a small part theta of what the training
saw, it is relative to the training. With as many values as modes R would be zero whatever the
values are: at least 1.5 points per mode are asked for.

Source: Everson and Sirovich (1995), doi:10.1364/JOSAA.12.001657; the choice of points maximises
the determinant of the normal equations greedily, as in optimal design (Fedorov, 1972).
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from infra.errors import UserError
from rom.parts import Parts
from rom.reduction import Reducer

__all__ = ["POINTS_PER_MODE", "Gappy", "least_points", "spread_points"]

type _Floats = NDArray[np.float64]
type _Ints = NDArray[np.int64]

POINTS_PER_MODE = 1.5
# Below this part of the training's values a residual is relative to these.
_SMALL = 0.01
# Normal equations are regular from the first point on.
_REGULAR = 1e-8


def least_points(modes: int) -> int:
    """Return the least number of points for so many modes."""
    return math.ceil(POINTS_PER_MODE * modes)


@final
@dataclass(frozen=True, eq=False)
class Gappy:
    """A fit of modes to values at points; see the module.

    Attributes
    ----------
    modes
        Phi_s, (m, c, r): at m points, with c components.
    size
        P, the largest norm of values at these points in the training, in the field's unit.

    Raises
    ------
    UserError
        If there are less than 1.5 points per mode, or the modes at the points depend on each
        other.
    """

    modes: _Floats
    size: float

    def __post_init__(self) -> None:
        m, _, r = self.modes.shape
        if m < least_points(r):
            raise UserError(
                f"Expected at least {least_points(r)} points for {r} modes ({POINTS_PER_MODE} per "
                f"mode), so that the residual says something; received {m}. Add points, or keep "
                "fewer modes."
            )
        if r and not np.isfinite(self.condition):
            raise UserError(
                f"Expected {r} modes that differ at the {m} points; received dependent ones. "
                "Choose other points, or keep fewer modes."
            )

    @property
    def rank(self) -> int:
        """Number r of modes."""
        return int(self.modes.shape[2])

    @cached_property
    def condition(self) -> float:
        """Condition number of Phi_s; infinite if the modes depend on each other there."""
        if not self.rank:
            return 1.0
        sigma = np.linalg.svd(self._flat, compute_uv=False)
        dependent = sigma[-1] <= sigma[0] * max(self._flat.shape) * np.finfo(np.float64).eps
        return math.inf if dependent else float(sigma[0] / sigma[-1])

    def fit(self, values: _Floats) -> tuple[_Floats, float]:
        """Return z, (r,), and R for values (m, c)."""
        Q, R = self._factors
        along = Q.T @ values.reshape(-1)
        z = solve_triangular(R, along, check_finite=False) if self.rank else along
        return np.asarray(z, np.float64), self.residual(values)

    def residual(self, values: _Floats) -> float:
        """Return R alone for values (m, c)."""
        Q, _ = self._factors
        flat = values.reshape(-1)
        rest = float(np.linalg.norm(flat - Q @ (Q.T @ flat)))
        below = max(float(np.linalg.norm(flat)), _SMALL * self.size)
        return rest / below if below > 0 else 0.0

    @property
    def _flat(self) -> _Floats:
        return self.modes.reshape(self.modes.shape[0] * self.modes.shape[1], self.rank)

    @cached_property
    def _factors(self) -> tuple[_Floats, _Floats]:
        Q, R = np.linalg.qr(self._flat)
        return Q, R


def spread_points(
    modes: _Floats, taken: _Ints, count: int, reducer: Reducer | None = None
) -> _Ints:
    """Return points beside those that are taken, so that modes are told apart well.

    Parameters
    ----------
    modes
        At all points, (N, c, r).
    taken
        Points that there are already.
    count
        Number of points in all that is wanted; none are returned if so many are taken.
    reducer
        Processes, all with the same arguments, of which each looks at its share of the points; by
        default this one alone.

    Returns
    -------
    numpy.ndarray
        Numbers of the new points, in the order in which they were chosen.
    """
    n, _, r = modes.shape
    chosen: list[int] = []
    if not r or len(taken) >= count:
        return np.empty(0, np.int64)
    flat = modes[taken].reshape(-1, r)
    largest = float(np.einsum("kci,kci->k", modes, modes).max())
    normal = flat.T @ flat + _REGULAR * largest * np.eye(r)
    free = np.ones(n, np.bool_)
    free[taken] = False
    parts = Parts(n, reducer)
    while len(taken) + len(chosen) < min(count, n):
        inverse = np.linalg.inv(normal)
        said = [np.zeros(0), *(_said(modes[block], inverse) for block in parts.blocks)]
        own = np.where(free[parts.here], np.concatenate(said), -np.inf)
        best, _ = parts.first_of_largest(own)
        chosen.append(best)
        free[best] = False
        normal = normal + modes[best].T @ modes[best]
    return np.array(chosen, np.int64)


def _said(modes: _Floats, inverse: _Floats) -> _Floats:
    """Return by how much points (m, c, r) would enlarge the determinant."""
    return np.asarray(np.einsum("kci,kci->k", modes @ inverse, modes))
