"""Published structures: load parameters in, fields, quantities, level and indicator out."""

from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from flows.structure_summary import covered
from flows.structure_trust import trust_text
from infra.errors import ChecksumError, UserError
from rom.registry import Registry
from rom.selection import Select
from rom.structures.dual import DualBasis, dual_modes
from rom.structures.full_response import full_response
from rom.structures.indicator import StepPairs, calibrate_structure
from rom.structures.judgement import JudgedRun, judge_run, quantity_errors
from rom.structures.kept_runs import KeptRuns, StructureRun
from rom.structures.life import MOST_CYCLES, LifeSettings, cycles_to_failure, strain_range
from rom.structures.nodal import nodal_means
from rom.structures.online import ReducedStepError
from rom.structures.published import PublishedStructure
from rom.structures.response import StructureResponse
from rom.structures.state import ReducedState
from rom.structures.tetrahedra import tetrahedra
from rom.structures.trust import structure_tolerance
from rom.truncation import Truncation
from solvers.structure_mesh import StructureMesh

FIELDS = (
    "von_mises",
    "accumulated_plasticity",
    "life_indicator",
    "displacement_x",
    "displacement_y",
    "displacement_z",
)
QUANTITIES = ("largest_displacement", "largest_von_mises", "largest_plasticity",
              "largest_life_indicator", "cycles_to_failure")  # fmt: skip


@pytest.fixture(scope="session")
def model(made_structure: Any) -> PublishedStructure:
    found: PublishedStructure = made_structure.model
    return found


def volumes(points: NDArray[np.float64], cells: NDArray[np.int64]) -> NDArray[np.float64]:
    corners = points[cells]
    return np.asarray(np.linalg.det(corners[:, 1:] - corners[:, :1]) / 6.0)


@pytest.mark.parametrize("kind", ["hexahedron", "tetrahedron", "tetrahedron10"])
def test_tetrahedra_fill_the_mesh_and_meet_face_to_face(
    make_mesh: Callable[..., StructureMesh], kind: str
) -> None:
    mesh = make_mesh(kind, 3)
    cells = tetrahedra(mesh)
    own = volumes(mesh.points, cells)
    assert (own > 0).all()
    assert own.sum() == pytest.approx(10.0**3)
    faces = np.sort(cells[:, [(0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3)]].reshape(-1, 3), axis=1)
    sides, counts = np.unique(faces, axis=0, return_counts=True)
    assert counts.max() == 2
    # What belongs to one tetrahedron alone lies on the surface of the cube, and covers it.
    surface = mesh.points[sides[counts == 1]]
    flat = [(surface == value).all(axis=1).any(axis=1) for value in (0.0, 10.0)]
    assert (flat[0] | flat[1]).all()
    edges = surface[:, 1:] - surface[:, :1]
    area = np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1) / 2
    assert area.sum() == pytest.approx(6 * 10.0**2)


@pytest.mark.parametrize("kind", ["hexahedron", "tetrahedron", "tetrahedron10"])
def test_means_at_nodes_keep_constants_and_bounds(
    make_mesh: Callable[..., StructureMesh], kind: str
) -> None:
    mesh = make_mesh(kind, 2)
    means = nodal_means(mesh)
    np.testing.assert_allclose(means @ np.ones(mesh.n_material_points), 1.0, rtol=1e-14)
    values = np.random.default_rng(3).uniform(2.0, 5.0, mesh.n_material_points)
    assert ((means @ values >= 2.0) & (means @ values <= 5.0)).all()


def test_the_life_indicator_is_the_strain_range_of_a_cycle_and_follows_manson_and_coffin() -> None:
    # Forth and back by 0.004: the accumulated plasticity grows by twice that.
    assert strain_range(np.array([0.013]), np.array([0.005])) == pytest.approx(0.004)
    life = LifeSettings(ductility=0.2, exponent=-0.5)
    reversals = 2.0 * cycles_to_failure(0.004, life)
    assert 0.2 * reversals**-0.5 == pytest.approx(0.004 / 2)
    assert cycles_to_failure(0.0, life) == cycles_to_failure(1e-300, life) == MOST_CYCLES


