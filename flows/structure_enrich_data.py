"""The runs that an enriched structure is calibrated and judged by: none at loads it has learned."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

from flows.structure_data import StructureData
from flows.structure_states import kept_states
from flows.structure_study import StructureStudy
from infra.records import Json, Sample
from rom.structures.indicator import StructureIndicator
from rom.structures.published import PublishedStructure
from rom.structures.recalibration import Recalibration
from solvers.loads import LoadCase

__all__ = ["STATES", "EnrichmentData", "Judges", "enrichments_of"]

# Told lines for people.
type Tell = Callable[[str], None]

# Below the folder of an enrichment: high-fidelity states, which belong to the model.
STATES = "states"
# Relative; parameters are typed with fewer digits than they are drawn with.
_SAME = 1e-6


@final
class EnrichmentData:
    """See the module.

    Parameters
    ----------
    model : that is enriched
    study : that it was built by
    mu : all parameters of the enrichment

    Attributes
    ----------
    model, mu : as given
    runs : full-order runs of the study
    trained, held_out : exactly those that the model names

    Raises
    ------
    UserError
        If one of them is missing.
    """

    def __init__(
        self, model: PublishedStructure, study: StructureStudy, mu: Mapping[str, float]
    ) -> None:
        self.model, self.mu, self.runs = model, dict(mu), StructureData(study)
        self.trained = self.runs.listed(model.card.lineage, "samples")
        self.held_out = self.runs.listed(model.card.lineage, "held_out")

    def unseen(self, tell: Tell) -> tuple[Sample, ...]:
        """Return the held-out runs at other loads than those of all enrichments."""
        before: Any = enrichments_of(self.model)
        learned = [self.mu, *(one["mu"] for one in before)]
        left = tuple(s for s in self.held_out if not any(_alike(s.mu, mu) for mu in learned))
        if len(left) < len(self.held_out):
            tell(
                f"{len(self.held_out) - len(left)} of {len(self.held_out)} held-out runs are at "
                "the loads of the enrichment: they judge the model no longer"
            )
        return left


@final
class Judges:
    """Calibrates the indicator after each high-fidelity step; begins when the first one comes.

    Parameters
    ----------
    data : of the model
    root : folder of all its enrichments
    """

    def __init__(self, data: EnrichmentData, root: Path) -> None:
        self._data, self._root = data, root
        self._made: Recalibration | None = None
        self._taken = 0

    def after(self, loads: LoadCase, states: Path, count: int) -> StructureIndicator:
        """Return the indicator after `count` high-fidelity steps of the run."""
        if self._made is None:
            self._made = self._begun()
        own = _own(self._data.trained, self._data.mu)
        for full in kept_states(states, count)[self._taken : count]:
            self._made.extend(loads, full, own)
        self._taken = count
        return self._made.indicator()

    def _begun(self) -> Recalibration:
        """Return models without one run each that know what the published model does."""
        data, parts = self._data, self._data.model.parts
        trajectories = [data.runs.trajectory(sample) for sample in data.trained]
        mesh, law, settings = parts.model.mesh, parts.model.law, data.runs.study.model
        made = Recalibration(mesh, law, trajectories, settings, parts.indicator)
        for before in enrichments_of(data.model):
            earlier: Any = before
            loads, own = parts.case(earlier["mu"]).loads, _own(data.trained, earlier["mu"])
            for full in kept_states(self._root / earlier["key"] / STATES, len(earlier["times"])):
                made.extend(loads, full, own)
        return made


def enrichments_of(model: PublishedStructure) -> list[Json]:
    """Return the records of the enrichments of a model, the oldest first."""
    found: Any = model.card.lineage.get("enrichments", [])
    return list(found)


def _own(trained: Sequence[Sample], mu: Mapping[str, float]) -> list[int]:
    """Return the places of the runs at the same loads."""
    return [place for place, sample in enumerate(trained) if _alike(sample.mu, mu)]


def _alike(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    return all(math.isclose(one[name], other[name], rel_tol=_SAME) for name in one)
