"""Reduced structures on disk: arrays in safetensors, the rest in JSON; nothing is pickled."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infra.array_folder import write_folder
from infra.records import Json
from rom.folder_head import read_headed
from rom.regression.state import Arrays, nest, part
from rom.structures.dual import DualBasis, DualModes
from rom.structures.lifting import Lifting
from rom.structures.model import ReducedStructure
from solvers.laws.description import law_from, to_dict
from solvers.structure_mesh import StructureMesh

__all__ = ["load_structure", "save_structure", "structure_arrays", "structure_from"]

_HEAD: Mapping[str, Json] = {"format": 1, "kind": "reduced-structure"}


def save_structure(model: ReducedStructure, folder: Path) -> None:
    """Write a model into a new folder, which appears as a whole or not at all.

    Raises
    ------
    UserError
        If the folder exists.
    StorageFullError, StorageAccessError
        If it cannot be written.
    """
    write_folder(folder, *structure_arrays(model))


def load_structure(folder: Path, *, verify: bool = True) -> ReducedStructure:
    """Return the model of a folder.

    Parameters
    ----------
    folder
        What `save_structure` wrote.
    verify
        Whether checksums are computed again.

    Raises
    ------
    UserError, ChecksumError, StoreError
        See `rom.folder_head.read_headed`.
    """
    return read_headed(folder, "reduced structure", _HEAD, structure_from, verify=verify)


def structure_arrays(model: ReducedStructure) -> tuple[Arrays, dict[str, Json]]:
    """Return the arrays and the text that a model is made of."""
    lift = model.lifting
    fields = {name: dual.field for name, dual in model.duals.items()}
    arrays: Arrays = {
        "modes": model.modes,
        "singular_values": model.singular_values,
        "places": model.places,
        "weights": model.weights,
        "strains": model.strains,
        "lift_strains": model.lift_strains,
        "lift.fields": lift.fields,
        "lift.allowed": lift.allowed,
        "mesh.points": model.mesh.points,
        "mesh.cells": model.mesh.cells,
        **nest("mesh.facets", model.mesh.facets),
        **nest("mesh.nodes", model.mesh.nodes),
        **_field_arrays("power", model.power),
    }
    for name, field in fields.items():
        arrays.update(_field_arrays(f"fields.{name}", field))
    text: dict[str, Json] = {
        **_HEAD,
        "law": to_dict(model.law),
        "mesh": model.mesh.kind,
        "held": [[region, component] for region, component in lift.held],
        "moved": [[region, component] for region, component in lift.moved],
        "fields": list(fields),
    }
    return arrays, text


def structure_from(mapped: Mapping[str, NDArray[Any]], text: Mapping[str, Any]) -> ReducedStructure:
    """Return the model of these arrays and this text."""
    # Copies: the files may be replaced while the model is used.
    arrays = {name: np.array(array) for name, array in mapped.items()}
    places = arrays["places"]
    duals = {name: DualBasis(_field(f"fields.{name}", arrays), places) for name in text["fields"]}
    mesh = StructureMesh(
        arrays["mesh.points"],
        arrays["mesh.cells"],
        text["mesh"],
        part("mesh.facets", arrays),
        part("mesh.nodes", arrays),
    )
    held, moved = (tuple((str(r), int(c)) for r, c in text[name]) for name in ("held", "moved"))
    return ReducedStructure(
        mesh=mesh,
        law=law_from(text["law"]),
        lifting=Lifting(held, moved, arrays["lift.fields"], arrays["lift.allowed"]),
        modes=arrays["modes"],
        singular_values=arrays["singular_values"],
        places=places,
        weights=arrays["weights"],
        strains=arrays["strains"],
        lift_strains=arrays["lift_strains"],
        power=_field("power", arrays),
        duals=duals,
    )


def _field_arrays(prefix: str, field: DualModes) -> Arrays:
    return nest(prefix, {"modes": field.modes, "coefficients": field.coefficients})


def _field(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> DualModes:
    name = "stress" if prefix == "power" else prefix.removeprefix("fields.")
    return DualModes(name, arrays[f"{prefix}.modes"], arrays[f"{prefix}.coefficients"])
