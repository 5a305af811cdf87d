"""The real CalculiX against closed forms and against our laws."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from solvers.adapters.calculix.frd import read_nodal
from solvers.adapters.calculix.run import CalculiX
from solvers.adapters.external import ExternalCase, SolverFailedError, SolverNotFoundError
from solvers.laws.description import law_from
from solvers.laws.law import Law
from solvers.loads import (
    Amplitude,
    Centrifugal,
    LoadCase,
    Prescribed,
    Pressure,
    TemperatureHistory,
)
from solvers.structure_quadrature import CellKind

KINDS: tuple[CellKind, ...] = ("hexahedron", "tetrahedron", "tetrahedron10")
E = {"young": 2e5, "poisson": 0.3, "expansion": 1.5e-5}
HELD = (Prescribed("x0", 0), Prescribed("y0", 1), Prescribed("z0", 2))
RAMP = Amplitude((0.0, 1.0, 2.0), (0.0, 1.0, -0.5))


def law(kind: str = "thermoelastic", **coefficients: Any) -> Law:
    return law_from({"kind": kind, "coefficients": {**E, **coefficients}})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("end", [0, 1])
def test_uniform_pressures_give_uniform_stress_on_crooked_meshes(
    ccx: str, boxes: Any, tmp_path: Path, kind: CellKind, end: int
) -> None:
    """Patch test: sigma = -p per axis, and displacements are linear; all sides are loaded once."""
    mesh = boxes.box((2, 2, 2), (1.0, 2.0, 1.5), kind, crooked=0.3)
    pressures = {f"x{end}": -90.0, f"y{end}": 30.0, f"z{end}": 60.0}
    held = tuple(Prescribed(f"{'xyz'[axis]}{1 - end}", axis) for axis in range(3))
    on = Amplitude.constant()
    loads = LoadCase(held, tuple(Pressure(name, p, on) for name, p in pressures.items()))
    case = ExternalCase(mesh, law(), loads, np.array([0.0, 1.0]))
    history = CalculiX(ccx).solve(case, tmp_path)
    stress = -np.array(list(pressures.values()))
    assert history.stress is not None
    expected = np.broadcast_to([*stress, 0.0, 0.0, 0.0], history.stress[1].shape)
    assert history.stress[1] == pytest.approx(expected, abs=1e-3)
    strain = (1.3 * stress - 0.3 * stress.sum()) / 2e5
    start = (1 - end) * np.array([1.0, 2.0, 1.5])
    assert history.displacement[1] == pytest.approx(strain * (mesh.points - start), abs=1e-9)
    assert not history.displacement[0].any()


def test_a_rotating_bar_stretches_as_its_closed_form_says(
    ccx: str, boxes: Any, tmp_path: Path
) -> None:
    """u(x) = rho w^2 (L^2 x - x^3 / 3) / (2 E), exact at the nodes for Poisson's ratio 0."""
    mesh = boxes.box((8, 1, 1), (40.0, 1.0, 1.0))
    rotation = Centrifugal((0.0, 0.0, 3.0), (0.0, 0.0, 2.0), 1200.0, 8e-9, RAMP)
    case = ExternalCase(
        mesh, law(poisson=0.0), LoadCase(HELD, (), rotation), np.array([0.0, 0.5, 1.0])
    )
    history = CalculiX(ccx).solve(case, tmp_path)
    x = mesh.points[:, 0]
    stretch = 8e-9 * 1200.0**2 * (1600.0 * x - x**3 / 3.0) / 4e5
    for share, received in zip((0.5, 1.0), history.displacement[1:], strict=True):
        assert received[:, 0] == pytest.approx(share * stretch, rel=2e-6, abs=1e-9)


