"""Laws against closed forms at one point."""

from typing import Any

import numpy as np
import pytest

from solvers.laws.mandel import von_mises

ELASTIC = {"young": 2e5, "poisson": 0.3}


def viscous(**changes: float) -> dict[str, float]:
    return {**ELASTIC, "norton_stress": 300.0, "norton_exponent": 30.0, "yield_stress": 10.0} | (
        changes
    )


def test_uniaxial_tension_is_hookes_law(tools: Any) -> None:
    law = tools.law("thermoelastic", **ELASTIC)
    stress, strain = tools.uniaxial(law, np.arange(3.0), np.array([0.0, 1e-3, -2e-3]))
    assert stress[:, 0] == pytest.approx([0.0, 200.0, -400.0], rel=1e-9)
    assert strain[:, 1] == pytest.approx(-0.3 * strain[:, 0], rel=1e-9)


def test_shear_modulus_acts_on_mandel_shear(tools: Any) -> None:
    law = tools.law("thermoelastic", **ELASTIC)
    strain = np.zeros((1, 6))
    strain[0, 3] = np.sqrt(2.0) * 1e-3  # eps_yz = 1e-3
    stress = law.integrate(tools.step(law, np.zeros((1, 6)), strain)).stress
    assert stress[0, 3] / np.sqrt(2.0) == pytest.approx(2 * 2e5 / 2.6 * 1e-3, rel=1e-12)


def test_a_clamped_point_that_warms_up_is_compressed(tools: Any) -> None:
    law = tools.law("thermoelastic", **ELASTIC, expansion=2e-5)
    still = np.zeros((1, 6))
    hot = np.array([120.0])
    stress = law.integrate(tools.step(law, still, still, temperature_after=hot)).stress
    assert stress[0, :3] == pytest.approx(-2e5 * 2e-5 * 100.0 / (1 - 0.6), rel=1e-12)


def test_linear_hardening_has_a_bilinear_curve(tools: Any) -> None:
    E, R0, H = 2e5, 200.0, 5000.0
    law = tools.law("linear-hardening", **ELASTIC, yield_stress=R0, hardening=H)
    strain = np.array([0.0, 0.5e-3, 2e-3, 4e-3, 3.5e-3])
    stress, _ = tools.uniaxial(law, np.arange(5.0), strain)
    plastic = R0 + (strain - R0 / E) * E * H / (E + H)
    unloaded = plastic[3] - E * 0.5e-3
    expected = [0.0, 100.0, plastic[2], plastic[3], unloaded]
    assert stress[:, 0] == pytest.approx(expected, rel=1e-9)


def test_linear_hardening_does_not_depend_on_the_number_of_steps(tools: Any) -> None:
    law = tools.law("linear-hardening", **ELASTIC, yield_stress=200.0, hardening=5000.0)
    ends = [
        tools.uniaxial(law, np.arange(n + 1.0), np.linspace(0.0, 0.01, n + 1))[0][-1, 0]
        for n in (1, 7)
    ]
    assert ends[0] == pytest.approx(ends[1], rel=1e-9)


def test_norton_creep_under_constant_stress_is_steady(tools: Any) -> None:
    """The creep strain is t (sigma / K)^n exactly: the rate is constant."""
    law = tools.law("elastoviscoplastic", **viscous(norton_exponent=5.0, yield_stress=0.0))
    times = np.array([0.0, 0.5, 1.0, 3.0, 10.0])
    stress, strain = tools.uniaxial(law, times, np.full(5, 60.0), by_stress=True)
    creep = times * (60.0 / 300.0) ** 5
    assert strain[1:, 0] == pytest.approx(60.0 / 2e5 + creep[1:], rel=1e-8)
    assert stress[1:, 0] == pytest.approx(60.0, rel=1e-10)


def relaxed(tools: Any, steps: int) -> float:
    law = tools.law("elastoviscoplastic", **viscous(norton_exponent=5.0, yield_stress=0.0))
    times = np.concatenate([[0.0, 1e-12], np.linspace(0.0, 2.0, steps + 1)[1:]])
    stress, _ = tools.uniaxial(law, times, np.r_[0.0, np.full(steps + 1, 1e-3)])
    return float(stress[-1, 0])


def test_norton_relaxation_tends_to_its_closed_form_with_order_one(tools: Any) -> None:
    """At a held strain the stress obeys d sigma/dt = -E (sigma / K)^n."""
    E, K, n, start, t = 2e5, 300.0, 5.0, 200.0, 2.0
    exact = (start ** (1 - n) + (n - 1) * E * t / K**n) ** (1 / (1 - n))
    counts = np.array([10, 20, 40, 80])
    errors = [abs(relaxed(tools, steps) - exact) for steps in counts]
    slope = np.polyfit(np.log(counts), np.log(errors), 1)[0]
    assert slope == pytest.approx(-1.0, abs=0.1)
    assert errors[-1] < 0.02 * exact


