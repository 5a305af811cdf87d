r"""Parameters of a problem, the box that they span, and its map to the unit cube.

With the free parameters :math:`\mu_k \in [a_k, b_k]`, :math:`k = 1..d`, the unit coordinates are

.. math::
   u_k = \frac{\mu_k - a_k}{b_k - a_k} \quad \text{(linear)}, \qquad
   u_k = \frac{\ln(\mu_k / a_k)}{\ln(b_k / a_k)} \quad \text{(log)},

and for the scale normal that of a truncated normal distribution (`solvers.scales`).

Arrays of values have one row per sample and one column per *free* parameter, in the order of the
space; each column carries the unit of its parameter. A `mu` is a mapping of *every* name, fixed
parameters included, to a number in that unit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Self, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from infra.errors import UserError
from solvers.parameter import Interval, Parameter, Restriction
from solvers.scales import SCALES, Scale, from_unit, to_unit

__all__ = ["Interval", "Parameter", "ParameterSpace", "Restriction", "Scale"]


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
        values, (low, high) = self._rows(values), _bounds(self.free).T
        if not np.isfinite(values).all() or (values[:, self._on("log")] <= 0).any():
            raise UserError(
                "expected finite values, positive ones for parameters on a log scale; "
                "call check(mu) to see which entry is wrong"
            )
        units = np.empty_like(values)
        for scale in SCALES:
            on = self._on(scale)
            units[:, on] = to_unit(scale, values[:, on], low[on], high[on])
        return units

    def from_unit(self, points: ArrayLike) -> NDArray[np.float64]:
        """Map unit coordinates of shape (n, d) into the box; 0 gives low and 1 high exactly.

        Raises
        ------
        UserError
            For another shape, or a coordinate outside [0, 1].
        """
        u, (low, high) = self._rows(points), _bounds(self.free).T
        if not ((u >= 0) & (u <= 1)).all():
            raise UserError("expected unit coordinates in [0, 1]; map values with to_unit first")
        values = np.empty_like(u)
        for scale in SCALES:
            on = self._on(scale)
            values[:, on] = from_unit(scale, u[:, on], low[on], high[on])
        return values

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

    def _on(self, scale: Scale) -> NDArray[np.bool_]:
        return np.array([p.scale == scale for p in self.free], dtype=np.bool_)

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
        known = self.names
        return [_unknown_text(name, known) for name in mu if name not in known]

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
