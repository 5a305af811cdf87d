"""Regression of quantities of interest: of their own numbers, not of the fields."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError
from infra.records import Json
from rom.regression.state import Arrays, State, entry, nest, part
from rom.regression.time_registry import make_time_regressor, time_regressor_from_state
from rom.regression.time_regressor import TimeRegressor
from rom.snapshots import Snapshots

__all__ = ["QuantityModel", "fit_quantities"]

type _Floats = NDArray[np.float64]

# Time modes of quantities cost little: they are kept to more digits than those of fields.
_TIME_TOLERANCE = 1e-5


@final
@dataclass(frozen=True, eq=False)
class _Group:
    """Quantities on one grid of times, each scaled to the deviation 1."""

    names: tuple[str, ...]
    mean: _Floats
    scale: _Floats
    regressor: TimeRegressor

    def predict(self, u: _Floats, times: _Floats) -> _Floats:
        """Return (q, k, number of quantities)."""
        return self.regressor.predict(u, times) * self.scale + self.mean

    def jacobian(self, u: _Floats, times: _Floats) -> _Floats:
        """Return (q, k, number of quantities, d)."""
        return self.regressor.jacobian(u, times) * self.scale[:, np.newaxis]


@final
@dataclass(frozen=True, eq=False)
class QuantityModel:
    """All quantities of interest of a model.

    Attributes
    ----------
    units
        Units by name.
    errors
        By name: root mean square error of trajectories that were left out, over the deviation of
        the quantity.
    left_out
        Quantities that hold no number somewhere: nothing can be learnt from them.
    series, single
        Those with a number per output time, and those with one per sample.
    """

    units: Mapping[str, str]
    errors: Mapping[str, float]
    left_out: tuple[str, ...] = ()
    series: _Group | None = None
    single: _Group | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all quantities."""
        return tuple(self.units)

    def predict(
        self, names: tuple[str, ...], u: _Floats, times: _Floats
    ) -> dict[str, _Floats]:  # fmt: skip
        """Return quantities by name, (q, k) or (q, 1) for one number per sample.

        Raises
        ------
        UserError
            If a name is unknown.
        """
        wanted = self._wanted(names)
        return {
            name: values
            for group, at in self._groups(times)
            if wanted & set(group.names)
            for name, values in _columns(group.names, group.predict(u, at), wanted)
        }

    def jacobian(
        self, names: tuple[str, ...], u: _Floats, times: _Floats
    ) -> dict[str, _Floats]:  # fmt: skip
        """Return derivatives by the unit coordinates, (q, k, d) or (q, 1, d)."""
        wanted = self._wanted(names)
        return {
            name: values
            for group, at in self._groups(times)
            if wanted & set(group.names)
            for name, values in _columns(group.names, group.jacobian(u, at), wanted)
        }

    def state(self) -> State:
        """Return what `from_state` needs."""
        arrays: Arrays = {}
        text: dict[str, Json] = {
            "units": dict(self.units),
            "errors": dict(self.errors),
            "left_out": list(self.left_out),
        }
        for name, group in (("series", self.series), ("single", self.single)):
            if group is not None:
                own, described = group.regressor.state()
                own |= {"quantity_mean": group.mean, "quantity_scale": group.scale}
                arrays |= nest(name, own)
                text[name] = {"names": list(group.names), "regressor": described}
        return arrays, text

    @classmethod
    def from_state(cls, arrays: Mapping[str, NDArray[Any]], text: Mapping[str, Json]) -> Self:
        """Return the model of a state.

        Raises
        ------
        StoreError
            If entries are missing.
        """
        errors: Any = text.get("errors", {})
        left_out: Any = text.get("left_out", [])
        self = cls(
            {n: str(u) for n, u in entry(text, "units").items()}, dict(errors), tuple(left_out)
        )
        for name in ("series", "single"):
            if name in text:
                group = _restored(part(name, arrays), entry(text, name))
                self = replace(self, **{name: group})  # type: ignore[arg-type]
        return self

    def _wanted(self, names: tuple[str, ...]) -> set[str]:
        unknown = [name for name in names if name not in self.units]
        if unknown or not self.units:
            raise UserError(
                f"Expected quantities out of {', '.join(self.units) or 'none'}; received "
                f"{unknown or 'a question for quantities'}."
            )
        return set(names or self.units)

    def _groups(self, times: _Floats) -> list[tuple[_Group, _Floats]]:
        pairs = [(self.series, times), (self.single, np.zeros(1))]
        return [(group, at) for group, at in pairs if group is not None]


