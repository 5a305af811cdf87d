"""Problems on which local bases may pay: small solvers and exact solutions, on uniform grids."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, diags_array
from scipy.sparse.linalg import spsolve
from scipy.stats import qmc

from rom.local.samples import LocalSamples

__all__ = ["CONTROLS", "PROBLEMS", "LocalProblem", "diffusion"]

type _Floats = NDArray[np.float64]


@final
@dataclass(frozen=True)
class LocalProblem:
    """A family of solutions.

    Attributes
    ----------
    name
        In words.
    dimension
        Number of unit coordinates.
    n_modes
        Of each basis.
    solve
        Frames (T, n) at unit coordinates (d,).
    timed
        Whether a trajectory has several frames, and the time is a coordinate.
    """

    name: str
    dimension: int
    n_modes: int
    solve: Callable[[_Floats], _Floats]
    timed: bool = False

    def samples(self, count: int, seed: int) -> LocalSamples:
        """Return solutions at points of a Sobol' sequence with this seed."""
        x = qmc.Sobol(self.dimension, rng=np.random.default_rng(seed)).random(count)
        frames = [self.solve(point) for point in x]
        lengths = [len(part) for part in frames]
        places = np.repeat(x, lengths, axis=0)
        if self.timed:
            clocks = np.concatenate([np.linspace(0.0, 1.0, n) for n in lengths])
            places = np.column_stack([places, clocks])
        return LocalSamples(np.concatenate(frames), places, np.repeat(np.arange(count), lengths))


def _between(low: float, high: float, unit: float) -> float:
    return low + (high - low) * unit


def _log_between(low: float, high: float, unit: float) -> float:
    return low * (high / low) ** unit


def burgers(x: _Floats) -> _Floats:
    """Return the exact travelling front of u_t + u u_x = nu u_xx from 1 to 0.2, at 16 times."""
    start, nu = _between(0.1, 0.3, x[0]), _log_between(2e-3, 2e-2, x[1])
    place, time = np.linspace(0.0, 1.0, 201), np.linspace(0.0, 0.9, 16)[:, None]
    left, right = 1.0, 0.2
    argument = (left - right) * (place - start - (left + right) / 2 * time) / (4 * nu)
    return np.asarray((left + right) / 2 - (left - right) / 2 * np.tanh(argument))


def pulse(x: _Floats) -> _Floats:
    """Return a pulse that was carried over a square at an angle, and spread on its way."""
    angle, way = _between(0.0, np.pi / 2, x[0]), _between(0.2, 0.7, x[1])
    spread = 0.06**2 + 0.004 * way
    axis = np.linspace(0.0, 1.0, 41)
    X, Y = np.meshgrid(axis, axis, indexing="ij")
    centre = 0.15 + way * np.array([np.cos(angle), np.sin(angle)])
    distance = (X - centre[0]) ** 2 + (Y - centre[1]) ** 2
    return np.asarray(np.exp(-distance / spread) / spread * 0.06**2).reshape(1, -1)


def convection(x: _Floats) -> _Floats:
    """Solve -eps u'' + b u' = 1 on (0, 1), u = 0 at the ends: the layer is left or right."""
    eps, b, n = _log_between(1e-2, 1e-1, x[0]), _between(-1.0, 1.0, x[1]), 401
    h = 1.0 / (n + 1)
    A = diags_array(
        [np.full(n - 1, -eps / h**2 - b / (2 * h)), np.full(n, 2 * eps / h**2),
         np.full(n - 1, -eps / h**2 + b / (2 * h))], offsets=[-1, 0, 1],
    ).tocsc()  # fmt: skip
    return np.asarray(spsolve(A, np.ones(n))).reshape(1, -1)