def test_an_answer_holds_fields_quantities_level_and_indicator(
    model: PublishedStructure, made_structure: Any
) -> None:
    answer = model.query(made_structure.unseen)
    assert tuple(answer.values) == QUANTITIES
    assert tuple(answer.units.values()) == ("mm", "MPa", "1", "1", "1")
    assert {values.shape for values in answer.values.values()} == {(1, 17)}
    assert (answer.level_used, answer.model, answer.version) == ("reduced", "hot-cube", 0)
    assert answer.in_range.all()
    assert 0 < answer.eta[0] < 1
    fields = model.query(made_structure.unseen, select="fields")
    assert tuple(fields.values) == FIELDS
    n = model.parts.model.mesh.n_nodes
    assert {values.shape for values in fields.values.values()} == {(1, 17, n)}
    p = fields.values["accumulated_plasticity"][0]
    assert (p[0] == 0).all()
    assert (np.diff(p, axis=0) >= -1e-15).all()


def test_an_answer_is_near_to_the_full_order_model(
    model: PublishedStructure, made_structure: Any
) -> None:
    judged = judge_run(model.parts, made_structure.truth)
    assert list(judged.errors) == ["displacement", "von_mises", "accumulated_plasticity"]
    assert max(judged.errors.values()) < 0.05
    assert len(judged.own) == len(judged.eta) > 0
    assert max(quantity_errors([judged]).values()) < 0.2
    # The same numbers by a query.
    found = model.query(made_structure.unseen)
    assert judged.found is not None
    np.testing.assert_allclose(
        found.values["largest_von_mises"][0], judged.found.quantities["largest_von_mises"]
    )


def test_the_full_order_model_answers_in_the_same_words(
    model: PublishedStructure, made_structure: Any
) -> None:
    response = full_response(model.parts, made_structure.truth)
    for select in (Select.quantities(), Select.fields(), Select.in_region("x1", "von_mises")):
        full = model.at_full_order(made_structure.unseen, response, None, select)
        reduced = model.query(made_structure.unseen, select=select)
        assert full.level_used == "full"
        assert {n: v.shape for n, v in full.values.items()} == {
            n: v.shape for n, v in reduced.values.items()
        }
        assert full.units == reduced.units
    moved = made_structure.truth.displacement
    field = model.at_full_order(
        made_structure.unseen, response, None, Select.fields("displacement_x")
    )
    np.testing.assert_array_equal(field.values["displacement_x"][0], moved[:, :, 0])


def test_cycles_between_two_times_are_those_of_the_strain_range(
    model: PublishedStructure, made_structure: Any
) -> None:
    times = np.linspace(0.0, 4.0, 65)
    values = model.query(made_structure.unseen, times).values
    life = model.parts.life
    assert life is not None
    expected = [cycles_to_failure(x, life) for x in values["largest_life_indicator"][0]]
    assert values["cycles_to_failure"][0].tolist() == expected
    stored = model.query(made_structure.unseen).values["cycles_to_failure"][0]
    np.testing.assert_array_equal(values["cycles_to_failure"][0, ::4], stored)


def test_errors_of_cycles_are_those_of_their_logarithm_below_the_cap() -> None:
    def response(cycles: list[float]) -> StructureResponse:
        quantities = {"cycles_to_failure": np.array(cycles)}
        return StructureResponse(np.zeros(len(cycles)), np.zeros((1, len(cycles))), quantities)

    def judged(true: list[float], found: list[float]) -> JudgedRun:
        return JudgedRun({}, np.ones(1), np.ones(1), response(true), response(found))

    far = judged([MOST_CYCLES, MOST_CYCLES, 100.0], [MOST_CYCLES, MOST_CYCLES, 149.0])
    assert quantity_errors([far])["cycles_to_failure"] == pytest.approx(np.log(1.49))
    # Nothing was measured: nothing is said.
    assert quantity_errors([judged([MOST_CYCLES], [MOST_CYCLES])]) == {}