def fit_quantities(
    snapshots: Snapshots,
    x: _Floats,
    regressor: str,
    options: Mapping[str, Json],
    rng: np.random.Generator,
) -> QuantityModel:
    """Return the model of the quantities of all samples.

    Parameters
    ----------
    snapshots
        Their quantities are read, not their fields.
    x
        Unit coordinates of the samples, (m, d).
    regressor, options
        Over the parameters.
    rng
        For methods that draw numbers.
    """
    rows = [snapshots.quantities(index) for index in snapshots.indices]
    table = {name: np.array([row[name] for row in rows]) for name in (rows[0] if rows else {})}
    left_out = tuple(n for n, values in table.items() if not np.isfinite(values).all())
    kept = {n: values for n, values in table.items() if n not in left_out}
    errors: dict[str, float] = {}
    groups: dict[str, _Group] = {}
    n_times = len(snapshots.times)
    settings: dict[str, Json] = {
        "tolerance": _TIME_TOLERANCE, "regressor": regressor, "options": dict(options)
    }  # fmt: skip
    for kind, times in (("series", snapshots.times), ("single", np.zeros(1))):
        own = {n: v for n, v in kept.items() if (v.shape[1] == n_times) == (kind == "series")}
        if own:
            group, y = _fitted(own, x, times, settings, rng)
            groups[kind] = group
            errors |= dict(zip(own, _left_out_errors(group, x, times, y, rng), strict=True))
    units = {name: snapshots.quantity_units[name] for name in kept}
    return QuantityModel(units, errors, left_out, groups.get("series"), groups.get("single"))


def _fitted(
    table: Mapping[str, _Floats],
    x: _Floats,
    times: _Floats,
    settings: Mapping[str, Json],
    rng: np.random.Generator,
) -> tuple[_Group, _Floats]:
    values = np.stack(list(table.values()), axis=2)
    mean, scale = values.mean(axis=(0, 1)), values.std(axis=(0, 1))
    scale = np.where(scale > 1e-14 * np.abs(mean), scale, 1.0)
    y = (values - mean) / scale
    fitted = make_time_regressor("time-modes", settings).fit(x, times, y, rng)
    return _Group(tuple(table), mean, scale, fitted), y


def _left_out_errors(
    group: _Group, x: _Floats, times: _Floats, y: _Floats, rng: np.random.Generator
) -> list[float]:
    squares = np.zeros(y.shape[2])
    for i in range(len(x)):
        others = np.arange(len(x)) != i
        learnt = group.regressor.refit(x[others], times, y[others], rng)
        squares += ((learnt.predict(x[i : i + 1], times)[0] - y[i]) ** 2).mean(axis=0)
    return [float(value) for value in np.sqrt(squares / len(x))]


def _columns(
    names: tuple[str, ...], values: _Floats, wanted: set[str]
) -> list[tuple[str, _Floats]]:  # fmt: skip
    return [(name, values[:, :, i]) for i, name in enumerate(names) if name in wanted]


def _restored(arrays: Mapping[str, NDArray[Any]], text: Mapping[str, Json]) -> _Group:
    names: Any = text.get("names", [])
    regressor = time_regressor_from_state(arrays, entry(text, "regressor"))
    mean, scale = (np.array(arrays[f"quantity_{n}"], np.float64) for n in ("mean", "scale"))
    return _Group(tuple(names), mean, scale, regressor)