def test_a_cycle_saturates_at_the_sum_of_all_resistances(tools: Any) -> None:
    rate, C, D = 1e-2, 1e5, 1000.0
    law = tools.law("elastoviscoplastic", **viscous(kinematic_modulus=C, kinematic_recall=D))
    turns = np.array([0.0, 0.02, -0.02, 0.02])
    times = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(turns)))]) / rate
    fine = np.interp(np.linspace(0.0, 3.0, 121), np.arange(4.0), times)
    stress, _ = tools.uniaxial(law, fine, np.interp(fine, times, turns))
    amplitude = 10.0 + C / D + 300.0 * rate ** (1 / 30)
    peaks = [np.interp(t, fine, stress[:, 0]) for t in times[1:]]
    assert peaks == pytest.approx([amplitude, -amplitude, amplitude], rel=1e-6)


def test_isotropic_hardening_adds_its_radius(tools: Any) -> None:
    law = tools.law(
        "elastoviscoplastic", **viscous(hardening=400.0, saturation=50.0, saturation_rate=300.0)
    )
    times = np.linspace(0.0, 4.0, 81)
    stress, strain = tools.uniaxial(law, times, 1e-2 * times)
    plastic = strain[:, 0] - stress[:, 0] / 2e5
    rate = np.diff(plastic)[-1] / 0.05
    radius = 10.0 + 400.0 * plastic[-1] + 50.0 * (1 - np.exp(-300.0 * plastic[-1]))
    assert stress[-1, 0] == pytest.approx(radius + 300.0 * rate ** (1 / 30), rel=1e-8)


def test_flow_with_a_large_exponent_does_not_depend_on_the_rate(tools: Any) -> None:
    """The yield stress is then R0 + K; the distance falls as 1/n."""
    rigid = tools.law("linear-hardening", **ELASTIC, yield_stress=200.0, hardening=5000.0)
    times, strain = np.arange(11.0), np.linspace(0.0, 0.01, 11)
    expected = tools.uniaxial(rigid, times, strain)[0][-1, 0]
    errors = []
    for n in (1e2, 1e3, 1e4):
        law = tools.law(
            "elastoviscoplastic",
            **viscous(norton_stress=50.0, norton_exponent=n, yield_stress=150.0, hardening=5000.0),
        )
        errors.append(abs(tools.uniaxial(law, times, strain)[0][-1, 0] - expected))
    assert np.polyfit(np.log([1e2, 1e3, 1e4]), np.log(errors), 1)[0] == pytest.approx(-1, abs=0.05)
    assert errors[-1] < 1e-3 * expected


@pytest.mark.parametrize("size", [1e-6, 1e-3, 1.0])
@pytest.mark.parametrize("duration", [1e-9, 1e-3, 1.0, 1e9])
def test_the_scalar_equation_is_solved_for_all_sizes_of_steps(
    tools: Any, size: float, duration: float
) -> None:
    """Whatever the step, the flow rule holds at its end: dp = dt <f/K>^n."""
    law = tools.law("elastoviscoplastic", **viscous(kinematic_modulus=1e5, kinematic_recall=1000.0))
    rng = np.random.default_rng(3)
    after = size * rng.standard_normal((50, 6))
    step = tools.step(law, np.zeros((50, 6)), after, duration=duration)
    response = law.integrate(step)
    back = 2e5 / 3.0 * response.state[:, law.column("back_strain")]
    excess = von_mises(response.stress - back) - 10.0
    p = response.state[:, 6]
    flowing = p > 0.0
    scale = 1e-12 * von_mises(law.elasticity.moduli(np.full(50, 20.0)).stress(after))
    viscous_stress = 300.0 * (p / duration) ** (1 / 30)
    assert (np.abs(excess - viscous_stress)[flowing] <= 1e-9 + 100 * scale[flowing]).all()
    assert (excess[~flowing] <= 1e-9).all()
    assert response.iterations < 30


def test_the_local_integration_is_of_first_order(tools: Any) -> None:
    law = tools.law("elastoviscoplastic", **viscous(kinematic_modulus=1e5, kinematic_recall=1000.0))
    direction = np.random.default_rng(5).standard_normal((20, 6))
    turned = np.random.default_rng(6).standard_normal((20, 6))

    def end(steps: int) -> Any:
        state, before = law.initial_state(20), np.zeros((20, 6))
        for t in np.linspace(0.0, 1.0, steps + 1)[1:]:
            after = 1e-3 * (np.sin(3 * t) * direction + t**2 * turned)
            step = tools.step(law, before, after, state=state, duration=1.0 / steps)
            response = law.integrate(step)
            state, before = response.state, after
        return response.stress

    fine = 2.0 * end(400) - end(200)
    counts = [10, 20, 40, 80]
    errors = [np.abs(end(steps) - fine).max() for steps in counts]
    assert np.polyfit(np.log(counts), np.log(errors), 1)[0] == pytest.approx(-1.0, abs=0.1)


def test_coefficients_are_those_at_the_end_of_the_step(tools: Any) -> None:
    from solvers.laws.description import law_from

    table = {"temperatures": [0.0, 100.0], "values": [2e5, 1e5]}
    law = law_from({"kind": "thermoelastic", "coefficients": {"young": table, "poisson": 0.3}})
    cold = law_from({"kind": "thermoelastic", "coefficients": {"young": 1.5e5, "poisson": 0.3}})
    after = 1e-3 * np.ones((1, 6))
    warm = np.array([50.0])
    stress = law.integrate(tools.step(law, after, after, temperature_after=warm)).stress
    expected = cold.integrate(tools.step(cold, after, after)).stress
    assert stress == pytest.approx(expected, rel=1e-12)
