"""Laws of enriched runs: few high-fidelity steps, large gains, the same bits after a stop."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from infra.errors import UserError
from rom.structures.checkpoint import Checkpoints
from rom.structures.enriched_run import EnrichedRun, EnrichmentOptions, begin
from rom.structures.enrichment import Enricher
from rom.structures.full_step import FullState, imbalance
from rom.structures.held_out import calibrated, relative_error, true_field
from rom.structures.indicator import StructureIndicator
from rom.structures.model import ReducedStructure
from rom.structures.newton import NewtonOptions
from rom.structures.offline import build_structure
from rom.structures.online import ReducedStepError, run
from rom.structures.reconstruction import reconstruct
from rom.structures.settings import StructureSettings
from rom.structures.trajectory import Trajectory
from solvers.loads import LoadCase, TemperatureHistory

P = "accumulated_plasticity"
SETTINGS = StructureSettings(displacement_tolerance=1e-5, cubature_tolerance=1e-4)
COARSE, FINE = np.linspace(0.0, 2.0, 6), np.linspace(0.0, 2.0, 21)


@dataclass(frozen=True)
class Study:
    """A model, its indicator, loads that it has not seen, and the truth."""

    mesh: Any
    law: Any
    make_full: Any
    model: ReducedStructure
    indicator: StructureIndicator
    loads: LoadCase
    truth: Trajectory
    plasticity: Any

    def full(self, restart: FullState, loads: LoadCase, time: float) -> FullState:
        u, response, temperature = self.make_full(self.mesh, self.law, loads).step(
            restart.displacement,
            restart.internal,
            restart.temperature,
            restart.time,
            time,
            1e-11,
        )
        return FullState(time, u, response.stress, response.state, temperature)

    def enricher(self, tolerance: float, budget: int, **options: Any) -> Enricher:
        chosen = EnrichmentOptions(tolerance=tolerance, budget=budget)
        return Enricher(self.model, self.loads, self.full, chosen, SETTINGS, **options)

    def begin(self) -> EnrichedRun:
        return begin(self.model, self.indicator, self.loads)

    def error(self, model: ReducedStructure, state: Any, step: int) -> float:
        found = reconstruct(model, state, P).values
        volumes = self.mesh.material_weights
        return relative_error(found, self.plasticity[step], volumes, self.indicator.size)


@pytest.fixture(scope="module")
def study(make_mesh: Any, make_full: Any, make_cycle: Any, viscous_law: Any) -> Study:
    mesh = make_mesh("hexahedron", 2)
    trajectories = [
        make_full(mesh, viscous_law, make_cycle(mesh, heat=heat, pressure=-pressure)).run(COARSE)
        for heat, pressure in ((100.0, 230.0), (60.0, 240.0), (120.0, 236.0))
    ]
    indicator = calibrated(mesh, viscous_law, trajectories, SETTINGS)
    model, _ = build_structure(mesh, viscous_law, trajectories, SETTINGS)
    loads = heated(make_cycle(mesh, pressure=-235.0), mesh)
    truth = make_full(mesh, viscous_law, loads).run(FINE)
    plasticity = true_field(mesh, viscous_law, truth, P)
    return Study(mesh, viscous_law, make_full, model, indicator, loads, truth, plasticity)


def heated(loads: LoadCase, mesh: Any) -> LoadCase:
    """A hot corner, where the training had smooth gradients."""
    history = loads.temperature
    assert history is not None
    away = ((mesh.points - 10.0) ** 2).sum(axis=1)
    fields = history.fields.copy()
    fields[1::2] = 20.0 + 150.0 * np.exp(-away / 40.0)
    return replace(loads, temperature=TemperatureHistory(history.times, fields))


@pytest.fixture(scope="module")
def enriched(study: Study) -> list[EnrichedRun]:
    return list(study.enricher(0.01, 4).run(study.begin(), FINE[1:]))


def test_few_high_fidelity_steps_make_the_error_many_times_smaller(
    study: Study, enriched: list[EnrichedRun]
) -> None:
    loads = study.model.loads(study.loads)
    plain = run(study.model, loads, study.model.start(), FINE[1:])
    before = [study.error(study.model, s, i) for i, (s, _) in enumerate(plain)]
    after = [study.error(r.model, r.state, i) for i, r in enumerate(enriched)]
    assert 0 < enriched[-1].full_steps <= 4
    assert max(after) < 0.2 * max(before)


def test_a_high_fidelity_step_is_kept_as_it_is(study: Study, enriched: list[EnrichedRun]) -> None:
    first = next(i for i, r in enumerate(enriched) if r.records[-1].level == "full")
    r = enriched[first]
    assert first == 0
    assert study.error(r.model, r.state, first) < 1e-4
    np.testing.assert_array_equal(r.state.internal, r.anchor.internal[r.model.places])
    assert r.version == 1
    assert r.model.rank == study.model.rank + 1
    np.testing.assert_array_equal(r.model.modes[:, :-1], study.model.modes)
    assert (r.model.weights > 0).all()
    assert len(r.model.places) >= 1.5 * r.model.duals[P].field.rank


def test_records_say_what_was_decided_and_why(enriched: list[EnrichedRun]) -> None:
    records = enriched[-1].records
    assert [record.time for record in records] == FINE[1:].tolist()
    for record in records:
        full = record.level == "full"
        assert math.isfinite(record.error) == full
        assert math.isfinite(record.imbalance) == full
        assert record.trusted == (full or record.eta <= 0.01)
        if full:
            assert record.eta > 0.01
            assert record.imbalance < 0.01


def test_the_indicator_tells_the_order_of_the_true_error(enriched: list[EnrichedRun]) -> None:
    full = [record for record in enriched[-1].records if record.level == "full"]
    for record in full:
        assert 0.2 < record.eta / record.error < 10.0


def test_a_run_that_was_interrupted_and_resumed_gives_the_same_bits(
    study: Study, enriched: list[EnrichedRun], tmp_path: Path
) -> None:
    checkpoints = Checkpoints(tmp_path / "run")
    with pytest.raises(UserError, match="there are none"):
        checkpoints.load()
    for r in enriched[:6]:
        checkpoints.save(r)
        checkpoints.save(r)
    assert len(list((tmp_path / "run").iterdir())) == 2
    resumed = checkpoints.load()
    assert 0 < resumed.version == enriched[5].version
    again = list(study.enricher(0.01, 4).run(resumed, FINE[7:]))
    for one, other in zip(enriched[6:], again, strict=True):
        np.testing.assert_array_equal(one.state.q, other.state.q)
        np.testing.assert_array_equal(one.state.internal, other.state.internal)
        np.testing.assert_array_equal(one.model.modes, other.model.modes)
        np.testing.assert_array_equal(one.model.places, other.model.places)
        # Texts: NaN is equal to itself there.
        assert str(one.records) == str(other.records)


def test_without_a_budget_the_run_is_the_plain_one_and_says_what_to_distrust(
    study: Study,
) -> None:
    loads = study.model.loads(study.loads)
    plain = [s for s, _ in run(study.model, loads, study.model.start(), FINE[1:4])]
    runs = list(study.enricher(1e-3, 0).run(study.begin(), FINE[1:4]))
    for r, state in zip(runs, plain, strict=True):
        np.testing.assert_array_equal(r.state.q, state.q)
    assert not any(record.trusted for record in runs[-1].records)


def test_with_a_generous_tolerance_nothing_is_asked_for(study: Study) -> None:
    runs = list(study.enricher(1e3, 4).run(study.begin(), FINE[1:4]))
    assert runs[-1].full_steps == 0
    assert runs[-1].model is study.model


def test_a_reduced_step_that_fails_is_made_by_the_full_order_solver(study: Study) -> None:
    newton = NewtonOptions(iterations=1, cuts=0)
    r = study.enricher(1e3, 1, newton=newton).step(study.begin(), 0.1)
    assert r.records[0].level == "full"
    assert math.isinf(r.records[0].eta)
    with pytest.raises(ReducedStepError):
        study.enricher(1e3, 0, newton=newton).step(study.begin(), 0.1)


def test_a_solver_that_gives_something_else_is_refused(study: Study) -> None:
    def short(restart: FullState, loads: LoadCase, time: float) -> FullState:
        full = study.full(restart, loads, time)
        return replace(full, stress=full.stress[:-1])

    def late(restart: FullState, loads: LoadCase, time: float) -> FullState:
        return replace(study.full(restart, loads, time), time=time + 1)

    options = EnrichmentOptions(tolerance=1e-9, budget=1)
    for solver, words in ((short, "`stress`"), (late, "t = 0.1 s")):
        enricher = Enricher(study.model, study.loads, solver, options, SETTINGS)
        with pytest.raises(UserError, match=words):
            enricher.step(study.begin(), 0.1)


def test_a_full_order_state_is_in_balance(study: Study) -> None:
    at_rest = np.zeros((study.mesh.n_material_points, 6))
    start = FullState(
        0.0,
        study.truth.displacement[0],
        at_rest,
        study.law.initial_state(len(at_rest)),
        at_rest[:, 0] + 20.0,
    )
    full = study.full(start, study.loads, 0.1)
    assert imbalance(study.mesh, study.loads, full) < 1e-9
    assert imbalance(study.mesh, study.loads, replace(full, stress=0.9 * full.stress)) > 0.01
