"""Snapshots from arrays: for users who have their own solutions, and for tests."""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from typing import Self, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from infra.errors import UserError
from infra.field_space import FieldSpace
from rom.sample_choice import chosen_samples
from rom.snapshots import Snapshots

__all__ = ["ArraySnapshots"]

type _Floats = NDArray[np.float64]


@final
class ArraySnapshots(Snapshots):
    """Trajectories in memory; sample i is row i of the arrays.

    Parameters
    ----------
    space
        Where the values of a frame live.
    names
        Names of the p parameters.
    mus
        Parameters, shape (m, p).
    values
        Frames, shape (m, T, n), or (m, n) for a steady problem.
    times
        Output times, shape (T,), s, ascending; None for a steady problem.
    bounds
        Low and high bound by name of parameter; by default the range in `mus`.
    units
        Units of the parameters; by default all are dimensionless.
    quantities
        Quantities of interest by name, shape (m, T) or (m,).
    quantity_units
        Their units; dimensionless where not given.

    Raises
    ------
    UserError
        If the shapes do not fit together, or the times do not ascend.
    """

    def __init__(
        self,
        space: FieldSpace,
        names: Sequence[str],
        mus: ArrayLike,
        values: ArrayLike,
        times: ArrayLike | None = None,
        *,
        bounds: Mapping[str, tuple[float, float]] | None = None,
        units: Sequence[str] | None = None,
        quantities: Mapping[str, ArrayLike] | None = None,
        quantity_units: Mapping[str, str] | None = None,
    ) -> None:
        self._space, self._names = space, tuple(names)
        self._all_mus = np.array(mus, np.float64)
        self._frames = np.asarray(values, np.float64).view()
        self._frames.flags.writeable = False  # trajectories are views of it
        if times is None and self._frames.ndim == 2:
            self._frames = self._frames[:, None]
        self._times = np.zeros(1) if times is None else np.array(times, np.float64)
        self._units = tuple(units) if units is not None else ("1",) * len(self._names)
        self._numbers = {
            name: np.asarray(q, np.float64) for name, q in (quantities or {}).items()
        }  # fmt: skip
        self._quantity_units = {n: (quantity_units or {}).get(n, "1") for n in self._numbers}
        self._check()
        ranges = {
            name: (column.min(), column.max())
            for name, column in zip(self._names, self._all_mus.T, strict=True)
        } | dict(bounds or {})
        self._bounds = np.array([ranges[name] for name in self._names], np.float64).reshape(-1, 2)
        self._indices = tuple(range(len(self._all_mus)))

    @property
    def space(self) -> FieldSpace:
        """Where the values of a frame live."""
        return self._space

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return self._names

    @property
    def units(self) -> tuple[str, ...]:
        """Units of the parameters."""
        return self._units

    @property
    def bounds(self) -> _Floats:
        """Bounds of the parameters, shape (p, 2)."""
        return self._bounds

    @property
    def times(self) -> _Floats:
        """Output times, shape (T,), s."""
        return self._times

    @property
    def indices(self) -> tuple[int, ...]:
        """Rows of the arrays that are used."""
        return self._indices

    @property
    def quantity_units(self) -> Mapping[str, str]:
        """Units of the quantities of interest."""
        return self._quantity_units

    def subset(self, indices: Iterable[int]) -> Self:
        """Return only these samples; the arrays are shared."""
        other = copy(self)
        other._indices = chosen_samples(indices, self._indices)
        return other

    def _mu(self, index: int) -> _Floats:
        return np.asarray(self._all_mus[index])

    def _values(self, index: int) -> _Floats:
        return np.asarray(self._frames[index])

    def _quantities(self, index: int) -> dict[str, _Floats]:
        return {name: np.atleast_1d(numbers[index]) for name, numbers in self._numbers.items()}

    def _check(self) -> None:
        m, n_times = len(self._all_mus), len(self._times)
        expected: dict[str, tuple[tuple[int, ...], list[tuple[int, ...]]]] = {
            "mus": (self._all_mus.shape, [(m, len(self._names))]),
            "values": (self._frames.shape, [(m, n_times, self._space.n_values)]),
            "times": (self._times.shape, [(n_times,)]),
            "units": ((len(self._units),), [(len(self._names),)]),
            **{n: (q.shape, [(m, n_times), (m,)]) for n, q in self._numbers.items()},
        }
        wrong = [
            f"{name}: {allowed[0]}, received {shape}"
            for name, (shape, allowed) in expected.items()
            if shape not in allowed
        ]
        if wrong or not m or not (np.diff(self._times) > 0).all():
            raise UserError(
                "Expected at least one sample, ascending times, and arrays of the shapes (samples, "
                f"times, values) of one study; these differ: {wrong or 'none'}."
            )
