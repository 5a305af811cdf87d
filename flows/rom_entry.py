"""The entry of a reduced model in the catalogue: what a person reads before using it.

::

    <catalogue>/models/<name>/
    ├── entry.yaml    the newest version, and what each version was
    ├── README.md     the card for people
    └── *.png         its pictures
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import yaml
from pydantic import BaseModel, ConfigDict, Field

from infra.catalog_entry import EntryParameter
from infra.errors import storage_errors
from infra.files import replace_durably
from infra.records import Json
from rom.model_card import ModelCard
from rom.registry import Registry

__all__ = ["ModelEntry", "VersionEntry", "entry_folder", "write_entry"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


@final
class VersionEntry(_Strict):
    """One version; it never changes.

    Attributes
    ----------
    version : its number
    created : date and time, ISO 8601
    trajectories, modes : simulations that it was built from, modes of its basis
    training : SHA-256 of parameters and coefficients of the training
    median_error, coverage : on held-out simulations; None without any
    """

    version: int
    created: str
    trajectories: int
    modes: int
    training: str
    median_error: float | None = None
    coverage: float | None = None


@final
class ModelEntry(_Strict):
    """A reduced model; what is not about one version is about the newest.

    Attributes
    ----------
    name, description : of the model
    location : its folder in the registry
    dataset : folder of the dataset that it was built from
    problem : name of the problem
    parameters : that vary, with their ranges
    fields, quantities : names with units
    mesh : SHA-256 of fields, points and cells
    versions : all of them, the newest last
    licence : SPDX identifier
    figures : files of the entry's folder that the card shows
    """

    name: str
    description: str
    location: str
    dataset: str
    problem: str
    parameters: tuple[EntryParameter, ...]
    fields: dict[str, str]
    quantities: dict[str, str]
    mesh: str
    versions: tuple[VersionEntry, ...] = Field(min_length=1)
    licence: str = "CC-BY-4.0"
    figures: tuple[str, ...] = ()

    def to_yaml(self) -> str:
        """Return YAML text with the entries in their documented order."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def entry_folder(catalog: Path, name: str) -> Path:
    """Return the folder of a model's entry."""
    return catalog / "models" / name


def write_entry(
    catalog: Path, registry: Registry, name: str, figures: Sequence[Path], card: str
) -> Path:
    """Write the entry of a model that has a version, and return its folder.

    Parameters
    ----------
    catalog : folder of the catalogue
    registry, name : where the model is
    figures : pictures, which are copied
    card : text of the README

    Raises
    ------
    StorageFullError, StorageAccessError
        If it cannot be written.
    """
    folder = entry_folder(catalog, name)
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for path in figures:
            replace_durably(folder / path.name, path.read_bytes())
        replace_durably(folder / "README.md", card.encode())
        entry = _entry(registry, name, tuple(path.name for path in figures))
        replace_durably(folder / "entry.yaml", entry.to_yaml().encode())
    return folder


def _entry(registry: Registry, name: str, figures: tuple[str, ...]) -> ModelEntry:
    cards = {version: registry.card(name, version) for version in registry.versions(name)}
    newest = cards[max(cards)]
    study: Any = newest.lineage.get("study", {})
    return ModelEntry(
        name=name,
        description=newest.description,
        location=str(registry.folder(name)),
        dataset=str(newest.lineage.get("dataset", "")),
        problem=str(study.get("problem", {}).get("name", "")),
        parameters=tuple(
            EntryParameter(
                name=p.name, units=p.unit, low=p.low, high=p.high, description=p.description
            )
            for p in newest.parameters
            if p.low < p.high
        ),
        fields={f.name: f.unit for f in newest.fields},
        quantities={q.name: q.unit for q in newest.quantities},
        mesh=newest.mesh,
        versions=tuple(_version(version, card) for version, card in cards.items()),
        figures=figures,
    )


def _version(version: int, card: ModelCard) -> VersionEntry:
    measured: dict[str, Json] | Any = card.lineage.get("evaluation", {})
    return VersionEntry(
        version=version,
        created=card.created,
        trajectories=card.training.trajectories,
        modes=card.basis.rank,
        training=card.training.digest,
        median_error=measured.get("median_error"),
        coverage=measured.get("coverage"),
    )