def test_a_run_that_stops_is_not_covered(
    model: PublishedStructure, made_structure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(_: object, __: object, start: ReducedState, ___: object) -> Any:
        raise ReducedStepError("It stops.", start)

    whole = judge_run(model.parts, made_structure.truth)
    monkeypatch.setattr("rom.structures.judgement.run", stopped)
    lost = judge_run(model.parts, made_structure.truth)
    assert lost.found is None
    assert set(lost.errors.values()) == {1.0}
    assert covered([lost]) == 0.0
    # It counts as much as a run that does not stop.
    assert len(lost.eta) == len(lost.own) == len(whole.own)
    assert covered([whole, lost]) == pytest.approx(0.5 * float(covered([whole]) or 0.0))


def test_the_coverage_that_is_told_was_measured(
    model: PublishedStructure, made_structure: Any
) -> None:
    answer, trust = model.query(made_structure.unseen), model.card.trust
    assert answer.coverage == model.parts.indicator.covered == trust.measured_coverage
    lineage = model.card.lineage | {"evaluation": {"coverage": 0.9}}
    card = model.card.model_copy(update={"lineage": lineage})
    text = trust_text(card, answer, 0.05)
    measured = f"{trust.measured_coverage:.1%} (runs left out), 90.0% (runs held out)"
    assert f"asked for 95.0%, measured {measured}" in text
    assert "probability" not in text
    away = model.query({"pressure": -130.0, "temperature_rise": 600.0})
    text = trust_text(card, away, 0.05)
    assert "out of range" in text
    assert "measured" not in text
    assert structure_tolerance(card) == 0.05


def test_a_field_that_is_always_zero_has_a_basis_without_modes() -> None:
    frames = [np.zeros((3, 8, 1))]
    field = dual_modes("p", frames, (3, 1), np.ones(8), Truncation(None, 1e-3))
    assert field.size(np.array([1, 5])) == 0.0
    values, residual = DualBasis(field, np.array([1, 5])).lift(np.zeros((2, 1)))
    assert not values.any()
    assert residual == 0.0
    nothing = StepPairs(np.zeros(6), np.zeros(6), np.repeat([0, 1, 2], 2))
    with pytest.raises(UserError, match="plasticity is not zero in at least 2 trajectories"):
        calibrate_structure("accumulated_plasticity", 0.0, nothing)


def test_selections_are_parts_of_the_fields(model: PublishedStructure, made_structure: Any) -> None:
    mu, times = made_structure.unseen, model.times
    whole = model.query(mu, select="fields").values["von_mises"][0]
    nodes = model.query(mu, select=Select.at_nodes([4, 0], "von_mises")).values["von_mises"][0]
    np.testing.assert_array_equal(nodes, whole[:, [4, 0]])
    # Positions in metres; a node of the mesh has its own value.
    place = 1e-3 * model.parts.model.mesh.points[13]
    probe = model.query(mu, select=Select.probes([place.tolist()], "von_mises"))
    np.testing.assert_allclose(probe.values["von_mises"][0, :, 0], whole[:, 13], rtol=1e-9)
    middle = 0.5 * (times[4] + times[5])
    between = model.query(mu, middle, Select.fields("von_mises")).values["von_mises"][0, 0]
    np.testing.assert_allclose(between, 0.5 * (whole[4] + whole[5]))
    q = model.query(mu, select="coefficients").values["coefficients"]
    assert q.shape == (1, 17, model.rank)


def test_what_is_stored_answers_alike_bit_by_bit(
    model: PublishedStructure, made_structure: Any, tmp_path: Path
) -> None:
    registry = Registry(tmp_path / "models")
    assert registry.publish(model) == 1
    found = registry.load_any("hot-cube")
    assert isinstance(found, PublishedStructure)
    assert (found.version, found.card) == (1, model.card)
    assert registry.card("hot-cube").kind == "structure"
    for select in ("quantities", "fields"):
        a, b = (m.query(made_structure.unseen, select=select) for m in (model, found))
        assert a.eta.tobytes() == b.eta.tobytes()
        for name in a.values:
            assert a.values[name].tobytes() == b.values[name].tobytes()
    with pytest.raises(UserError, match="a structure"):
        registry.load("hot-cube")
    assert registry.publish(tmp_path / "models/hot-cube/v0001") == 2
    files = {path.name for path in (tmp_path / "models/hot-cube/v0001").iterdir()}
    assert files == {"arrays.safetensors", "model.json", "checksums.json"}


def test_a_damaged_folder_is_noticed(model: PublishedStructure, tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    registry.publish(model)
    path = registry.folder("hot-cube") / "arrays.safetensors"
    data = bytearray(path.read_bytes())
    data[-9] ^= 1
    path.write_bytes(data)
    with pytest.raises(ChecksumError):
        registry.load_any("hot-cube")


@pytest.mark.parametrize(
    ("mu", "text"),
    [
        ({"pressure": -95.0}, "temperature_rise: missing"),
        ({"pressure": -95.0, "temperature_rise": np.nan}, "finite"),
        ({"pressure": -95.0, "temperature_rise": 600.0, "speed": 1.0}, "fixed at 15000"),
        ({"pressure": -9e5, "temperature_rise": 600.0}, "pressure"),
        ({"pressure": [-95.0] * 65, "temperature_rise": 600.0}, "at most 64"),
    ],
)
def test_impossible_parameters_are_refused(
    model: PublishedStructure, mu: dict[str, Any], text: str
) -> None:
    with pytest.raises(UserError, match=text):
        model.query(mu)


def test_out_of_range_is_flagged_or_refused(model: PublishedStructure) -> None:
    mu = {"pressure": -130.0, "temperature_rise": 600.0}
    answer = model.query(mu)
    assert not answer.in_range[0]
    assert "below the trained range -120 to -80 MPa" in answer.reasons[0]
    with pytest.raises(UserError, match="refuses others"):
        model.query(mu, policy="refuse")


def test_other_mistakes_are_refused(model: PublishedStructure, made_structure: Any) -> None:
    mu = made_structure.unseen
    for ask, text in (
        (lambda: model.query(mu, 99.0), "times from 0 to 4 s"),
        (lambda: model.query(mu, select=Select.quantities("lift")), "quantities out of"),
        (lambda: model.query(mu, select=Select.fields("pressure")), "fields out of"),
        (lambda: model.query(mu, select=Select.in_region("tip")), "region"),
        (lambda: model.query(mu, units={"pressure": "Pa"}), "units of the model"),
        (lambda: model.gradient(mu), "derivatives"),
    ):
        with pytest.raises(UserError, match=text):
            ask()


def test_equal_queries_share_a_run_also_between_threads() -> None:
    begun, computed = Barrier(8), []

    def compute(row: NDArray[np.float64]) -> StructureRun:
        computed.append(row.tolist())
        response = StructureResponse(np.zeros(1), np.zeros((4, 1)), {})
        return StructureRun(response, np.zeros((1, 1)), np.zeros(1))

    kept = KeptRuns(compute, entries=2)
    found: list[StructureRun] = []

    def ask() -> None:
        begun.wait()
        found.append(kept(np.array([1.0, 2.0])))

    threads = [Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert computed == [[1.0, 2.0]]
    assert len({id(run) for run in found}) == 1
    for value in (3.0, 4.0):
        kept(np.array([value, 0.0]))
    assert len(kept) == 2
    kept(np.array([1.0, 2.0]))
    assert len(computed) == 4
