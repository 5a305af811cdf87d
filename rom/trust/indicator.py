r"""An error indicator that was calibrated on trajectories that were left out.

For each training trajectory, a model of all others predicts it. This gives pairs of its true
relative error E and of what was known in advance: the statistic R of the regression (where it has
one) and the distance d to the nearest training point. Then

.. math:: \eta(\mu) = \exp\big(f(\log R, \log d) + \theta g(\mu) + q\big),

with the fit of `rom.trust.log_fit` and the conformal quantile q: the
:math:`\lceil (n + 1) p \rceil`-th smallest of the n residuals of pairs that their own fit has not
seen, for the level p. If :math:`(n + 1) p > n`, there are too few pairs for this level: q is the
largest residual, and the level that is reached is n / (n + 1).

The statement holds for queries that are distributed as the training set is: samples that were
chosen where errors are large do not count for q (counted, they made all errors of held-out
simulations stay below the indicator, and it a third larger). Out of range nothing is promised, and
eta only grows with the distance. Features are never taken smaller than the
smallest of the calibration: nothing says that errors go on falling.

Sources: Vovk, Gammerman, Shafer (2005), "Algorithmic learning in a random world",
doi:10.1007/b106715; cross-conformal: Barber, Candès, Ramdas, Tibshirani (2021), "Predictive
inference with the jackknife+", doi:10.1214/20-AOS1965. The fit is our own.
"""

import math
from dataclasses import dataclass
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError
from rom.trust.log_fit import LogFit, fit_log

__all__ = ["Calibration", "ErrorIndicator", "Pairs", "calibrate"]

type _Floats = NDArray[np.float64]

_LEAST = 1e-15
_FEWEST = 3


@final
@dataclass(frozen=True, eq=False)
class Pairs:
    """Errors of trajectories that were left out, and what was known in advance.

    Attributes
    ----------
    points
        Unit coordinates, (m, d).
    errors
        True relative errors E, (m,).
    distances
        To the nearest of the other points, (m,).
    statistics
        R, (m,), or None.
    """

    points: _Floats
    errors: _Floats
    distances: _Floats
    statistics: _Floats | None


@final
@dataclass(frozen=True)
class Calibration:
    """What is known about the indicator.

    Attributes
    ----------
    level
        That was asked for.
    reached
        That the number of pairs allows; the statement of the indicator.
    covered
        Part of the pairs below an indicator that was calibrated without them.
    n_pairs
        Number of pairs.
    sharpness
        Median of indicator over error of these.
    quantile
        q.
    """

    level: float
    reached: float
    covered: float
    n_pairs: int
    sharpness: float
    quantile: float


@final
@dataclass(frozen=True, eq=False)
class ErrorIndicator:
    """See the module. Made by `calibrate`.

    Attributes
    ----------
    fit
        f, theta and g.
    floors
        Smallest logarithms of the features, (k,): (log R, log d), or (log d,) alone.
    calibration
        q and what is known.
    """

    fit: LogFit
    floors: _Floats
    calibration: Calibration

    @property
    def with_statistic(self) -> bool:
        """Whether it uses the statistic of the regression."""
        return len(self.floors) == 2

    def __call__(
        self, statistic: _Floats | None, distance: _Floats, squares: _Floats
    ) -> _Floats:  # fmt: skip
        """Return eta, shape (q,).

        Parameters
        ----------
        statistic
            R, (q,); not used if the calibration had none.
        distance
            To the nearest training point, (q,).
        squares
            Squared distances to the points of the calibration, (q, m).
        """
        columns = [statistic] if self.with_statistic and statistic is not None else []
        z = _logarithms([*columns, distance])
        log_eta = self.fit.predict(np.maximum(z, self.floors), squares) + self.calibration.quantile
        # More than that says nothing more, and JSON knows no infinity.
        return np.asarray(np.exp(np.minimum(log_eta, 300.0)))

    def arrays(self) -> dict[str, _Floats]:
        """Return the numbers from which `restored` makes it again."""
        return {
            "beta": self.fit.beta,
            "residuals": self.fit.residuals,
            "floors": self.floors,
            "window": np.array([self.fit.width, self.fit.part]),
        }

    @classmethod
    def restored(cls, arrays: dict[str, NDArray[np.float64]], calibration: Calibration) -> Self:
        """Return the indicator that `arrays` came from."""
        width, part = arrays["window"].tolist()
        beta, residuals, floors = (
            np.array(arrays[name], np.float64) for name in ("beta", "residuals", "floors")
        )
        return cls(LogFit(beta, residuals, width, part), floors, calibration)


def calibrate(
    pairs: Pairs, level: float = 0.95, counted: NDArray[np.bool_] | None = None
) -> ErrorIndicator:
    """Return the indicator for the pairs.

    Parameters
    ----------
    pairs
        Of trajectories that were left out.
    level
        The probability p with which errors shall be below it, in (0, 1).
    counted
        Which of the pairs the quantile comes from, (m,): those whose parameters are distributed as
        queries are. The others, chosen where errors are large, only teach the fit. None: all.

    Raises
    ------
    UserError
        If there are less than 3 pairs, or the level is out of its range.
    """
    n = len(pairs.errors) if counted is None else int(counted.sum())
    if n < _FEWEST or not 0 < level < 1:
        raise UserError(
            f"Expected at least {_FEWEST} trajectories that were left out and a level between 0 "
            f"and 1; received {n} and {level}. Compute more trajectories."
        )
    columns = [pairs.distances] if pairs.statistics is None else [
        pairs.statistics, pairs.distances
    ]  # fmt: skip
    z, y = _logarithms(columns), np.log(np.maximum(pairs.errors, _LEAST))
    away = pairs.points[:, np.newaxis] - pairs.points
    squares = np.vecdot(away, away)
    width = float(np.median(pairs.distances)) or 1.0
    fit, left = fit_log(z, y, squares, width)
    own = left if counted is None else left[counted]
    return ErrorIndicator(fit, z.min(axis=0), _calibration(own, level))


def _calibration(left: _Floats, level: float) -> Calibration:
    quantile, reached = _quantile(left, level)
    own = np.array([_quantile(np.delete(left, i), level)[0] for i in range(len(left))])
    return Calibration(
        level=level,
        reached=reached,
        covered=float((left <= own).mean()),
        n_pairs=len(left),
        sharpness=float(np.exp(np.median(own - left))),
        quantile=quantile,
    )


def _quantile(residuals: _Floats, level: float) -> tuple[float, float]:
    """Return the conformal quantile and the level that it holds for."""
    n = len(residuals)
    place = math.ceil((n + 1) * level - 1e-12)
    reached = level if place <= n else n / (n + 1)
    return float(np.sort(residuals)[min(place, n) - 1]), reached


def _logarithms(columns: list[_Floats]) -> _Floats:
    features = np.empty((len(columns[0]), len(columns)))
    for i, column in enumerate(columns):
        features[:, i] = column
    return np.log(np.maximum(features, _LEAST))
