"""Fixtures of the tuning tests: simulated arms, and the paper's small systems."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray

from solvers.tuning.regret import Run
from solvers.tuning.rules import Choice
from solvers.tuning.tuner import Tuner

# A table of costs: what each arm would cost on each system, shape (systems, arms).
Table = NDArray[np.float64]


@dataclass
class Played:
    """What a tuner has done with a table of costs."""

    tuner: Tuner
    choices: list[Choice] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)

    @property
    def total(self) -> NDArray[np.float64]:
        """Cumulated cost after each system."""
        count = max(run.t for run in self.runs) + 1
        spent = np.bincount(
            [run.t for run in self.runs], [run.cost for run in self.runs], minlength=count
        )
        return spent.cumsum()


@pytest.fixture
def play() -> Callable[..., Played]:
    """Give a function that lets a tuner solve the systems of a table; budgets are kept exactly."""

    def run(
        tuner: Tuner,
        table: Table,
        *,
        setup: Sequence[float] | None = None,
        contexts: Sequence[Sequence[float]] | None = None,
    ) -> Played:
        played = Played(tuner)
        unpaid = dict(enumerate(setup or [0.0] * table.shape[1]))
        for t, costs in enumerate(table):
            choice: Choice | None = tuner.choose(contexts[t] if contexts else ())
            while choice is not None:
                once = unpaid[choice.arm]
                whole = float(costs[choice.arm]) + once
                aborted = whole > choice.budget or not np.isfinite(whole)
                cost = min(whole, choice.budget)
                paid = min(once, cost) if np.isfinite(cost) else 0.0
                unpaid[choice.arm] = once - paid
                played.choices.append(choice)
                played.runs.append(Run(t, choice.arm, cost if np.isfinite(cost) else 0.0))
                choice = tuner.tell(choice, cost, setup=paid, aborted=aborted)
        return played

    return run


@pytest.fixture
def family() -> Callable[..., tuple[Table, list[float]]]:
    """Give a function (seed, default) that makes a table and priors.

    Arm 0, the default, costs `default` times the best, the others between 1 and 10 times; the
    priors are wrong by a factor exp(N(0, 0.3)).
    """

    def make(
        seed: int, default: float, *, arms: int = 8, noise: float = 0.05, solves: int = 200
    ) -> tuple[Table, list[float]]:
        rng = np.random.default_rng([7, seed])
        means = np.exp(rng.uniform(np.log(1.2), np.log(10.0), arms))
        means[1 + rng.integers(arms - 1)] = 1.0
        means[0] = default
        table = means * np.exp(rng.normal(0.0, noise, (solves, arms)))
        return table, (means * np.exp(rng.normal(0.0, 0.3, arms))).tolist()

    return make


@pytest.fixture(scope="session")
def laplacian() -> NDArray[np.float64]:
    """Give the 5-point Laplacian of 10 x 10 points with entries 4 and -1 (Khodak et al., 2024)."""
    line = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(10, 10))
    matrix = sp.kron(line, sp.eye_array(10)) + sp.kron(sp.eye_array(10), line)
    return np.asarray(matrix.toarray())


@pytest.fixture(scope="session")
def sor(laplacian: NDArray[np.float64]) -> Callable[[float, float, NDArray[np.float64]], int]:
    """Give a function (c, omega, b): iterations of SOR on (A + c I) x = b to 1e-8, 1000 at most."""

    def count(c: float, omega: float, b: NDArray[np.float64]) -> int:
        A = laplacian + c * np.eye(len(b))
        sweep = np.linalg.inv(np.diag(np.diag(A)) / omega + np.tril(A, -1))
        x, r, steps = np.zeros(len(b)), b, 0
        while np.linalg.norm(r) > 1e-8 * np.linalg.norm(b) and steps < 1000:
            x, steps = x + sweep @ r, steps + 1
            r = b - A @ x
        return steps

    return count


@pytest.fixture(scope="session")
def ssor_cg(laplacian: NDArray[np.float64]) -> Callable[[float, float, NDArray[np.float64]], int]:
    """Give a function (c, omega, b): iterations of SSOR-preconditioned CG on (A + c I) x = b."""

    def count(c: float, omega: float, b: NDArray[np.float64]) -> int:
        A = laplacian + c * np.eye(len(b))
        D = np.diag(A)
        # The preconditioner is (D + omega L) D^-1 (D + omega L)^T, up to a factor.
        half = np.linalg.inv(np.diag(D) + omega * np.tril(A, -1))
        M = (half.T * D) @ half
        x, r, steps = np.zeros(len(b)), b, 0
        p = z = M @ r
        while np.linalg.norm(r) > 1e-8 * np.linalg.norm(b):
            q, old = A @ p, r @ z
            alpha = old / (p @ q)
            x, r, steps = x + alpha * p, r - alpha * q, steps + 1
            z = M @ r
            p = z + (r @ z) / old * p
        return steps

    return count