def test_a_warm_bar_grows_freely(ccx: str, boxes: Any, tmp_path: Path) -> None:
    mesh = boxes.box((2, 2, 2), kind="tetrahedron10")
    table = {"temperatures": [20.0, 520.0], "values": [1e-5, 2e-5]}
    fields = np.outer([20.0, 270.0], np.ones(mesh.n_nodes))
    loads = LoadCase(HELD, temperature=TemperatureHistory(np.array([0.0, 1.0]), fields))
    case = ExternalCase(mesh, law(expansion=table), loads, np.array([0.0, 1.0]))
    history = CalculiX(ccx).solve(case, tmp_path)
    assert history.displacement[1] == pytest.approx(1.5e-5 * 250.0 * mesh.points, abs=1e-9)
    assert history.stress is not None
    assert np.abs(history.stress).max() < 1e-3


def test_a_pulled_bar_follows_the_bilinear_curve(ccx: str, boxes: Any, tmp_path: Path) -> None:
    mesh = boxes.box((2, 1, 1), (4.0, 1.0, 1.0))
    hard = law("linear-hardening", yield_stress=100.0, hardening=3000.0)
    loads = LoadCase((*HELD, Prescribed("x1", 0, 0.02, RAMP)))
    times = np.array([0.0, 0.05, 0.5, 1.0, 1.05])
    history = CalculiX(ccx).solve(ExternalCase(mesh, hard, loads, times), tmp_path)
    strain = np.array([RAMP(t) for t in times]) * 0.005
    slope = 2e5 * 3000.0 / 203000.0
    pulled = np.minimum(2e5 * strain, 100.0 + slope * (strain - 100.0 / 2e5))
    pulled[-1] = pulled[-2] - 2e5 * (strain[-2] - strain[-1])
    assert history.stress is not None
    assert history.stress[:, 0, 0] == pytest.approx(pulled, rel=1e-5)


def test_a_loaded_bar_creeps_steadily(ccx: str, boxes: Any, tmp_path: Path) -> None:
    mesh = boxes.box((2, 1, 1), (4.0, 1.0, 1.0))
    creep = law("elastoviscoplastic", norton_stress=300.0, norton_exponent=5.0, yield_stress=0.0)
    loads = LoadCase(HELD, (Pressure("x1", -60.0, Amplitude.constant()),))
    times = np.array([0.0, 0.5, 1.0, 2.0])
    history = CalculiX(ccx).solve(ExternalCase(mesh, creep, loads, times), tmp_path)
    strain = 60.0 / 2e5 + times[1:] * 0.2**5
    assert history.displacement[1:, -1, 0] == pytest.approx(4.0 * strain, rel=1e-6)
    assert history.increments is not None
    assert history.increments.tolist() == [1, 1, 1]


