r"""Parameters of a problem, the box that they span, and its map to the unit cube.

With the free parameters :math:`\mu_k \in [a_k, b_k]`, :math:`k = 1..d`, the unit coordinates are

.. math::
   u_k = \frac{\mu_k - a_k}{b_k - a_k} \quad \text{(linear)}, \qquad
   u_k = \frac{\ln(\mu_k / a_k)}{\ln(b_k / a_k)} \quad \text{(log)}.

Arrays of values have one row per sample and one column per *free* parameter, in the order of the
space; each column carries the unit of its parameter. A `mu` is a mapping of *every* name, fixed
parameters included, to a number in that unit.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Literal, Self, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError, field_validator

from infra.errors import UserError

__all__ = ["Interval", "Parameter", "ParameterSpace", "Restriction", "Scale"]

type Scale = Literal["linear", "log"]


@final
class Interval(BaseModel):
    """The text form of a narrower range: ``{low: 1.0, high: 2.0}``, in the parameter's unit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    low: FiniteFloat
    high: FiniteFloat

    @field_validator("low", "high", mode="before")
    @classmethod
    def _refuse_truth_values(cls, value: object) -> object:
        # Otherwise YAML's `yes` would silently become 1.0.
        if isinstance(value, bool):
            raise ValueError("expected a number, received a truth value")
        return value


type Restriction = float | Interval | Mapping[str, float]


@final
@dataclass(frozen=True)
class Parameter:
    """A named number with hard bounds; equal bounds mean that it is fixed.

    Attributes
    ----------
    name : a Python identifier
    low, high : bounds, included, in `unit`
    unit : for example ``"m s-1"``; ``"1"`` if dimensionless
    description : what it is, for catalogues and forms
    scale : the measure in which samplers spread it, ``"linear"`` or ``"log"``

    Raises
    ------
    UserError
        If a field is impossible; the message names every such field.
    """

    name: str
    low: float
    high: float
    unit: str
    description: str
    scale: Scale = "linear"

    def __post_init__(self) -> None:
        problems = [text for wrong, text in self._rules() if wrong]
        if problems:
            raise UserError(_listed(f"parameter {self.name!r} is impossible", problems))

    @property
    def fixed(self) -> bool:
        """Whether the bounds leave one value only."""
        return self.low == self.high

    @property
    def range_text(self) -> str:
        """The bounds as errors show them, for example ``[0.5, 2.0] m``."""
        return f"[{self.low}, {self.high}]" + ("" if self.unit == "1" else f" {self.unit}")

    def restricted(self, to: Restriction) -> Self:
        """Return the parameter with narrower bounds, or fixed if `to` is a number.

        Raises
        ------
        UserError
            If `to` is no number or interval, or leaves the present bounds.
        """
        interval = self._parsed(to)
        if not self.low <= interval.low <= interval.high <= self.high:
            raise UserError(
                f"{self.name}: expected low <= high inside {self.range_text}, "
                f"received [{interval.low}, {interval.high}]; choose a range inside these bounds"
            )
        return replace(self, low=interval.low, high=interval.high)

    def problem_with(self, value: object) -> str | None:
        """Say what is wrong with `value`, or return None if it is inside the bounds."""
        if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
            kind = "a number in"
        elif self.low <= value <= self.high:  # false for NaN and infinities too
            return None
        else:
            kind = "a value in"
        return f"{self.name}: expected {kind} {self.range_text}, received {value!r}"

    def _parsed(self, to: Restriction) -> Interval:
        if isinstance(to, Interval):
            return to
        form = to if isinstance(to, Mapping) else {"low": to, "high": to}
        try:
            return Interval.model_validate(form)
        except ValidationError as error:
            raise UserError(
                f"{self.name}: expected a finite number or {{low, high}} inside "
                f"{self.range_text}, received {to!r}"
            ) from error

    def _rules(self) -> list[tuple[bool, str]]:
        log, bounds = self.scale == "log", f"received [{self.low}, {self.high}]"
        span = self.high / self.low if log and self.low > 0 else 1.0
        return [
            (not self.name.isidentifier(), "name: expected letters, digits and underscores"),
            (not self.unit.strip(), 'unit: expected a unit, or "1" if dimensionless'),
            (self.scale not in ("linear", "log"), f"scale: expected linear or log, {self.scale!r}"),
            # An infinite or NaN bound makes the width one too, and so does an overflow.
            (not math.isfinite(self.high - self.low), f"expected a finite range, {bounds}"),
            (self.low > self.high, f"expected low <= high, {bounds}"),
            (log and self.low <= 0, f"scale log: expected low > 0, {bounds}"),
            (not math.isfinite(span), f"scale log: expected a finite high / low, {bounds}"),
        ]


