"""Published structures on disk: arrays in safetensors, the rest in JSON; nothing is pickled."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infra.array_folder import TEXT, read_folder, write_folder
from infra.errors import StoreError
from infra.records import Json
from rom.model_card import ModelCard
from rom.regression.state import nest, part
from rom.structures.indicator_state import indicator_arrays, indicator_from
from rom.structures.life import LifeSettings
from rom.structures.model_folder import structure_arrays, structure_from
from rom.structures.published import PublishedStructure
from rom.structures.published_parts import StructureParts

__all__ = ["KIND", "load_published", "save_published"]

KIND = "structure"
_FORMAT = 1


def save_published(model: PublishedStructure, folder: Path) -> None:
    """Write a model into a new folder, which appears as a whole or not at all.

    Raises
    ------
    UserError
        If the folder exists.
    StorageFullError, StorageAccessError
        If it cannot be written.
    """
    parts = model.parts
    arrays, structure = structure_arrays(parts.model)
    own: dict[str, NDArray[Any]] = {
        **nest("model", arrays),
        **nest("indicator", indicator_arrays(parts.indicator)),
        "times": parts.times,
        "points": parts.points,
    }
    text: dict[str, Json] = {
        "format": _FORMAT,
        "kind": KIND,
        "card": model.card.model_dump(mode="json"),
        "structure": structure,
        "indicator": parts.indicator.name,
        "problem": parts.problem,
        "settings": dict(parts.settings),
        "steps": parts.steps,
        "life": None if parts.life is None else parts.life.model_dump(mode="json"),
        "enriched": parts.enriched,
    }
    write_folder(folder, own, text)


def load_published(folder: Path, *, version: int = 0, verify: bool = True) -> PublishedStructure:
    """Return the model of a folder.

    Parameters
    ----------
    folder
        What `save_published` wrote.
    version
        Its version in a registry.
    verify
        Whether checksums are computed again.

    Raises
    ------
    UserError
        If there is no model.
    ChecksumError
        If a file differs from what was written.
    StoreError
        If the folder is of another kind or version.
    """
    arrays, text = read_folder(folder, verify=verify)
    if text.get("format") != _FORMAT or text.get("kind") != KIND:
        raise StoreError(
            f"Expected a structure of the format {_FORMAT} in {folder / TEXT}; received "
            f"{text.get('kind')!r}, {text.get('format')!r}. Use the version of romflow that wrote "
            "it."
        )
    try:
        return PublishedStructure(ModelCard.read(text["card"]), _parts(arrays, text), version)
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"Expected a whole model in {folder}; an entry is missing or does not fit: {error}. "
            "Build the model again."
        ) from error


def _parts(arrays: Mapping[str, NDArray[Any]], text: Mapping[str, Any]) -> StructureParts:
    return StructureParts(
        model=structure_from(part("model", arrays), text["structure"]),
        indicator=indicator_from(text["indicator"], part("indicator", arrays)),
        problem=text["problem"],
        settings=text["settings"],
        times=np.array(arrays["times"]),
        steps=int(text["steps"]),
        points=np.array(arrays["points"]),
        life=None if text["life"] is None else LifeSettings.model_validate(text["life"]),
        enriched=int(text["enriched"]),
    )
