"""Reduced models on disk: arrays in safetensors, the rest in JSON; nothing is pickled."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infra.array_folder import write_folder
from infra.field_space import FieldSpace
from infra.records import Json
from rom.folder_head import read_headed
from rom.model_card import ModelCard
from rom.model_parts import ModelParts
from rom.quantity_model import QuantityModel
from rom.reduced_model import ReducedModel
from rom.regions import Region
from rom.regression.state import Arrays, Text, entry, nest, part
from rom.regression.time_registry import time_regressor_from_state
from rom.trust.indicator import Calibration, ErrorIndicator
from rom.trust.statistic import Offset

__all__ = ["load_model", "save_model"]

_HEAD: Mapping[str, Json] = {"format": 1}


def save_model(model: ReducedModel, folder: Path) -> None:
    """Write a model into a new folder, which appears as a whole or not at all.

    Raises
    ------
    UserError
        If the folder exists.
    StorageFullError, StorageAccessError
        If it cannot be written.
    """
    parts = model.parts
    regressor, regressor_text = parts.regressor.state()
    quantities, quantities_text = parts.quantities.state()
    arrays: dict[str, NDArray[Any]] = {
        "modes": parts.modes,
        **({} if parts.centre is None else {"centre": parts.centre}),
        "singular_values": parts.singular_values,
        "offset": np.r_[parts.offset.square, parts.offset.slope],
        "points": parts.points,
        "coefficients": parts.coefficients,
        **nest("space", {name: _small(a) for name, a in parts.space.arrays().items()}),
        **nest("regressor", regressor),
        **nest("quantities", quantities),
        **nest("indicator", parts.indicator.arrays()),
        **nest("regions", {name: _small(r.nodes) for name, r in parts.regions.items()}),
    }
    text: dict[str, Json] = {
        **_HEAD,
        "card": model.card.model_dump(mode="json"),
        "space": parts.space.describe(),
        "regressor": regressor_text,
        "quantities": quantities_text,
        "calibration": asdict(parts.indicator.calibration),
        "regions": {name: region.location for name, region in parts.regions.items()},
    }
    write_folder(folder, arrays, text)


def load_model(folder: Path, *, version: int = 0, verify: bool = True) -> ReducedModel:
    """Return the model of a folder; its modes are read when they are used.

    Parameters
    ----------
    folder
        What `save_model` wrote.
    version
        Its version in a registry.
    verify
        Whether checksums are computed again.

    Raises
    ------
    UserError, ChecksumError, StoreError
        See `rom.folder_head.read_headed`.
    """

    def made(arrays: Arrays, text: Text) -> ReducedModel:
        return ReducedModel(ModelCard.read(text["card"]), _parts(arrays, text), version)

    return read_headed(folder, "model", _HEAD, made, verify=verify)


def _parts(arrays: Mapping[str, NDArray[Any]], text: Mapping[str, Json]) -> ModelParts:
    calibration: Any = entry(text, "calibration")
    locations = entry(text, "regions")
    regions = part("regions", arrays)
    offset = np.array(arrays["offset"], np.float64)
    return ModelParts(
        space=FieldSpace.assemble(entry(text, "space"), part("space", arrays)),
        modes=arrays["modes"],
        centre=arrays.get("centre"),
        singular_values=np.array(arrays["singular_values"]),
        offset=Offset(float(offset[0]), offset[1:].copy()),
        regressor=time_regressor_from_state(part("regressor", arrays), entry(text, "regressor")),
        quantities=QuantityModel.from_state(part("quantities", arrays), entry(text, "quantities")),
        points=np.array(arrays["points"]),
        coefficients=arrays["coefficients"],
        indicator=ErrorIndicator.restored(part("indicator", arrays), Calibration(**calibration)),
        regions={
            name: Region(str(location), regions[name].astype(np.int64))
            for name, location in locations.items()
        },
    )


def _small(array: NDArray[Any]) -> NDArray[Any]:
    """Store places of a mesh in 32 bits: they are most of a model's file otherwise."""
    fits = array.dtype.kind in "iu" and (not array.size or array.max() < 2**31)
    return array.astype(np.int32) if fits else array