@final
@dataclass(frozen=True)
class ParameterSpace:
    """The box of all admissible `mu`: an ordered tuple of parameters with distinct names."""

    parameters: tuple[Parameter, ...]

    def __post_init__(self) -> None:
        names = self.names
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise UserError(f"expected distinct parameter names, received twice: {twice}; rename")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all parameters, fixed ones included."""
        return tuple(p.name for p in self.parameters)

    @property
    def free(self) -> tuple[Parameter, ...]:
        """The parameters that vary: one column each in arrays of values."""
        return tuple(p for p in self.parameters if not p.fixed)

    @property
    def dimension(self) -> int:
        """The number d of free parameters."""
        return len(self.free)

    @property
    def bounds(self) -> NDArray[np.float64]:
        """Bounds of all parameters, shape (len(names), 2), in the parameters' units."""
        return _bounds(self.parameters)

    def to_unit(self, values: ArrayLike) -> NDArray[np.float64]:
        """Map values of shape (n, d) to unit coordinates; values outside the box leave [0, 1].

        Raises
        ------
        UserError
            For another shape, a value that is not finite, or one <= 0 on a log scale.
        """
        values, (low, high), log = self._rows(values), _bounds(self.free).T, self._log
        if not np.isfinite(values).all() or (values[:, log] <= 0).any():
            raise UserError(
                "expected finite values, positive ones for parameters on a log scale; "
                "call check(mu) to see which entry is wrong"
            )
        distance, width = values - low, high - low
        # log1p(v / a - 1) keeps its digits when the box is narrow, unlike log(v) - log(a).
        distance[:, log] = np.log1p(distance[:, log] / low[log])
        width[log] = np.log1p(width[log] / low[log])
        return np.asarray(distance / width)

    def from_unit(self, points: ArrayLike) -> NDArray[np.float64]:
        """Map unit coordinates of shape (n, d) into the box; 0 gives low and 1 high exactly.

        Raises
        ------
        UserError
            For another shape, or a coordinate outside [0, 1].
        """
        u, (low, high), log = self._rows(points), _bounds(self.free).T, self._log
        if not ((u >= 0) & (u <= 1)).all():
            raise UserError("expected unit coordinates in [0, 1]; map values with to_unit first")
        values = (1 - u) * low + u * high
        values[:, log] = low[log] ** (1 - u[:, log]) * high[log] ** u[:, log]
        # Rounding may step over a bound, and vectorised powers need not be exact at 0 and 1.
        inside = np.clip(values, low, high)
        return np.where(u == 0, low, np.where(u == 1, high, inside))

    def mu(self, row: ArrayLike) -> dict[str, float]:
        """Return the mapping of all names to numbers for one row of values, shape (d,)."""
        values = iter(self._rows(np.asarray(row, dtype=np.float64)[np.newaxis])[0])
        return {p.name: float(p.low if p.fixed else next(values)) for p in self.parameters}

    def array(self, mus: Sequence[Mapping[str, float]]) -> NDArray[np.float64]:
        """Return the values of the free parameters, shape (len(mus), d); bounds are not checked.

        Raises
        ------
        UserError
            If a name is missing or unknown.
        """
        problems = [f"mu {i}: {text}" for i, mu in enumerate(mus) for text in self._misnamed(mu)]
        if problems:
            raise UserError(_listed("these mu do not fit the parameter space", problems))
        rows = [[float(mu[p.name]) for p in self.free] for mu in mus]
        return np.array(rows, dtype=np.float64).reshape(len(mus), self.dimension)

    def check(self, mu: Mapping[str, object]) -> None:
        """Check that `mu` gives each parameter a finite value inside its bounds.

        Raises
        ------
        UserError
            The message lists every violation.
        """
        found = (p.problem_with(mu[p.name]) for p in self.parameters if p.name in mu)
        problems = [*self._misnamed(mu), *(text for text in found if text is not None)]
        if problems:
            raise UserError(_listed("mu does not fit the parameter space", problems))

    def restrict(self, overrides: Mapping[str, Restriction]) -> Self:
        """Return a space with some parameters fixed (a number) or narrowed (low and high).

        Raises
        ------
        UserError
            The message lists every unknown name and every range outside the hard bounds.
        """
        problems, parameters = self._unknown(overrides), []
        for p in self.parameters:
            try:
                parameters.append(p.restricted(overrides[p.name]) if p.name in overrides else p)
            except UserError as error:
                problems.append(str(error))
        if problems:
            raise UserError(_listed("cannot restrict the parameter space", problems))
        return replace(self, parameters=tuple(parameters))

    @property
    def _log(self) -> NDArray[np.bool_]:
        return np.array([p.scale == "log" for p in self.free], dtype=np.bool_)

    def _rows(self, values: ArrayLike) -> NDArray[np.float64]:
        rows = np.asarray(values, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != self.dimension:
            free = ", ".join(p.name for p in self.free) or "none"
            raise UserError(
                f"expected shape (n, {self.dimension}), a column per free parameter ({free}), "
                f"received {rows.shape}"
            )
        return rows

    def _unknown(self, mu: Mapping[str, object]) -> list[str]:
        return [_unknown_text(name, self.names) for name in mu if name not in self.names]

    def _misnamed(self, mu: Mapping[str, object]) -> list[str]:
        missing = [p for p in self.parameters if p.name not in mu]
        absent = [f"{p.name}: missing, expected a value in {p.range_text}" for p in missing]
        return self._unknown(mu) + absent


def _bounds(parameters: Sequence[Parameter]) -> NDArray[np.float64]:
    return np.array([(p.low, p.high) for p in parameters], dtype=np.float64).reshape(-1, 2)


def _unknown_text(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(known) or 'none'}"
    return f"{name}: unknown parameter; {hint}"


def _listed(title: str, problems: Sequence[str]) -> str:
    return "\n".join([f"{title}:", *(f"  - {text}" for text in problems)])
