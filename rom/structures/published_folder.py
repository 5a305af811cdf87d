"""Published structures on disk: arrays in safetensors, the rest in JSON; nothing is pickled."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infra.array_folder import write_folder
from infra.records import Json
from rom.folder_head import read_headed
from rom.model_card import ModelCard
from rom.regression.state import Arrays, Text, nest, part
from rom.structures.indicator_state import indicator_arrays, indicator_from
from rom.structures.life import LifeSettings
from rom.structures.model_folder import structure_arrays, structure_from
from rom.structures.published import PublishedStructure
from rom.structures.published_parts import StructureParts

__all__ = ["KIND", "load_published", "save_published"]

KIND = "structure"
_HEAD: Mapping[str, Json] = {"format": 1, "kind": KIND}


def save_published(model: PublishedStructure, folder: Path) -> None:
    """Write a model; see `rom.any_model.save_any`."""
    parts = model.parts
    arrays, structure = structure_arrays(parts.model)
    own: dict[str, NDArray[Any]] = {
        **nest("model", arrays),
        **nest("indicator", indicator_arrays(parts.indicator)),
        "times": parts.times,
        "points": parts.points,
    }
    text: dict[str, Json] = {
        **_HEAD,
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
    """Return the model of a folder; see `rom.any_model.load_any`."""

    def made(arrays: Arrays, text: Text) -> PublishedStructure:
        return PublishedStructure(ModelCard.read(text["card"]), _parts(arrays, text), version)

    return read_headed(folder, "structure", _HEAD, made, verify=verify)


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
