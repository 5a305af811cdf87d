"""Snapshots from arrays: for users who have their own solutions, and for tests."""

from collections.abc import Mapping, Sequence
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from infra.errors import UserError
from infra.field_space import FieldSpace
from rom.snapshots import Snapshots, StudyFrame

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
        self._all_mus = np.array(mus, np.float64)
        self._frames = np.asarray(values, np.float64).view()
        self._frames.flags.writeable = False  # trajectories are views of it
        if times is None and self._frames.ndim == 2:
            self._frames = self._frames[:, None]
        self._numbers = {
            name: np.asarray(q, np.float64) for name, q in (quantities or {}).items()
        }  # fmt: skip
        grid = np.zeros(1) if times is None else np.array(times, np.float64)
        kept_units = tuple(units) if units is not None else ("1",) * len(names)
        self._check(space, tuple(names), grid, kept_units)
        study = StudyFrame(
            space,
            tuple(names),
            kept_units,
            _bounds(names, self._all_mus, bounds or {}),
            grid,
            {name: (quantity_units or {}).get(name, "1") for name in self._numbers},
        )
        super().__init__(study, tuple(range(len(self._all_mus))))

    def _mu(self, index: int) -> _Floats:
        return np.asarray(self._all_mus[index])

    def _values(self, index: int) -> _Floats:
        return np.asarray(self._frames[index])

    def _quantities(self, index: int) -> dict[str, _Floats]:
        return {name: np.atleast_1d(numbers[index]) for name, numbers in self._numbers.items()}

    def _check(
        self, space: FieldSpace, names: tuple[str, ...], times: _Floats, units: tuple[str, ...]
    ) -> None:
        m, n_times = len(self._all_mus), len(times)
        expected: dict[str, tuple[tuple[int, ...], list[tuple[int, ...]]]] = {
            "mus": (self._all_mus.shape, [(m, len(names))]),
            "values": (self._frames.shape, [(m, n_times, space.n_values)]),
            "times": (times.shape, [(n_times,)]),
            "units": ((len(units),), [(len(names),)]),
            **{n: (q.shape, [(m, n_times), (m,)]) for n, q in self._numbers.items()},
        }
        wrong = [
            f"{name}: {allowed[0]}, received {shape}"
            for name, (shape, allowed) in expected.items()
            if shape not in allowed
        ]
        if wrong or not m or not (np.diff(times) > 0).all():
            raise UserError(
                "Expected at least one sample, ascending times, and arrays of the shapes (samples, "
                f"times, values) of one study; these differ: {wrong or 'none'}."
            )


def _bounds(
    names: Sequence[str], mus: _Floats, given: Mapping[str, tuple[float, float]]
) -> _Floats:  # fmt: skip
    ranges = [
        given.get(name, (column.min(), column.max()))
        for name, column in zip(names, mus.T, strict=True)
    ]
    return np.array(ranges, np.float64).reshape(-1, 2)
