"""The full-order model against closed forms, and against its law at one point."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from infra.errors import UserError
from solvers.backend import MPI
from solvers.laws.description import law_from
from solvers.laws.law import Law, LawStep
from solvers.loads import (
    Amplitude,
    Centrifugal,
    LoadCase,
    Prescribed,
    Pressure,
    TemperatureHistory,
)
from solvers.problems.structures import structure_class
from solvers.structures.model import StructureModel
from solvers.structures.state_files import History

KINDS = ("hexahedron", "tetrahedron", "tetrahedron10")
LAWS = ("thermoelastic", "linear-hardening", "elastoviscoplastic")
ONE, RAMP = Amplitude.constant(), Amplitude((0.0, 1.0), (0.0, 1.0))
BAR = (3.0, 1.0, 1.0)
# Symmetry planes: what is left is free to grow.
HELD = (Prescribed("x0", 0), Prescribed("y0", 1), Prescribed("z0", 2))


def on_all(mesh: Any, values: Any) -> tuple[Any, tuple[Prescribed, ...]]:
    """Return the mesh with a set per boundary node, and displacements (N, 3) held on them."""
    nodes = {str(node): np.array([node]) for node in mesh.nodes["all"]}
    held = tuple(
        Prescribed(name, axis, float(values[node[0], axis]), RAMP)
        for name, node in nodes.items()
        for axis in range(3)
    )
    return type(mesh)(mesh.points, mesh.cells, mesh.kind, {}, nodes), held


@pytest.mark.parametrize("law_name", LAWS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_linear_displacement_of_the_boundary_gives_a_linear_displacement(
    box: Callable[..., Any],
    law: Callable[..., Law],
    solve: Callable[..., History],
    kind: str,
    law_name: str,
) -> None:
    gradient = 5e-3 * np.random.default_rng(8).standard_normal((3, 3))
    counts = (2, 2, 2) if kind != "hexahedron" else (3, 3, 2)
    made = box(counts, (1.0, 2.0, 1.0), kind, 0.15)
    mesh, held = on_all(made, made.points @ gradient.T)
    state = solve(mesh, law(law_name), LoadCase(held), [0.0, 0.5, 1.0]).state(-1)
    np.testing.assert_allclose(state.displacement, mesh.points @ gradient.T, atol=1e-11)
    spread = np.abs(state.stress - state.stress.mean(axis=0)).max()
    assert spread < 1e-8 * np.abs(state.stress).max()


@pytest.mark.parametrize("law_name", LAWS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_pulled_bar_is_one_point_of_its_law(
    box: Callable[..., Any],
    law: Callable[..., Law],
    solve: Callable[..., History],
    kind: str,
    law_name: str,
) -> None:
    mesh, one = box((2, 1, 1), BAR, kind), law(law_name)
    pull = Amplitude((0.0, 1.0, 3.0), (0.0, 1.0, -1.0))
    loads = LoadCase((*HELD, Prescribed("x1", 0, 0.03, pull)))
    history = solve(mesh, one, loads, np.linspace(0.0, 3.0, 7))
    strains = strains_of(mesh, history)
    state, temperature = one.initial_state(1), np.full(1, 20.0)
    for number in range(1, len(history)):
        before, after = strains[number - 1 : number], strains[number : number + 1]
        step = LawStep(before, after, temperature, temperature, state, 0.5)
        response = one.integrate(step)
        state = response.state
        found = history.state(number).stress
        np.testing.assert_allclose(found, np.tile(response.stress, (len(found), 1)), atol=1e-6)
        assert np.abs(response.stress[0, 1:]).max() < 1e-6, "the sides are free"
    assert np.abs(history.stress[:, :, 0]).max() > 100.0


def strains_of(mesh: Any, history: History) -> Any:
    """Return the (T, 6) strains of a bar whose displacements are linear."""
    u = history.displacement
    corner = np.argmax(mesh.points.sum(axis=1))
    strains = np.zeros((len(u), 6))
    strains[:, :3] = u[:, corner] / mesh.points[corner]
    return strains


@pytest.mark.parametrize("kind", KINDS)
def test_a_pressure_shortens_a_bar_by_hooks_law(
    box: Callable[..., Any], law: Callable[..., Law], solve: Callable[..., History], kind: str
) -> None:
    mesh = box((2, 1, 1), BAR, kind)
    loads = LoadCase(HELD, (Pressure("x1", 100.0, RAMP),))
    state = solve(mesh, law("thermoelastic"), loads, [0.0, 1.0]).state(1)
    expected = -100.0 / 2e5 * mesh.points * np.array([1.0, -0.3, -0.3])
    np.testing.assert_allclose(state.displacement, expected, atol=1e-12)
    np.testing.assert_allclose(state.stress[:, 0], -100.0, rtol=1e-9)


def test_a_pressure_all_around_compresses_without_shear(
    box: Callable[..., Any], law: Callable[..., Law], solve: Callable[..., History]
) -> None:
    mesh = box((2, 2, 2), (1.0, 2.0, 3.0), crooked=0.2)
    loads = LoadCase(HELD, tuple(Pressure(f"{axis}1", 50.0, RAMP) for axis in "xyz"))
    state = solve(mesh, law("thermoelastic"), loads, [0.0, 1.0]).state(1)
    expected = [-50.0, -50.0, -50.0, 0.0, 0.0, 0.0]
    np.testing.assert_allclose(state.stress, np.tile(expected, (64, 1)), atol=1e-7)


def test_a_spinning_bar_stretches_as_in_closed_form(
    box: Callable[..., Any], law: Callable[..., Law], solve: Callable[..., History]
) -> None:
    # E u'' + rho omega^2 x = 0, u(0) = 0, u'(L) = 0; linear elements are exact at their nodes.
    mesh, rho, omega, length = box((4, 1, 1), BAR), 8e-9, 2000.0, 3.0
    spin = Centrifugal((0.0, 0.5, 0.5), (0.0, 1.0, 0.0), omega, rho, ONE)
    # Only the pull along the bar: across it the axis is the middle, and nothing can move.
    sides = tuple(Prescribed(f"{axis}{end}", n, 0.0) for n, axis in ((1, "y"), (2, "z"))
                  for end in (0, 1))  # fmt: skip
    loads = LoadCase((Prescribed("x0", 0), *sides), centrifugal=spin)
    state = solve(mesh, law("thermoelastic", poisson=0.0), loads, [0.0, 1.0]).state(1)
    x = mesh.points[:, 0]
    expected = rho * omega**2 / 2e5 * (length**2 * x / 2.0 - x**3 / 6.0)
    np.testing.assert_allclose(state.displacement[:, 0], expected, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("kind", KINDS)
def test_a_free_body_grows_with_temperature_without_stress(
    box: Callable[..., Any], law: Callable[..., Law], solve: Callable[..., History], kind: str
) -> None:
    # No applied forces and no internal ones: only the thermal scale can say when to stop.
    mesh = box((2, 2, 2), (1.0, 2.0, 1.0), kind)
    fields = np.array([20.0, 320.0, 320.0, 20.0])[:, None] + np.zeros(mesh.n_nodes)
    loads = LoadCase(HELD, temperature=TemperatureHistory(np.arange(4.0), fields))
    history = solve(mesh, law("elastoviscoplastic"), loads, np.arange(5.0))
    for number in (1, 2):
        state = history.state(number)
        np.testing.assert_allclose(state.displacement, 1e-5 * 300.0 * mesh.points, atol=1e-12)
        assert np.abs(state.stress).max() < 1e-6
    np.testing.assert_allclose(history.state(-1).displacement, 0.0, atol=1e-12)


@pytest.mark.parametrize("law_name", LAWS)
def test_a_body_that_is_unloaded_and_left_alone_comes_to_rest(
    box: Callable[..., Any], law: Callable[..., Law], solve: Callable[..., History], law_name: str
) -> None:
    # Nothing acts at last: the scale of forces must not vanish with them.
    wave = Amplitude((0.0, 1.0, 2.0), (0.0, 1.0, 0.0))
    loads = LoadCase(HELD, (Pressure("x1", -40.0, wave),))
    history = solve(box(), law(law_name), loads, np.arange(6.0), max_cuts=0)
    assert np.abs(history.state(-1).stress).max() < 1e-6


def test_a_held_bar_that_is_heated_is_under_pressure(
    box: Callable[..., Any], law: Callable[..., Law], solve: Callable[..., History]
) -> None:
    mesh = box((2, 1, 1), BAR)
    fields = np.array([20.0, 70.0])[:, None] + np.zeros(mesh.n_nodes)
    held = (*HELD, Prescribed("x1", 0))
    loads = LoadCase(held, temperature=TemperatureHistory(np.arange(2.0), fields))
    state = solve(mesh, law("thermoelastic"), loads, [0.0, 1.0]).state(1)
    np.testing.assert_allclose(state.stress[:, 0], -2e5 * 1e-5 * 50.0, rtol=1e-9)
    np.testing.assert_allclose(state.temperature, 70.0)


@pytest.mark.parametrize("cells", [(2, 2, 2)])
def test_the_exact_tangent_and_its_symmetric_part_lead_to_the_same_state(
    box: Callable[..., Any],
    law: Callable[..., Law],
    solve: Callable[..., History],
    cells: tuple[int, int, int],
) -> None:
    pull = (*HELD, Prescribed("x1", 1, 0.01, RAMP))
    found = [
        solve(box(cells), law("elastoviscoplastic"), LoadCase(pull), [0.0, 0.5, 1.0],
              tangent=tangent, line_search=search).displacement
        for tangent, search in (("full", "energy"), ("symmetric-part", "energy"), ("full", "none"))
    ]  # fmt: skip
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], atol=1e-12)


def test_a_notch_concentrates_stress_as_the_handbook_says(solve: Callable[..., History]) -> None:
    # Two semicircular notches of depth t in a plate of width D under tension: Pilkey, 2008,
    # "Peterson's Stress Concentration Factors", chart 2.4; relative to the net section.
    kind: Any = structure_class("notched-plate")
    settings = kind.Settings(around=24, through=1, thickness=1.0, cycles=1, law="linear-hardening")
    case = kind(settings).case({"stress": 10.0})
    state = solve(case.mesh, law_from(case.law), case.loads, case.times[[0, 5]]).state(1)
    depth = 3.0 / 10.0
    expected = 3.065 - 3.472 * depth + 1.009 * depth**2 + 0.405 * depth**3
    net = 10.0 / (1.0 - depth)
    assert state.stress[:, 1].max() / net == pytest.approx(expected, rel=0.02)


def test_the_imbalance_of_a_state_shows_what_is_wrong_with_it(
    box: Callable[..., Any], law: Callable[..., Law]
) -> None:
    loads = LoadCase(HELD, (Pressure("x1", 100.0, RAMP),))
    model = StructureModel(box(), law("thermoelastic"), loads, MPI.COMM_SELF)
    state, report = model.advance(model.initial_state(0.0), 1.0)
    assert model.imbalance(state) <= max(report.residual, 1e-12)
    # The largest forces are the internal ones, at both ends of the body.
    weak = replace(state, stress=0.9 * state.stress)
    assert model.imbalance(weak) == pytest.approx(0.1 / (0.9 * np.sqrt(2.0)))
    assert model.imbalance(model.initial_state(0.0)) == 0.0
    assert model.imbalance(model.initial_state(1.0)) == 1.0


def test_a_model_takes_another_load_case_as_a_new_one_would(
    box: Callable[..., Any], law: Callable[..., Law]
) -> None:
    mesh, one = box((2, 2, 2), crooked=0.2), law("elastoviscoplastic")
    first, second = (LoadCase(HELD, (Pressure("x1", p, RAMP),)) for p in (-100.0, 300.0))
    fresh = StructureModel(mesh, one, second, MPI.COMM_SELF)
    expected, _ = fresh.advance(fresh.initial_state(0.0), 1.0)
    model = StructureModel(mesh, one, first, MPI.COMM_SELF)
    model.advance(model.initial_state(0.0), 1.0)
    model.take(second)
    found, _ = model.advance(model.initial_state(0.0), 1.0)
    np.testing.assert_array_equal(found.displacement, expected.displacement)
    with pytest.raises(UserError, match="expected the same prescribed components"):
        model.take(LoadCase((*HELD, Prescribed("x1", 0))))
    with pytest.raises(UserError, match="expected a set of facets"):
        model.take(LoadCase(HELD, (Pressure("top", 1.0, RAMP),)))
    again, _ = model.advance(model.initial_state(0.0), 1.0)
    np.testing.assert_array_equal(again.stress, expected.stress)


def test_errors_of_the_sink_are_raised(box: Callable[..., Any], law: Callable[..., Law]) -> None:
    def full(*_: Any) -> None:
        raise OSError("no room")

    model = StructureModel(box(), law("thermoelastic"), LoadCase(HELD), MPI.COMM_SELF)
    with pytest.raises(OSError, match="no room"):
        model.run([0.0, 1.0], full)


@pytest.mark.parametrize("times", [[0.0], [0.0, 0.0], [1.0, 0.0], [0.0, float("nan")]])
def test_times_must_ascend(
    box: Callable[..., Any], law: Callable[..., Law], times: list[float]
) -> None:
    model = StructureModel(box(), law("thermoelastic"), LoadCase(HELD), MPI.COMM_SELF)
    with pytest.raises(UserError, match="times: expected at least two ascending"):
        model.run(times, History())


@pytest.mark.parametrize(
    ("held", "free"),
    [((), 6), ((Prescribed("x0", 0),), 3), ((*HELD[:2], Prescribed("corner", 0)), 1)],
)
def test_a_body_that_can_move_is_refused(
    box: Callable[..., Any], law: Callable[..., Law], held: tuple[Prescribed, ...], free: int
) -> None:
    with pytest.raises(UserError, match=f"no rigid motion, received some that leave {free} of 6"):
        StructureModel(box(), law("thermoelastic"), LoadCase(held), MPI.COMM_SELF)


@pytest.mark.parametrize("method", ["direct", "icc", "gamg", "ssor", "lagged-factor", "auto"])
def test_every_linear_method_leads_to_the_same_state(
    box: Callable[..., Any], law: Callable[..., Law], solve: Callable[..., History], method: str
) -> None:
    loads = LoadCase(HELD, (Pressure("x1", -300.0, RAMP),))
    mesh, plastic = box((3, 3, 3), crooked=0.2), law("linear-hardening")
    given = {"method": method, "rtol": 1e-8, "cost": "operations"}
    found = solve(mesh, plastic, loads, [0.0, 0.5, 1.0], linear=given).displacement
    expected = solve(mesh, plastic, loads, [0.0, 0.5, 1.0]).displacement
    np.testing.assert_allclose(found, expected, atol=1e-11)


def test_the_choice_of_a_linear_method_is_told(
    box: Callable[..., Any], law: Callable[..., Law]
) -> None:
    # A thin plate that is held at one edge takes many iterations, a block few.
    clamped = tuple(Prescribed("x0", axis) for axis in range(3))
    made = [
        StructureModel(mesh, law("thermoelastic"), LoadCase(clamped), MPI.COMM_SELF).options
        for mesh in (box((12, 12, 1), (24.0, 24.0, 0.2)), box((7, 7, 7)))
    ]
    assert [options["linear_method"] for options in made] == ["direct", "icc"]
    assert made[0]["tolerance"] == "1e-08"


def test_a_step_leads_forward_from_a_state_that_fits(
    box: Callable[..., Any], law: Callable[..., Law]
) -> None:
    loads = LoadCase(HELD)
    model = StructureModel(box(), law("thermoelastic"), loads, MPI.COMM_SELF)
    state = model.initial_state(1.0)
    with pytest.raises(UserError, match="expected one after that of the state, 1 s, received 1"):
        model.advance(state, 1.0)
    other = StructureModel(box(), law("linear-hardening"), loads, MPI.COMM_SELF)
    with pytest.raises(UserError, match="state: internal: expected shape"):
        other.advance(state, 2.0)
    with pytest.raises(UserError, match="state: internal: expected shape"):
        other.run([1.0, 2.0], History(), start=state)
