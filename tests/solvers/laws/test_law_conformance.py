"""What every law owes: consistent tangents, dissipation, isotropy, and answers point by point."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from infra.errors import UserError
from solvers.laws.law import Law, LawResponse, LawStep, LocalIntegrationError
from solvers.laws.mandel import rotation
from solvers.mesh import FloatArray

RANDOM = settings(
    deadline=None,
    derandomize=True,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
SEEDS = st.integers(0, 2**32 - 1)


def difference_tangent(law: Law, step: LawStep, h: float) -> FloatArray:
    """Return central differences (n, 6, 6) of the stress."""
    columns = []
    for j in range(6):
        shift = np.zeros(6)
        shift[j] = h
        high = law.integrate(replace(step, strain_after=step.strain_after + shift)).stress
        low = law.integrate(replace(step, strain_after=step.strain_after - shift)).stress
        columns.append((high - low) / (2 * h))
    return np.stack(columns, axis=2)


def kinked(law: Law, step: LawStep, h: float) -> NDArray[np.bool_]:
    """Tell which points yield on one side of a difference only: no derivative exists there."""
    flows = []
    for shift in (h * np.eye(6), -h * np.eye(6)):
        for row in shift:
            moved = replace(step, strain_after=step.strain_after + row)
            flows.append((law.integrate(moved).state != step.state).any(axis=1))
    return np.asarray(np.any(flows, axis=0) & ~np.all(flows, axis=0))


@pytest.mark.parametrize("seed", range(3))
def test_the_tangent_is_the_derivative_of_the_stress(tools: Any, law: Law, seed: int) -> None:
    for step in tools.history(law, seed):
        tangent = law.integrate(step).tangent
        h = 2e-8
        error = np.abs(tangent - difference_tangent(law, step, h)).max(axis=(1, 2))
        smooth = ~kinked(law, step, h)
        assert smooth.mean() > 0.9
        assert error[smooth].max() < 1e-6 * np.abs(tangent).max()


def test_the_tangent_is_consistent_without_a_change_of_temperature(tools: Any, law: Law) -> None:
    for step in tools.history(law, 7):
        kept = replace(step, temperature_after=step.temperature_before)
        tangent = law.integrate(kept).tangent
        h = 2e-8
        error = np.abs(tangent - difference_tangent(law, kept, h)).max(axis=(1, 2))
        assert error[~kinked(law, kept, h)].max() < 1e-6 * np.abs(tangent).max()


def test_symmetry_of_the_tangents_is_as_declared(tools: Any, law: Law) -> None:
    steps = tools.history(law, 3)
    tangents = np.concatenate([law.integrate(step).tangent for step in steps])
    skew = np.abs(tangents - np.swapaxes(tangents, 1, 2)).max() / np.abs(tangents).max()
    assert (skew < 1e-14) == law.symmetric


@RANDOM
@given(seed=SEEDS)
def test_the_dissipation_is_never_negative(tools: Any, law: Law, seed: int) -> None:
    for step in tools.history(law, seed, n=10):
        response = law.integrate(step)
        dissipated = law.dissipation(step, response)
        assert dissipated.min() >= -1e-12 * _work(step, response)


@RANDOM
@given(seed=SEEDS)
def test_without_temperature_change_work_covers_storage_and_dissipation(
    tools: Any, law: Law, seed: int
) -> None:
    """Backward Euler on a convex free energy dissipates a little more than the law, never less."""
    for step in tools.history(law, seed, n=10):
        kept = replace(step, temperature_after=step.temperature_before)
        response = law.integrate(kept)
        before = law.stored_energy(kept.strain_before, kept.temperature_before, kept.state)
        after = law.stored_energy(kept.strain_after, kept.temperature_after, response.state)
        # Of a change of temperature before this step nothing is left but the state.
        work = np.einsum("ni,ni->n", response.stress, kept.strain_after - kept.strain_before)
        rest = work - (after - before) - law.dissipation(kept, response)
        assert rest.min() >= -1e-11 * (_work(kept, response) + np.abs(before).max())


def _work(step: LawStep, response: LawResponse) -> float:
    change = step.strain_after - step.strain_before
    return float((np.abs(response.stress).max() + 1.0) * np.abs(change).max())


@pytest.mark.parametrize("seed", range(3))
def test_laws_are_isotropic(
    tools: Any, law: Law, random_turn: Callable[[int], FloatArray], seed: int
) -> None:
    turn = rotation(random_turn(seed))
    tensors = [law.column(v.name) for v in law.variables if v.components == 6]

    def turned_state(state: FloatArray) -> FloatArray:
        turned = state.copy()
        for columns in tensors:
            turned[:, columns] = state[:, columns] @ turn.T
        return turned

    for step in tools.history(law, seed):
        plain = law.integrate(step)
        other = law.integrate(
            replace(
                step,
                strain_before=step.strain_before @ turn.T,
                strain_after=step.strain_after @ turn.T,
                state=turned_state(step.state),
            )
        )
        assert other.stress == pytest.approx(plain.stress @ turn.T, rel=1e-9, abs=1e-8)
        assert other.state == pytest.approx(turned_state(plain.state), rel=1e-9, abs=1e-13)
        assert other.tangent == pytest.approx(turn @ plain.tangent @ turn.T, rel=1e-7, abs=1e-3)


def test_points_do_not_see_each_other(tools: Any, law: Law) -> None:
    step = tools.history(law, 11)[-1]
    whole = law.integrate(step)
    for i in range(0, len(step.state), 7):
        single = law.integrate(_part(step, i))
        assert single.stress[0] == pytest.approx(whole.stress[i], rel=1e-13, abs=1e-11)
        assert single.state[0] == pytest.approx(whole.state[i], rel=1e-13, abs=1e-17)
        assert single.tangent[0] == pytest.approx(whole.tangent[i], rel=1e-12, abs=1e-8)


def _part(step: LawStep, i: int) -> LawStep:
    here = slice(i, i + 1)
    return LawStep(
        step.strain_before[here],
        step.strain_after[here],
        step.temperature_before[here],
        step.temperature_after[here],
        step.state[here],
        step.duration,
    )


def test_a_step_leaves_its_arrays_as_they_were(tools: Any, law: Law) -> None:
    step = tools.history(law, 5)[-1]
    arrays = (step.strain_before, step.strain_after, step.state)
    copies = [array.copy() for array in arrays]
    first = law.integrate(step)
    second = law.integrate(step)
    for copy, array in zip(
        copies, (step.strain_before, step.strain_after, step.state), strict=True
    ):
        assert (copy == array).all()
    assert (first.stress == second.stress).all()
    assert (first.state == second.state).all()


def test_free_expansion_is_without_stress(tools: Any, law: Law) -> None:
    hot = np.linspace(20.0, 900.0, 7)
    step = tools.step(law, np.zeros((7, 6)), law.thermal_strain(hot), temperature_after=hot)
    response = law.integrate(step)
    assert np.abs(response.stress).max() < 1e-9
    assert not response.state.any()


def test_a_step_of_no_strain_changes_nothing(tools: Any, law: Law) -> None:
    still = tools.step(law, np.zeros((3, 6)), np.zeros((3, 6)))
    response = law.integrate(still)
    assert not response.stress.any()
    assert not response.state.any()
    assert response.iterations == 0
    assert not law.stored_energy(np.zeros((3, 6)), still.temperature_after, response.state).any()


def test_accumulated_plasticity_only_grows(tools: Any, law: Law) -> None:
    if not law.variables:
        return
    p = law.column("accumulated_plasticity")
    for step in tools.history(law, 17):
        assert (law.integrate(step).state[:, p] >= step.state[:, p]).all()


def test_plastic_strain_has_no_trace(tools: Any, law: Law) -> None:
    for step in tools.history(law, 19):
        state = law.integrate(step).state
        for variable in law.variables:
            if variable.components == 6:
                tensor = state[:, law.column(variable.name)]
                assert np.abs(tensor[:, :3].sum(axis=1)).max() < 1e-15 * len(tensor)


def test_no_points_are_no_trouble(tools: Any, law: Law) -> None:
    response = law.integrate(tools.step(law, np.zeros((0, 6)), np.zeros((0, 6))))
    assert response.stress.shape == (0, 6)
    assert response.tangent.shape == (0, 6, 6)


def test_columns_follow_the_variables(law: Law) -> None:
    ends = [law.column(variable.name) for variable in law.variables]
    assert sum(c.stop - c.start for c in ends) == law.size == law.initial_state(4).shape[1]
    with pytest.raises(UserError, match="received 'damage'"):
        law.column("damage")


def test_arrays_of_other_shapes_are_named(tools: Any, law: Law) -> None:
    good = tools.step(law, np.zeros((3, 6)), np.zeros((3, 6)))
    with pytest.raises(UserError, match=r"strain_after: expected shape \(3, 6\)"):
        law.integrate(replace(good, strain_after=np.zeros((2, 6))))
    with pytest.raises(UserError, match="state: expected shape"):
        law.integrate(replace(good, state=np.zeros((3, law.size + 1))))
    with pytest.raises(UserError, match="duration"):
        law.integrate(replace(good, duration=-1.0))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e200])
def test_strains_that_are_not_finite_are_counted(tools: Any, law: Law, value: float) -> None:
    after = np.zeros((5, 6))
    after[3, 1], after[3, 2] = value, -value
    with pytest.raises(LocalIntegrationError, match="1 of 5 points") as caught:
        law.integrate(tools.step(law, np.zeros((5, 6)), after))
    assert caught.value.points.tolist() == [3]


def test_absurd_strains_of_a_diverging_solution_are_borne_or_named(tools: Any, law: Law) -> None:
    for size in (1e3, 1e20, 1e80):
        after = size * np.random.default_rng(0).standard_normal((20, 6))
        response = law.integrate(tools.step(law, np.zeros((20, 6)), after))
        assert np.isfinite(response.stress).all()
        assert np.isfinite(response.tangent).all()
