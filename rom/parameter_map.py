r"""The map from parameters in units to unit coordinates, with its slope.

The same coordinates as `solvers.parameters.ParameterSpace.to_unit`, but a query outside the box
is mapped too (it is flagged, not refused): on a logarithmic scale, values at or below
:math:`a^2/b` have the coordinate -1.
"""

from collections.abc import Mapping
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from infra.errors import UserError
from solvers.parameters import ParameterSpace
from solvers.scales import normal_mass

__all__ = ["ParameterMap"]

type _Floats = NDArray[np.float64]

_ROOT_TWO_PI = float(np.sqrt(2 * np.pi))


@final
class ParameterMap:
    """See the module.

    Parameters
    ----------
    space
        The parameters; those whose bounds leave one value are fixed and have no coordinate.

    Raises
    ------
    UserError
        If no parameter varies.
    """

    def __init__(self, space: ParameterSpace) -> None:
        self.space = space
        self.names = tuple(p.name for p in space.free)
        if not self.names:
            raise UserError("Expected at least one parameter that varies; all are fixed.")
        self._free = frozenset(self.names)
        self._low = np.array([p.low for p in space.free])
        self._width = np.array([p.high for p in space.free]) - self._low
        self._linear = all(p.scale == "linear" for p in space.free)
        self._log = np.array([p.scale == "log" for p in space.free])
        self._normal = np.array([p.scale == "normal" for p in space.free])
        with np.errstate(divide="ignore", invalid="ignore"):
            self._decades = np.where(self._log, np.log1p(self._width / self._low), 1.0)

    def values(self, mu: Mapping[str, Any] | ArrayLike) -> _Floats:
        """Return the values of the free parameters, shape (q, d), for any form of a query.

        Parameters
        ----------
        mu
            A mapping from names to numbers, or to arrays of q numbers; fixed parameters may be
            left out. Or an array (q, d) of the free parameters, (d,) for one query.

        Raises
        ------
        UserError
            The message lists every name that is missing or unknown, and every value that is not
            a finite number.
        """
        values = self._named(mu) if isinstance(mu, Mapping) else _array(mu)
        if values.ndim == 1:
            values = values[np.newaxis]
        if values.ndim != 2 or values.shape[1] != len(self.names) or not len(values):
            raise UserError(
                f"Expected parameters of shape (q, {len(self.names)}), columns "
                f"{', '.join(self.names)}; received {values.shape}."
            )
        if not np.isfinite(values).all():
            bad = [n for n, ok in zip(self.names, np.isfinite(values).all(axis=0), strict=True)
                   if not ok]  # fmt: skip
            raise UserError(f"Expected finite numbers; {', '.join(bad)}: received NaN or infinity.")
        return values

    def units(self, values: _Floats) -> _Floats:
        """Return the unit coordinates (q, d) of values (q, d)."""
        u: _Floats = (values - self._low) / self._width
        if self._linear:
            return u
        if self._log.any():
            low = self._low[self._log]
            excess = np.maximum((values[:, self._log] - low) / low, np.finfo(float).eps - 1.0)
            # Infinitely far on a logarithmic scale is no place that a regressor could answer for.
            u[:, self._log] = np.maximum(np.log1p(excess) / self._decades[self._log], -1.0)
        if self._normal.any():
            u[:, self._normal] = self.space.to_unit(self._positive(values))[:, self._normal]
        return u

    def slopes(self, values: _Floats) -> _Floats:
        """Return the derivatives (q, d) of the unit coordinates by the values (q, d)."""
        slopes = np.broadcast_to(1.0 / self._width, values.shape).copy()
        log = self._log
        if log.any():
            safe = np.maximum(values[:, log], np.finfo(float).tiny)
            inside = self.units(values)[:, log] > -1.0
            slopes[:, log] = np.where(inside, 1.0 / (safe * self._decades[log]), 0.0)
        if self._normal.any():
            x, low = values[:, self._normal], self._low[self._normal]
            mass = normal_mass(low, low + self._width[self._normal])
            slopes[:, self._normal] = np.exp(-(x**2) / 2) / (_ROOT_TWO_PI * mass)
        return slopes

    def _positive(self, values: _Floats) -> _Floats:
        """Return values at which logarithmic scales are defined; only others are used."""
        return np.where(self._log, np.maximum(values, np.finfo(float).tiny), values)

    def _named(self, mu: Mapping[str, Any]) -> _Floats:
        if mu.keys() == self._free:
            numbers = [mu[name] for name in self.names]
            if all(type(number) is float for number in numbers):  # one query, the usual one
                return np.array([numbers])
        self._require_names(mu)
        columns = [_array(mu[name], name) for name in self.names]
        try:
            return np.stack(np.broadcast_arrays(*columns), axis=-1)
        except ValueError as error:
            raise UserError(
                "Expected one number per parameter, or equally many for each; received the "
                f"shapes {[c.shape for c in columns]}."
            ) from error

    def _require_names(self, mu: Mapping[str, Any]) -> None:
        problems = [f"{n}: missing" for n in self.names if n not in mu]
        problems += [f"{n}: unknown parameter" for n in mu if n not in self.space.names]
        for p in self.space.parameters:
            if p.fixed and p.name in mu and not np.all(np.asarray(mu[p.name]) == p.low):
                problems.append(f"{p.name}: fixed at {p.low:g} in this model")
        if problems:
            raise UserError(
                f"Expected values of {', '.join(self.names)}; received wrong entries:\n  - "
                + "\n  - ".join(problems)
            )


def _array(value: Any, name: str = "mu") -> _Floats:
    array = np.asarray(value)
    if array.dtype.kind not in "iuf":
        raise UserError(f"{name}: expected numbers; received {value!r}.")
    return array.astype(np.float64)
