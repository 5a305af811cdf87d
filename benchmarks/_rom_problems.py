"""Snapshots for the comparison of reduced models: exact functions on grids, written as .npy."""

from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array
from scipy.stats import qmc

from infra.field_space import FieldInfo, FieldSpace

__all__ = ["Samples", "graded", "plate", "trajectories", "write_trajectories"]

type _Floats = NDArray[np.float64]

PARAMETERS = ("a", "b")


@final
@dataclass(frozen=True, eq=False)
class Samples:
    """Training and test snapshots of one study, for parameters in [0, 1]^2.

    Attributes
    ----------
    space
        Where a frame lives.
    x, rows
        Parameters (m, 2), and frames (m, n) or (m, T, n).
    test_x, test_rows
        The same of the test.
    times
        Of the frames; a single zero for steady ones.
    """

    space: FieldSpace
    x: _Floats
    rows: _Floats
    test_x: _Floats
    test_rows: _Floats
    times: _Floats

    def save(self, folder: Path, name: str) -> Path:
        """Write the arrays as .npy files whose names begin with the returned path."""
        for part in ("x", "rows", "test_x", "test_rows", "times"):
            np.save(folder / f"{name}-{part}.npy", getattr(self, part))
        return folder / name


def graded(n: int, m: int) -> tuple[Samples, csr_array]:
    """Return steady fields on an interval graded to the left end, and its mass matrix.

    Layers of changing width at the left end: the fine elements hold most of the values, and
    nearly nothing of the integral.
    """
    place = np.linspace(0.0, 1.0, n) ** 4
    h = np.diff(place)
    diagonal = (np.r_[h, 0.0] + np.r_[0.0, h]) / 3
    mass = diags_array([h / 6, diagonal, h / 6], offsets=[-1, 0, 1]).tocsr()

    def solve(x: _Floats) -> _Floats:
        width = 10.0 ** (-3.0 + 2.0 * x[:, :1])
        wave = np.sin(np.pi * (1.0 + 2.0 * x[:, 1:]) * place)
        return np.asarray(np.exp(-place / width) + wave)

    cells = np.column_stack([np.arange(n - 1), np.arange(1, n)])
    space = _space(place[:, np.newaxis], cells)
    return _steady(space, solve, m, 50), csr_array(mass)


def plate(cells: int, m: int, tests: int = 20) -> Samples:
    """Return steady fields on a square of `cells` x `cells` squares: a source that moves."""
    space = _square(cells)
    place = space.points["vertex"]

    def solve(x: _Floats) -> _Floats:
        away = (place[:, 0] - 0.3 - 0.4 * x[:, :1]) ** 2 + (place[:, 1] - 0.5) ** 2
        ground = np.sin(np.pi * (1 + x[:, 1:]) * place[:, 0]) * np.cos(place[:, 1] + x[:, :1])
        return np.asarray(2.0 + ground + (1 + x[:, 1:]) * np.exp(-away / 0.08))

    return _steady(space, solve, m, tests)


def trajectories(cells: int, m: int, frames: int, tests: int = 8) -> Samples:
    """Return fields in time on a square: decaying patterns at rates that the parameters set."""
    space, times = _square(cells), np.linspace(0.0, 1.0, frames)
    x, test_x = _points(m, 1), _points(tests, 2)
    rows, test_rows = (
        np.stack([_in_time(space.points["vertex"], point, times) for point in points])
        for points in (x, test_x)
    )
    return Samples(space, x, rows, test_x, test_rows, times)


def write_trajectories(folder: Path, cells: int, m: int, frames: int) -> None:
    """Write one .npy file of frames (T, n) for each trajectory: they need not fit into memory."""
    space, times = _square(cells), np.linspace(0.0, 1.0, frames)
    x = _points(m, 1)
    np.save(folder / "x.npy", x)
    for i, point in enumerate(x):
        np.save(folder / f"{i:04d}.npy", _moving(space.points["vertex"], point, times))


def _in_time(place: _Floats, x: _Floats, times: _Floats) -> _Floats:
    """Return frames (T, n) of a linear equation: diffusion of some patterns, at mu-given rates."""
    t = times[:, np.newaxis]
    result = np.zeros((len(times), len(place)))
    for i in range(1, 4):
        for j in range(1, 4):
            rate = (0.1 + 0.3 * x[0]) * i**2 + (0.1 + 0.2 * x[1]) * j**2
            pattern = np.sin(np.pi * i * place[:, 0]) * np.sin(np.pi * j * place[:, 1])
            result += np.exp(-rate * t) / (i * j) * (1 + x[1] * (i - j) / 4) * pattern
    return result


def _moving(place: _Floats, x: _Floats, times: _Floats) -> _Floats:
    """Return frames (T, n) of a spot that moves and spreads."""
    t = times[:, np.newaxis]
    away = (place[:, 0] - 0.2 - 0.5 * t) ** 2 + (place[:, 1] - 0.3 - 0.4 * x[0]) ** 2
    return np.asarray(np.exp(-away / (0.03 + 0.03 * x[1] + 0.02 * t)))


def _steady(space: FieldSpace, solve, m: int, tests: int) -> Samples:  # type: ignore[no-untyped-def]
    x, test_x = _points(m, 1), _points(tests, 2)
    return Samples(space, x, solve(x), test_x, solve(test_x), np.zeros(1))


def _points(count: int, seed: int) -> _Floats:
    sequence = qmc.Sobol(2, rng=np.random.default_rng(seed))
    return np.asarray(sequence.random(1 << (count - 1).bit_length())[:count])


def _space(points: _Floats, cells: NDArray[np.int64]) -> FieldSpace:
    info = FieldInfo("u", "1", len(points), "vertex")
    return FieldSpace((info,), {"vertex": points}, {"vertex": cells})


def _square(cells: int) -> FieldSpace:
    axis = np.linspace(0.0, 1.0, cells + 1)
    points = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    number = np.arange(len(points)).reshape(cells + 1, cells + 1)
    a, b, c, d = number[:-1, :-1], number[1:, :-1], number[:-1, 1:], number[1:, 1:]
    halves = [np.stack(t, axis=-1).reshape(-1, 3) for t in ((a, b, d), (a, d, c))]
    return _space(points, np.concatenate(halves))
