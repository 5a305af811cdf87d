"""Laws of reduced structures: they repeat what they learnt, at few points, from any state on."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from infra.array_folder import write_folder
from infra.errors import ChecksumError, StoreError, UserError
from rom.cubature.rule import CubatureError
from rom.structures.model import ReducedStructure
from rom.structures.model_folder import load_structure, save_structure
from rom.structures.newton import NewtonOptions
from rom.structures.offline import build_structure
from rom.structures.online import ReducedStepError, advance, run
from rom.structures.paths import MaterialPoints
from rom.structures.reconstruction import displacement, reconstruct, von_mises_stress
from rom.structures.settings import StructureSettings
from rom.structures.trajectory import Trajectory
from solvers.laws.coefficients import Table
from solvers.laws.elasticity import Elasticity
from solvers.laws.thermoelastic import ThermoElastic
from solvers.loads import Amplitude, LoadCase, Prescribed

P = "accumulated_plasticity"


@pytest.fixture(scope="module")
def model(cube: Any, viscous_law: Any, cube_run: Trajectory) -> ReducedStructure:
    settings = StructureSettings(fields=("stress", P, "plastic_strain"))
    return build_structure(cube, viscous_law, [cube_run], settings)[0]


def states(model: ReducedStructure, trajectory: Trajectory) -> list[Any]:
    loads = model.loads(trajectory.loads)
    return [s for s, _ in run(model, loads, model.start(), trajectory.times[1:])]


def true_plasticity(trajectory: Trajectory, cube: Any, law: Any) -> Any:
    points = MaterialPoints(cube, law)
    start = points.virgin(trajectory.loads, 0.0, trajectory.displacement[0])
    path = points.follow(trajectory.loads, trajectory.times[1:], trajectory.displacement[1:], start)
    return np.array([state.internal[:, law.column(P)] for state in path])


def relative(found: Any, exact: Any) -> float:
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


def test_a_case_that_was_learnt_is_reproduced(
    model: ReducedStructure, cube: Any, viscous_law: Any, cube_run: Trajectory
) -> None:
    loads = model.loads(cube_run.loads)
    exact = true_plasticity(cube_run, cube, viscous_law)
    assert exact[-1].max() > 1e-3
    for state, u, p in zip(states(model, cube_run), cube_run.displacement[1:], exact, strict=True):
        assert relative(displacement(model, loads, state), u) < 1e-4
        assert relative(reconstruct(model, state, P).values, p) < 1e-4


def test_a_further_cycle_is_extrapolated_from_three(
    cube: Any, make_full: Any, viscous_law: Any, cube_run: Trajectory
) -> None:
    truth = make_full(cube, viscous_law, cube_run.loads).run(np.linspace(0.0, 8.0, 41))
    seen = Trajectory(truth.times[:31], truth.displacement[:31], truth.loads)
    model, _ = build_structure(cube, viscous_law, [seen])
    found, loads = states(model, truth)[30:], model.loads(truth.loads)
    exact = true_plasticity(truth, cube, viscous_law)
    assert relative(exact[-1], exact[29]) > 0.05
    for state, u, p in zip(found, truth.displacement[31:], exact[30:], strict=True):
        assert relative(displacement(model, loads, state), u) < 1e-4
        assert relative(reconstruct(model, state, P).values, p) < 1e-3


def test_from_one_cycle_no_combination_of_what_was_seen_is_closer_than_a_few_times(
    model: ReducedStructure, cube: Any, make_full: Any, viscous_law: Any, cube_run: Trajectory
) -> None:
    """The plastic strain of the first cycle is unlike that of later ones: 1e-4 is out of reach."""
    longer = make_full(cube, viscous_law, cube_run.loads).run(np.linspace(0.0, 3.0, 16))
    rows = longer.displacement.reshape(16, -1)
    Q, R = np.linalg.qr(rows[1:11].T)
    assert np.linalg.cond(R) < 1e9
    best = max(relative(Q @ (Q.T @ u), u) for u in rows[11:])
    assert best > 1e-3
    loads = model.loads(longer.loads)
    found = [displacement(model, loads, state).ravel() for state in states(model, longer)[10:]]
    assert max(relative(a, b) for a, b in zip(found, rows[11:], strict=True)) < 5 * best


def test_further_cycles_are_extrapolated_from_one(
    model: ReducedStructure, cube: Any, make_full: Any, viscous_law: Any, cube_run: Trajectory
) -> None:
    longer = make_full(cube, viscous_law, cube_run.loads).run(np.linspace(0.0, 3.0, 16))
    found = states(model, longer)
    loads = model.loads(longer.loads)
    exact = true_plasticity(longer, cube, viscous_law)
    u = [displacement(model, loads, state) for state in found]
    assert max(relative(a, b) for a, b in zip(u, longer.displacement[1:], strict=True)) < 1e-2
    assert relative(reconstruct(model, found[-1], P).values, exact[-1]) < 2e-2


def test_all_points_kept_are_exact_integration(
    model: ReducedStructure, cube: Any, viscous_law: Any, cube_run: Trajectory
) -> None:
    points = MaterialPoints(cube, viscous_law)
    n = model.rank
    strains = np.stack([points.strain(psi) for psi in model.modes.T], axis=-1)
    whole = replace(
        model,
        places=np.arange(cube.n_material_points),
        weights=cube.material_weights,
        strains=strains,
        lift_strains=np.zeros((0, cube.n_material_points, 6)),
    )
    few, all_points = states(model, cube_run), states(whole, cube_run)
    assert relative(few[-1].q, all_points[-1].q) < 1e-4
    assert n == whole.rank
    # Galerkin's solution with all points is nearly the projection itself.
    loads = whole.loads(cube_run.loads)
    u = displacement(whole, loads, all_points[-1])
    assert relative(u, cube_run.displacement[-1]) < 2e-5


def test_the_law_is_evaluated_at_few_points_whatever_the_mesh(
    make_mesh: Callable[..., Any], make_full: Any, make_cycle: Any
) -> None:
    c = Table.constant
    law = ThermoElastic(Elasticity(c(2e5), c(0.3), c(2e-5)))
    points, evaluations = [], []
    for n in (2, 4):
        mesh = make_mesh("hexahedron", n)
        trajectory = make_full(mesh, law, make_cycle(mesh)).run(np.linspace(0.0, 2.0, 5))
        settings = StructureSettings(displacement_tolerance=1e-3, cubature_tolerance=1e-2)
        model, _ = build_structure(mesh, law, [trajectory], settings)
        loads = model.loads(trajectory.loads)
        _, report = advance(model, loads, model.start(), 0.5)
        points.append(len(model.places))
        evaluations.append(report.evaluations)
        assert report.evaluations == len(model.places) * (report.iterations + 1)
    assert points[1] <= points[0] + 5 < 64
    assert evaluations[1] <= 1.5 * evaluations[0]


def test_weights_are_positive_and_hold_the_volume(model: ReducedStructure) -> None:
    assert (model.weights > 0).all()
    assert model.weights.sum() == pytest.approx(1000.0, rel=1e-6)
    assert model.integration_points <= len(model.places)
    assert len(np.unique(model.places)) == len(model.places)
    for dual in model.duals.values():
        assert len(model.places) >= 1.5 * dual.field.rank


def test_accumulated_plasticity_is_never_negative_and_never_falls(
    model: ReducedStructure, cube_run: Trajectory
) -> None:
    before = None
    for state in states(model, cube_run):
        p = reconstruct(model, state, P, before).values
        assert (p >= (0.0 if before is None else before)).all()
        before = p
    stress = von_mises_stress(model, state)
    assert stress.shape == (216,)
    assert (stress >= 0).all()


def test_a_run_that_was_cut_and_resumed_from_disk_gives_the_same_bits(
    model: ReducedStructure, cube_run: Trajectory, tmp_path: Path
) -> None:
    whole = states(model, cube_run)
    save_structure(model, tmp_path / "model")
    again = load_structure(tmp_path / "model")
    loads = again.loads(cube_run.loads)
    rest = [s for s, _ in run(again, loads, whole[3], cube_run.times[5:])]
    for one, other in zip(whole[4:], rest, strict=True):
        np.testing.assert_array_equal(one.q, other.q)
        np.testing.assert_array_equal(one.internal, other.internal)
    for name in (P, "stress"):
        first, second = reconstruct(model, whole[-1], name), reconstruct(again, rest[-1], name)
        np.testing.assert_array_equal(first.values, second.values)
        assert first.residual == second.residual


def test_a_damaged_or_foreign_folder_is_refused(model: ReducedStructure, tmp_path: Path) -> None:
    save_structure(model, tmp_path / "model")
    with pytest.raises(UserError, match="exists"):
        save_structure(model, tmp_path / "model")
    path = tmp_path / "model" / "model.json"
    path.write_text(path.read_text().replace("300.0", "301.0"))
    with pytest.raises(ChecksumError):
        load_structure(tmp_path / "model")
    write_folder(tmp_path / "other", {}, {"format": 1})
    with pytest.raises(StoreError, match=r"a reduced structure of the format 1 .* None, 1\. Use"):
        load_structure(tmp_path / "other")


def test_a_step_that_fails_is_cut_and_then_stops_with_its_state(
    model: ReducedStructure, cube_run: Trajectory
) -> None:
    loads = model.loads(cube_run.loads)
    hasty = NewtonOptions(iterations=3, cuts=4)
    state, report = advance(model, loads, model.start(), 0.2, hasty)
    assert report.cuts > 0
    assert state.time == 0.2
    with pytest.raises(ReducedStepError, match="add a run with such loads") as caught:
        advance(model, loads, model.start(), 0.2, NewtonOptions(iterations=1, cuts=2))
    assert caught.value.state.time < 0.2
    assert np.isfinite(caught.value.state.q).all()


def test_thermal_loads_alone_find_equilibrium(cube: Any, make_full: Any, make_cycle: Any) -> None:
    c = Table.constant
    law = ThermoElastic(Elasticity(c(2e5), c(0.3), c(2e-5)))
    cycle = make_cycle(cube)
    loads = LoadCase(cycle.prescribed, temperature=cycle.temperature)
    trajectory = make_full(cube, law, loads).run(np.linspace(0.0, 2.0, 5))
    model, _ = build_structure(cube, law, [trajectory])
    reduced = model.loads(loads)
    for (state, report), u in zip(
        run(model, reduced, model.start(), trajectory.times[1:]),
        trajectory.displacement[1:],
        strict=True,
    ):
        assert report.iterations <= 2
        size = np.linalg.norm(trajectory.displacement[2])
        assert np.linalg.norm(displacement(model, reduced, state) - u) < 1e-4 * size


def test_a_structure_without_any_load_keeps_its_residual_stress(
    cube: Any, make_full: Any, make_cycle: Any, viscous_law: Any
) -> None:
    case = make_cycle(cube)
    up_and_down = Amplitude((0.0, 0.5, 1.5, 2.0), (0.0, 1.0, 1.0, 0.0))
    loads = LoadCase(
        case.prescribed,
        (replace(case.pressures[0], amplitude=up_and_down),),
        replace(case.centrifugal, amplitude=up_and_down),
    )
    trajectory = make_full(cube, viscous_law, loads).run(np.linspace(0.0, 3.0, 10))
    model, _ = build_structure(cube, viscous_law, [trajectory])
    found = states(model, trajectory)
    exact = trajectory.displacement[-1]
    assert relative(displacement(model, model.loads(loads), found[-1]), exact) < 1e-3
    assert np.abs(found[-1].stress).max() > 1.0


@pytest.mark.parametrize("kind", ["tetrahedron", "tetrahedron10"])
def test_prescribed_displacements_are_met_on_tetrahedra(
    make_mesh: Any, make_full: Any, hardening_law: Any, kind: str
) -> None:
    mesh = make_mesh(kind, 1)
    pull = Prescribed("x1", 0, 0.004, Amplitude((0.0, 1.0, 2.0), (0.0, 1.0, 1.5)))
    held = (Prescribed("x0", 0), Prescribed("edge", 1), Prescribed("corner", 2))
    trajectory = make_full(mesh, hardening_law, LoadCase((*held, pull))).run(
        np.linspace(0.0, 2.0, 9)
    )
    model, _ = build_structure(mesh, hardening_law, [trajectory])
    loads = model.loads(trajectory.loads)
    for state, u in zip(states(model, trajectory), trajectory.displacement[1:], strict=True):
        found = displacement(model, loads, state)
        np.testing.assert_allclose(found[mesh.nodes["x1"], 0], pull.at(state.time), atol=1e-12)
        assert np.linalg.norm(found - u) < 1e-4 * np.abs(trajectory.displacement).max() * 10
    double = replace(pull, magnitude=0.006)
    state, _ = advance(model, model.loads(LoadCase((*held, double))), model.start(), 0.25)
    assert np.isfinite(state.q).all()


def test_other_supports_than_the_trainings_are_refused(
    model: ReducedStructure, cube_run: Trajectory
) -> None:
    case = cube_run.loads
    with pytest.raises(UserError, match="as in the training"):
        model.loads(replace(case, prescribed=case.prescribed[:2]))
    moving = (replace(case.prescribed[0], magnitude=0.1), *case.prescribed[1:])
    with pytest.raises(UserError, match="Add a run in which it moves"):
        model.loads(replace(case, prescribed=moving))


def test_histories_that_do_not_fit_are_refused(
    cube: Any, make_mesh: Any, viscous_law: Any, cube_run: Trajectory
) -> None:
    with pytest.raises(UserError, match="nodes of the mesh"):
        build_structure(make_mesh("hexahedron", 2), viscous_law, [cube_run])
    mixed = replace(cube_run, displacement=cube_run.displacement[:, ::-1])
    with pytest.raises(UserError, match="numbering of the nodes"):
        build_structure(cube, viscous_law, [mixed])
    with pytest.raises(UserError, match="one displacement"):
        replace(cube_run, times=cube_run.times[:-1])
    with pytest.raises(UserError, match="finite"):
        replace(cube_run, displacement=np.full_like(cube_run.displacement, np.nan))
    with pytest.raises(UserError, match="ascending"):
        replace(cube_run, times=cube_run.times[::-1])
    with pytest.raises(UserError, match="at least one"):
        build_structure(cube, viscous_law, [])
    with pytest.raises(UserError, match="names among stress, plastic_strain"):
        build_structure(cube, viscous_law, [cube_run], StructureSettings(fields=("p",)))


def test_a_cubature_tolerance_that_cannot_be_reached_is_named(
    cube: Any, viscous_law: Any, cube_run: Trajectory
) -> None:
    with pytest.raises(CubatureError, match="larger tolerance"):
        build_structure(cube, viscous_law, [cube_run], StructureSettings(cubature_tolerance=1e-18))


def test_histories_in_few_digits_serve_as_well(
    cube: Any, viscous_law: Any, cube_run: Trajectory
) -> None:
    """Result files of other solvers have six digits."""
    flat = [float(f"{value:.5e}") for value in cube_run.displacement.ravel()]
    rounded = replace(cube_run, displacement=np.reshape(flat, cube_run.displacement.shape))
    other, _ = build_structure(cube, viscous_law, [rounded])
    loads = other.loads(cube_run.loads)
    found = displacement(other, loads, states(other, rounded)[-1])
    assert relative(found, cube_run.displacement[-1]) < 1e-4


def test_states_and_times_that_do_not_fit_are_refused(
    model: ReducedStructure, cube_run: Trajectory
) -> None:
    loads, start = model.loads(cube_run.loads), model.start()
    with pytest.raises(UserError, match="after that of the state"):
        advance(model, loads, start, 0.0)
    with pytest.raises(UserError, match="state of this model"):
        advance(model, loads, replace(start, q=np.zeros(2)), 1.0)
    with pytest.raises(UserError, match="built for"):
        reconstruct(model, start, "back_strain")