LAWS: dict[str, dict[str, Any]] = {
    "elastic": {"young": {"temperatures": [20.0, 500.0], "values": [2e5, 1.2e5]}},
    "plastic": {
        "yield_stress": {"temperatures": [20.0, 500.0], "values": [100.0, 60.0]},
        "hardening": 3000.0,
    },
    "viscoplastic": {
        "norton_stress": 300.0,
        "norton_exponent": 4.0,
        "yield_stress": 50.0,
        "hardening": 1000.0,
        "saturation": 30.0,
        "saturation_rate": 200.0,
    },
}
NAMES = {
    "elastic": "thermoelastic",
    "plastic": "linear-hardening",
    "viscoplastic": "elastoviscoplastic",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", LAWS)
def test_our_laws_on_its_displacements_give_its_stresses(
    ccx: str, boxes: Any, tmp_path: Path, kind: CellKind, name: str
) -> None:
    """The ground of nonintrusive reduction, with all loads and warm nodes at once."""
    mesh = boxes.box((2, 1, 2), (1.0, 0.5, 1.0), kind, crooked=0.2)
    warm = 20.0 + np.outer([0.0, 200.0, 50.0], mesh.points[:, 0] + 0.5)
    loads = LoadCase(
        HELD,
        (Pressure("x1", -90.0, RAMP), Pressure("y1", 20.0, RAMP)),
        Centrifugal((0.2, -2.0, 0.0), (0.0, 0.0, 3.0), 3000.0, 8e-9, RAMP),
        TemperatureHistory(np.array([0.0, 1.0, 2.0]), warm),
    )
    times = np.array([0.0, 0.25, 0.5, 0.75, 1.0, 1.25])
    case = ExternalCase(mesh, law(NAMES[name], **LAWS[name]), loads, times)
    history = CalculiX(ccx).solve(case, tmp_path)
    stress, state = boxes.replay(case, history.displacement, mean_temperature=kind == "hexahedron")
    assert history.stress is not None
    error = np.abs(stress - history.stress).max() / np.abs(history.stress).max()
    # Seven digits of displacement; CalculiX's local iterations; the table of the saturation.
    assert error < {"elastic": 1e-5, "plastic": 3e-4, "viscoplastic": 1e-3}[name]
    if name != "elastic":
        assert state[:, 6].max() > 1e-4


def test_both_result_files_hold_the_same_displacements(
    ccx: str, boxes: Any, tmp_path: Path
) -> None:
    mesh = boxes.box((2, 2, 2), crooked=0.3)
    loads = LoadCase(HELD, (Pressure("x1", -90.0, RAMP),))
    case = ExternalCase(mesh, law(), loads, np.array([0.0, 0.3, 1.0]))
    history = CalculiX(ccx).solve(case, tmp_path)
    times, values = read_nodal(tmp_path / "case.frd", "DISP", mesh.n_nodes, 3)
    assert times == pytest.approx(case.times[1:], rel=1e-5)
    assert values == pytest.approx(history.displacement[1:], rel=1e-5, abs=1e-12)


def test_increments_that_it_cut_are_counted(ccx: str, boxes: Any, tmp_path: Path) -> None:
    fast = law("elastoviscoplastic", norton_stress=100.0, norton_exponent=6.0, yield_stress=50.0)
    loads = LoadCase(HELD, (Pressure("x1", -120.0, RAMP),))
    case = ExternalCase(boxes.box((1, 1, 1)), fast, loads, np.array([0.0, 0.25, 1.0]))
    history = CalculiX(ccx).solve(case, tmp_path)
    assert history.increments is not None
    assert history.increments[0] == 1
    assert history.increments[1] > 1


def test_a_load_that_cannot_be_borne_ends_with_a_name(ccx: str, boxes: Any, tmp_path: Path) -> None:
    soft = law("linear-hardening", yield_stress=100.0, hardening=0.0)
    loads = LoadCase(HELD, (Pressure("x1", -150.0, RAMP),))
    case = ExternalCase(boxes.box((1, 1, 1)), soft, loads, np.array([0.0, 0.5, 1.0]))
    with pytest.raises(SolverFailedError, match=r"did not converge.*smaller steps"):
        CalculiX(ccx).solve(case, tmp_path)
    assert (tmp_path / "case.log").is_file()


def test_a_deck_that_it_refuses_is_an_error(ccx: str, boxes: Any, tmp_path: Path) -> None:
    case = ExternalCase(boxes.box((1, 1, 1)), law(), LoadCase(HELD), np.array([0.0, 1.0]))
    solver = CalculiX(ccx)
    solver.write(case, tmp_path)
    text = (tmp_path / "case.inp").read_text().replace("C3D8", "C3D9")
    (tmp_path / "case.inp").write_text(text)
    with pytest.raises(SolverFailedError, match=r"\*ERROR"):
        solver.run(tmp_path)


def test_a_missing_program_is_named(boxes: Any, tmp_path: Path) -> None:
    case = ExternalCase(boxes.box((1, 1, 1)), law(), LoadCase(HELD), np.array([0.0, 1.0]))
    with pytest.raises(SolverNotFoundError, match="'no-such-ccx'"):
        CalculiX("no-such-ccx").solve(case, tmp_path)
