"""Enrichment of structures: better versions, interruptions, and runs that are not there."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.structure_data import StructureData
from flows.structure_enrich import enrich_structure
from flows.structure_full import compute_full
from flows.structure_summary import StructureSummary
from infra.errors import UserError
from infra.files import FileLock
from rom.registry import Registry
from rom.structures.checkpoint import Checkpoints
from rom.structures.enriched_run import EnrichedRun, EnrichmentOptions
from rom.structures.judgement import judge_run
from rom.structures.recalibration import Recalibration
from tests.flows.structures.tiny_cube import OUTSIDE, published, quiet, tiny, written


def enriched(folder: Path, tell: Callable[[str], None]) -> None:
    registry = Registry(folder / "models")
    options = EnrichmentOptions(tolerance=0.01, budget=2)
    enrich_structure("tiny-cube", registry, folder / "models", OUTSIDE, lambda _: options, tell)


def enriched_at(
    folder: Path, mu: dict[str, float], tolerance: float, tell: Callable[[str], None] = quiet
) -> StructureSummary:
    """Enrich by one step at most."""
    registry = Registry(folder / "models")
    options = EnrichmentOptions(tolerance=tolerance, budget=1)
    return enrich_structure("tiny-cube", registry, folder / "models", mu, lambda _: options, tell)


def test_enrichment_publishes_a_better_version_that_says_so(copy: Path) -> None:
    enriched(copy, quiet)
    before, after = published(copy, 1), published(copy, 2)
    record = after.card.lineage["enrichments"][0]
    assert record["mu"]["spot"] == 0.9
    assert 1 <= after.parts.enriched == len(record["times"]) <= 2
    answers = [model.query(OUTSIDE) for model in (before, after)]
    assert [answer.level_used for answer in answers] == ["reduced", "enriched"]
    truth = compute_full(after, OUTSIDE, copy / "models/tiny-cube/runs").trajectory
    errors = [judge_run(model.parts, truth).errors for model in (before, after)]
    for name in ("displacement", "von_mises", "accumulated_plasticity"):
        assert errors[1][name] < errors[0][name]
    # The indicator was calibrated for the model as it is now, by all runs.
    assert set(after.parts.indicator.pairs.trajectories) == {0, 1, 2, 3}
    assert after.parts.indicator.intercept != before.parts.indicator.intercept


def test_an_enrichment_that_was_interrupted_ends_with_the_same_bits(
    copy: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(copy / "models", other / "models")
    written(other)

    def interrupt(text: str) -> None:
        if "a full-order step" in text:
            raise KeyboardInterrupt

    enriched(copy, quiet)
    with pytest.raises(KeyboardInterrupt):
        enriched(other, interrupt)
    said: list[str] = []
    enriched(other, said.append)
    a, b = published(copy, 2), published(other, 2)
    assert a.parts.enriched == b.parts.enriched
    np.testing.assert_array_equal(a.parts.model.modes, b.parts.model.modes)
    np.testing.assert_array_equal(a.parts.model.weights, b.parts.model.weights)
    assert a.query(OUTSIDE).eta.tobytes() == b.query(OUTSIDE).eta.tobytes()


def test_enrichment_of_what_is_no_structure_is_refused(copy: Path) -> None:
    registry = Registry(copy / "models")
    with pytest.raises(UserError, match="out of tiny-cube"):
        enrich_structure("plate", registry, copy / "models", {}, lambda o: o, quiet)
    with pytest.raises(UserError, match="spot: missing"):
        enrich_structure("tiny-cube", registry, copy / "models", {}, lambda o: o, quiet)


@pytest.mark.parametrize("index", [1, 4])
def test_an_enrichment_without_a_run_of_its_model_is_refused(copy: Path, index: int) -> None:
    data = StructureData(tiny(copy))
    lost = data.store.path(data._jobs[index])
    lost.unlink()
    with pytest.raises(UserError, match=f"no file .*{lost.name} of run {index}") as refused:
        enriched(copy, quiet)
    assert "romflow run build-rom" in str(refused.value)
    assert Registry(copy / "models").versions("tiny-cube") == (1,)


def test_an_enrichment_goes_on_after_an_end_before_its_first_step(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(self: Checkpoints, _run: EnrichedRun) -> None:
        (self.folder / "model-000000").mkdir(parents=True)
        raise KeyboardInterrupt

    with monkeypatch.context() as changed:
        changed.setattr(Checkpoints, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            enriched_at(copy, OUTSIDE, 1e9)
    # Nothing is added: what is known of the version stays.
    summary = enriched_at(copy, OUTSIDE, 1e9)
    assert (summary.new, summary.version, summary.held_out) == (False, 1, 1)
    assert summary.coverage is not None
    assert set(summary.errors) == {"displacement", "von_mises", "accumulated_plasticity"}


def test_a_model_is_enriched_once_at_a_time(copy: Path) -> None:
    place = copy / "models/tiny-cube/enrichments"
    place.mkdir()
    other = FileLock(place / ".lock")
    assert other.acquire(wait=False)
    with pytest.raises(UserError, match="Expected one enrichment of tiny-cube at a time"):
        enriched(copy, quiet)
    other.release()


def test_a_run_that_was_learned_judges_no_longer(copy: Path) -> None:
    lineage: Any = published(copy).card.lineage
    said: list[str] = []
    enriched_at(copy, lineage["held_out"][0]["mu"], 1e-9, said.append)
    assert any("judge the model no longer" in text for text in said)
    card = published(copy).card
    assert (card.lineage["held_out"], card.lineage["evaluation"]) == ([], {})
    # Nothing is known of the quantities then; it is not said that they are exact.
    assert {quantity.error for quantity in card.quantities} == {None}


def test_a_model_without_a_run_does_not_learn_from_the_states_of_its_loads(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extend, own = Recalibration.extend, []

    def noted(self: Recalibration, loads: Any, full: Any, left: Any = ()) -> None:
        own.append(list(left))
        models = list(self._models)
        extend(self, loads, full, left)
        same = [a is b for a, b in zip(models, self._models, strict=True)]
        assert same == [False, False, True, False]

    monkeypatch.setattr(Recalibration, "extend", noted)
    lineage: Any = published(copy).card.lineage
    enriched_at(copy, lineage["samples"][2]["mu"], 1e-9)
    assert own == [[2]]
