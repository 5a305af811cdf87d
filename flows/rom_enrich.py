"""From a dataset to a reduced model, and on with further samples where it is worst."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from flows.rom_data import RomData
from infra.records import Sample
from rom.building import BuildProgress, build
from rom.enrichment import Enrichment, EnrichmentSettings, enrich
from rom.reduced_model import ReducedModel

__all__ = ["Built", "build_from"]

# Told lines for people.
type Tell = Callable[[str], None]


@final
@dataclass(frozen=True, eq=False)
class Built:
    """A model and how it came about.

    Attributes
    ----------
    model : it knows all samples that could be computed
    enrichment : its rounds and why it ended; None without one
    seconds : of building all models, simulations not counted
    """

    model: ReducedModel
    enrichment: Enrichment | None
    seconds: float


def build_from(
    data: RomData, tell: Tell, progress: BuildProgress | None = None, *, anew: bool = False
) -> Built:
    """Build the model of a dataset whose fixed samples are computed, and enrich it.

    Parameters
    ----------
    data : the dataset; it grows
    tell : told after each model
    progress : told how far the present model is
    anew : whether this is a further enrichment, also with the settings of the last one

    Raises
    ------
    UserError
        If there are too few samples, or a setting does not fit them.
    """
    maker = _Maker(data, tell, progress)
    settings = data.rom.enrichment
    if settings is None:
        return Built(maker.build(), None, maker.seconds)
    data.begin_enrichment(settings, anew=anew)
    settings = _with_room(settings, data, tell)
    enrichment = enrich(maker.build(), settings, maker.extend, data.rom.study.sampling.seed)
    tell(
        f"enrichment ended by its {enrichment.stop}: largest indicator "
        f"{enrichment.rounds[-1].largest:.3%}, {len(data.rounds) - data.first_rounds} rounds"
    )
    return Built(enrichment.model, enrichment, maker.seconds)


def _with_room(settings: EnrichmentSettings, data: RomData, tell: Tell) -> EnrichmentSettings:
    """Say what earlier enrichments have added, and keep the budget within the room."""
    if data.first_rounds:
        tell(
            f"{data.first_rounds} rounds of earlier enrichments are in the dataset: they belong to "
            "the first model, and do not count for this one"
        )
    room = data.room + data.own
    if settings.budget <= room:
        return settings
    tell(
        f"the dataset has room for {room} of the {settings.budget} simulations that may be added: "
        "build a model with a larger `room` under another name for more"
    )
    return settings.model_copy(update={"budget": room})


@final
class _Maker:
    def __init__(self, data: RomData, tell: Tell, progress: BuildProgress | None) -> None:
        self._data, self._tell, self._progress = data, tell, progress
        self._model: ReducedModel | None = None
        self.seconds = 0.0

    def build(self) -> ReducedModel:
        """Build the model of all samples that are there."""
        begun, data = time.perf_counter(), self._data
        self._model = model = build(
            data.snapshots(data.trained),
            data.rom.model,
            # Each model from the same state: it depends on its samples only.
            np.random.default_rng(np.random.SeedSequence(data.rom.study.sampling.seed)),
            self._progress,
            name=data.rom.name,
            description=data.rom.description,
            parameters=data.made.space,
            regions=data.regions(),
            chosen=set(data.trained) - set(data.rom.training),
        )
        seconds = time.perf_counter() - begun
        self.seconds += seconds
        card = model.card
        self._tell(
            f"model of {card.training.trajectories} simulations in {seconds:.1f} s: "
            f"{card.basis.rank} modes, error of simulations left out {card.trust.median_error:.3%} "
            f"in the median, {card.trust.largest_error:.3%} at most"
        )
        return model

    def extend(self, samples: Sequence[Sample]) -> ReducedModel:
        """Compute samples, and build the model that knows them too."""
        number = len(self._data.rounds) - self._data.first_rounds + 1
        self._tell(f"round {number}: {len(samples)} simulations are added")
        added = self._data.add(samples)
        if not added and self._model is not None:
            self._tell("none of them is possible")
            return self._model
        return self.build()