def thermostat(x: _Floats) -> _Floats:
    """Return the temperature of two materials; one heater works when it is cold, one when warm.

    Which and how strong follows the first coordinate, its place the second, the conductivity of
    the right half the third.
    """
    n = 28
    axis = (np.arange(n) + 0.5) / n
    X, Y = np.meshgrid(axis, axis, indexing="ij")
    a = np.where(X < 0.5, 1.0, _log_between(0.1, 10.0, x[2]))
    cold = x[0] < 0.5
    centre = (0.25, _between(0.3, 0.7, x[1])) if cold else (_between(0.3, 0.7, x[1]), 0.75)
    power = abs(x[0] - 0.5) + 0.2
    source = power * np.exp(-((X - centre[0]) ** 2 + (Y - centre[1]) ** 2) / 0.1**2)
    return diffusion(a, source).reshape(1, -1)


def darcy(x: _Floats) -> _Floats:
    """Return the pressure of a well in two media; the first coordinate turns their border.

    The contrast, from 100 one way to 100 the other way, follows the second.
    """
    n = 32
    axis = (np.arange(n) + 0.5) / n
    X, Y = np.meshgrid(axis, axis, indexing="ij")
    angle = np.pi * x[0]
    side = (X - 0.5) * np.cos(angle) + (Y - 0.5) * np.sin(angle)
    contrast = _log_between(1e-2, 1e2, x[1])
    a = contrast ** np.tanh(side / 0.05)
    source = np.exp(-((X - 0.3) ** 2 + (Y - 0.5) ** 2) / 0.05**2)
    return diffusion(a, source).reshape(1, -1)


def smooth(x: _Floats) -> _Floats:
    """Return a smooth sum of four patterns: one basis of four modes is exact."""
    place = np.linspace(0.0, 1.0, 101)
    factors = [1 + x[0], np.sin(2 * x[1]), x[0] * x[1], np.exp(-x[0])]
    return np.asarray(
        sum(f * np.sin((i + 1) * np.pi * place) for i, f in enumerate(factors))
    ).reshape(1, -1)


def scattered(x: _Floats) -> _Floats:
    """Return random fields without order: nothing tells the cluster."""
    rng = np.random.default_rng(int(1e9 * x[0]))
    place = np.linspace(0.0, 1.0, 101)
    waves = rng.standard_normal(20) / (1 + np.arange(20))
    return np.asarray(
        sum(w * np.sin((i + 1) * np.pi * place) for i, w in enumerate(waves))
    ).reshape(1, -1)


def diffusion(a: _Floats, source: _Floats) -> _Floats:
    """Solve -div(a grad u) = source on the unit square, u = 0 around, by finite volumes."""
    n = len(a)
    number = np.arange(n * n).reshape(n, n)
    diagonal = np.zeros((n, n))
    entries, rows, columns = [], [], []
    for axis in (0, 1):
        b, ids, sums = (np.moveaxis(v, axis, 0) for v in (a, number, diagonal))
        inner = 2 / (1 / b[1:] + 1 / b[:-1])
        sums += np.vstack([2 * b[:1], inner]) + np.vstack([inner, 2 * b[-1:]])
        for one, other in ((ids[1:], ids[:-1]), (ids[:-1], ids[1:])):
            entries.append(-inner.ravel())
            rows.append(one.ravel())
            columns.append(other.ravel())
    places = (np.concatenate([number.ravel(), *rows]), np.concatenate([number.ravel(), *columns]))
    matrix = csc_array((np.concatenate([diagonal.ravel(), *entries]), places))
    return np.asarray(spsolve(matrix * n**2, source.ravel()))


PROBLEMS = (
    LocalProblem("Burgers front", 2, 6, burgers, timed=True),
    LocalProblem("carried pulse", 2, 6, pulse),
    LocalProblem("convection of two signs", 2, 6, convection),
    LocalProblem("switched thermal block", 3, 6, thermostat),
    LocalProblem("Darcy in two media", 2, 6, darcy),
)
CONTROLS = (
    LocalProblem("few smooth patterns", 2, 4, smooth),
    LocalProblem("random fields", 2, 6, scattered),
)
