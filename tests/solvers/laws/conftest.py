"""Fixtures of the law tests: one table of laws, random histories, a point in tension."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import pytest

from solvers.laws.description import law_from
from solvers.laws.law import Law, LawResponse, LawStep
from solvers.mesh import FloatArray

HOT = [20.0, 600.0, 900.0]
ELASTIC: dict[str, Any] = {
    "young": {"temperatures": HOT, "values": [2e5, 1.6e5, 1.2e5]},
    "poisson": {"temperatures": [20.0, 900.0], "values": [0.28, 0.33]},
    "expansion": {"temperatures": [20.0, 900.0], "values": [1.2e-5, 1.8e-5]},
}
# The law of the parity case, at K = 300 and n = 30, and variants that use every coefficient.
CUBE = {"young": 2e5, "poisson": 0.3, "expansion": 2e-5, "norton_stress": 300.0}
CUBE |= {"norton_exponent": 30.0, "kinematic_modulus": 1e5, "kinematic_recall": 1000.0}
CUBE |= {"yield_stress": 10.0}
HOT_VISCOUS: dict[str, Any] = {
    **ELASTIC,
    "norton_stress": {"temperatures": HOT, "values": [300.0, 400.0, 500.0]},
    "norton_exponent": {"temperatures": HOT, "values": [30.0, 12.0, 5.0]},
    "kinematic_modulus": {"temperatures": HOT, "values": [1e5, 6e4, 2e4]},
    "kinematic_recall": {"temperatures": HOT, "values": [1000.0, 600.0, 300.0]},
    "yield_stress": {"temperatures": HOT, "values": [100.0, 60.0, 10.0]},
    "hardening": 500.0,
    "saturation": 40.0,
    "saturation_rate": 25.0,
}
J2 = {**ELASTIC, "yield_stress": {"temperatures": HOT, "values": [300.0, 200.0, 80.0]}}
LAWS: dict[str, dict[str, Any]] = {
    "thermoelastic": {"kind": "thermoelastic", "coefficients": ELASTIC},
    "j2": {"kind": "linear-hardening", "coefficients": {**J2, "hardening": 2000.0}},
    "perfect": {"kind": "linear-hardening", "coefficients": {**J2, "hardening": 0.0}},
    "cube": {"kind": "elastoviscoplastic", "coefficients": CUBE},
    "viscous": {"kind": "elastoviscoplastic", "coefficients": HOT_VISCOUS},
}


@final
@dataclass(frozen=True)
class PointTools:
    """Functions that several test files use."""

    def law(self, kind: str, **coefficients: float) -> Law:
        """Return the law of a kind with constant coefficients."""
        return law_from({"kind": kind, "coefficients": coefficients})

    def step(self, law: Law, before: FloatArray, after: FloatArray, **other: Any) -> LawStep:
        """Return a step of (n, 6) strains at the reference temperature, from virgin material."""
        warm = np.full(len(after), law.reference_temperature)
        given = {"state": law.initial_state(len(after)), "duration": 1.0, **other}
        first = given.pop("temperature_before", warm)
        last = given.pop("temperature_after", warm)
        return LawStep(before, after, first, last, given["state"], given["duration"])

    def history(self, law: Law, seed: int, steps: int = 6, n: int = 40) -> list[LawStep]:
        """Integrate random steps of n points with changing temperature; return the steps."""
        rng = np.random.default_rng(seed)
        strain, warm = np.zeros((n, 6)), np.full(n, law.reference_temperature)
        state = law.initial_state(n)
        done = []
        for _ in range(steps):
            after = strain + 1.5e-3 * rng.standard_normal((n, 6))
            hot = rng.uniform(20.0, 900.0, n)
            step = LawStep(strain, after, warm, hot, state, 10.0 ** rng.uniform(-3, 2))
            done.append(step)
            strain, warm, state = after, hot, law.integrate(step).state
        return done

    def uniaxial(
        self, law: Law, times: FloatArray, axial: FloatArray, *, by_stress: bool = False
    ) -> tuple[FloatArray, FloatArray]:
        """Drive one point along x with all other stresses zero.

        Returns the stresses and the strains (T, 6) at `times` (T,), seconds; `axial` (T,) is the
        strain, or the stress in MPa.
        """
        strain, state = np.zeros((1, 6)), law.initial_state(1)
        stresses, strains = [np.zeros(6)], [np.zeros(6)]
        for i in range(1, len(times)):
            target = np.zeros(6)
            target[0] = axial[i]
            response, after = self._balance(
                law, strain, state, target, by_stress, times[i] - times[i - 1]
            )
            strain, state = after, response.state
            stresses.append(response.stress[0])
            strains.append(strain[0])
        return np.array(stresses), np.array(strains)

    def _balance(
        self,
        law: Law,
        before: FloatArray,
        state: FloatArray,
        target: FloatArray,
        by_stress: bool,
        duration: float,
    ) -> tuple[LawResponse, FloatArray]:
        free = slice(0 if by_stress else 1, 6)
        after = before.copy()
        if not by_stress:
            after[0, 0] = target[0]
        for _ in range(100):
            step = self.step(law, before, after, state=state, duration=duration)
            response = law.integrate(step)
            rest = response.stress[0, free] - target[free]
            if np.abs(rest).max() < 1e-9:
                return response, after
            after = after.copy()
            after[0, free] -= np.linalg.solve(response.tangent[0, free, free], rest)
        raise AssertionError("no uniaxial balance")


@pytest.fixture(scope="session")
def tools() -> PointTools:
    return PointTools()


@pytest.fixture(params=LAWS, scope="session")
def law(request: pytest.FixtureRequest) -> Law:
    return law_from(LAWS[request.param])


@pytest.fixture(scope="session")
def random_turn() -> Callable[[int], FloatArray]:
    """Give proper rotations (3, 3) by seed."""

    def turn(seed: int) -> FloatArray:
        q, r = np.linalg.qr(np.random.default_rng(seed).standard_normal((3, 3)))
        q = q * np.sign(np.diag(r))
        return np.asarray(q * np.linalg.det(q))

    return turn
