"""Problems whose solutions change fast in parts of the parameter box, with small direct solvers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
from _local_problems import diffusion
from numpy.typing import NDArray
from scipy.stats import qmc

from infra.field_space import FieldInfo, FieldSpace
from rom.array_snapshots import ArraySnapshots
from rom.building import build
from rom.reduced_model import ReducedModel
from rom.settings import ReducedModelSettings
from solvers.parameters import Parameter, ParameterSpace

__all__ = ["PROBLEMS", "Study", "StudyProblem"]

type _Floats = NDArray[np.float64]

_BLOCKS = 20
_NODES = 80


@final
@dataclass(frozen=True)
class StudyProblem:
    """A steady problem.

    Attributes
    ----------
    name
        In words.
    space
        Its parameters.
    solve
        One solution (n,) for parameters (d,).
    tolerance
        Of the largest relative error over the box.
    """

    name: str
    space: ParameterSpace
    solve: Callable[[_Floats], _Floats]
    tolerance: float


def block(mu: _Floats) -> _Floats:
    """Return the temperature of a square with two inclusions, heated everywhere, cold around.

    The conductivities of the inclusions are the parameters; that of the rest is 1.
    """
    axis = (np.arange(_BLOCKS) + 0.5) / _BLOCKS
    X, Y = np.meshgrid(axis, axis, indexing="ij")
    a = np.ones_like(X)
    a[(abs(X - 0.3) < 0.15) & (abs(Y - 0.5) < 0.3)] = mu[0]
    a[(abs(X - 0.7) < 0.15) & (abs(Y - 0.5) < 0.3)] = mu[1]
    return diffusion(a, np.ones_like(a))


def switch(mu: _Floats) -> _Floats:
    """Return a wave that another one joins or leaves within a narrow range of the first parameter.

    Smooth in most of the box.
    """
    place = np.linspace(0.0, 1.0, _NODES)
    wave, other = np.sin(np.pi * place), np.cos(np.pi * place)
    return 2.0 + wave + 0.3 * mu[1] * place + 0.5 * np.tanh((mu[0] - 0.6) / 0.08) * other


@final
class Study:
    """Solutions of a problem, each computed once, and models of them.

    Parameters
    ----------
    problem
        The problem.
    n_tests
        Random parameters at which errors are measured.
    """

    def __init__(self, problem: StudyProblem, n_tests: int) -> None:
        self.problem = problem
        rng = np.random.default_rng(12345)
        self._known: dict[bytes, _Floats] = {}
        self._tests = problem.space.from_unit(rng.random((n_tests, problem.space.dimension)))
        self._truth = self.solutions(self._tests)

    def design(self, count: int, seed: int) -> _Floats:
        """Return the first points (count, d) of a Sobol' sequence, in units."""
        sequence = qmc.Sobol(self.problem.space.dimension, rng=np.random.default_rng(seed))
        return self.problem.space.from_unit(sequence.random(256)[:count])

    def solutions(self, mus: _Floats) -> _Floats:
        """Return solutions (m, n)."""
        for mu in mus:
            if mu.tobytes() not in self._known:
                self._known[mu.tobytes()] = self.problem.solve(mu)
        return np.stack([self._known[mu.tobytes()] for mu in mus])

    def model(self, mus: _Floats) -> ReducedModel:
        """Return the model of solutions at parameters (m, d)."""
        rows = self.solutions(mus)
        n, space = rows.shape[1], self.problem.space
        fields = FieldSpace(
            (FieldInfo("u", "1", n, "node"),), {"node": np.arange(float(n))[:, np.newaxis]}
        )
        snapshots = ArraySnapshots(
            fields, space.names, mus, rows, bounds={p.name: (p.low, p.high) for p in
            space.parameters}
        )  # fmt: skip
        settings = ReducedModelSettings(
            product="euclidean",
            tolerance=0.1 * self.problem.tolerance,
            options={"restarts": 1},
            local="never",
        )
        return build(snapshots, settings, np.random.default_rng(0), parameters=space)

    def largest_error(self, model: ReducedModel) -> float:
        """Return the largest relative error over the tests."""
        found = model.query(self._tests, select="fields").values["u"][:, 0]
        away = np.linalg.norm(found - self._truth, axis=1)
        return float((away / np.linalg.norm(self._truth, axis=1)).max())


PROBLEMS = (
    StudyProblem(
        "two inclusions",
        ParameterSpace(
            (
                Parameter("left", 0.02, 5.0, "1", "conductivity", scale="log"),
                Parameter("right", 0.02, 5.0, "1", "conductivity", scale="log"),
            )
        ),
        block,
        2e-2,
    ),
    StudyProblem(
        "switch",
        ParameterSpace(
            (
                Parameter("when", -1.0, 1.0, "1", "the other wave joins near 0.6"),
                Parameter("slope", 0.0, 1.0, "1", "of the ground"),
            )
        ),
        switch,
        1e-3,
    ),
)
