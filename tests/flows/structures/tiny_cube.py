"""A tiny cube for the tests of this folder: its study, its runs, and what was published of it."""

from pathlib import Path
from typing import Any

import yaml

from flows.structure_runs import WORKER
from flows.structure_store import RunJob, RunStore
from flows.structure_study import StructureStudy, load_structure_study
from infra.cluster import LocalCluster
from rom.registry import Registry
from rom.structures.published import PublishedStructure

TINY: dict[str, Any] = {
    "name": "tiny-cube",
    "description": "A tiny cube.",
    "problem": "cube",
    "settings": {"cells": 2, "cycles": 1, "increments": 10},
    "parameters": {
        "spot": {"low": 0.3, "high": 0.4},
        "temperature_rise": {"low": 500.0, "high": 700.0},
    },
    "sampling": {"samples": 4, "seed": 3},
    "validation": 1,
    "model": {
        "displacement_tolerance": 1e-4,
        "stress_tolerance": 1e-3,
        "cubature_tolerance": 1e-4,
        "dual_tolerance": 1e-3,
    },
    "life": {"ductility": 0.3, "exponent": -0.6},
    "run": {"ranks": 1, "chunk_size": 1, "workers": 2, "retries": 0},
}
OUTSIDE = {"spot": 0.9, "temperature_rise": 700.0}


def quiet(_text: str) -> None:
    """Tell nobody."""


def written(folder: Path, **changes: Any) -> Path:
    """Write the tiny study with other entries; return its file."""
    places = {"output": str(folder / "models"), "catalog": str(folder / "catalog")}
    path = folder / "tiny-cube.yaml"
    path.write_text(yaml.safe_dump({**TINY, **places, **changes}))
    return path


def tiny(folder: Path, **changes: Any) -> StructureStudy:
    return load_structure_study(str(written(folder, **changes)))


def by_hand(store: RunStore, jobs: list[RunJob]) -> list[str]:
    """Compute runs without Prefect."""
    for job in jobs:
        if not store.committed(job):
            done = LocalCluster().run([WORKER, str(store.prepare(job))], 1, store.log(job))
            assert done.code == 0, done.errors
    return []


def published(folder: Path, version: int | None = None) -> PublishedStructure:
    found = Registry(folder / "models").load_any("tiny-cube", version)
    assert isinstance(found, PublishedStructure)
    return found
