"""A study of very many small chunks, for commands of Slurm that are stand-ins."""

from pathlib import Path

import yaml

from flows.study import Study, load_study

__all__ = ["many_chunks"]


def many_chunks(folder: Path, samples: int = 1200, ranks: int = 1) -> Study:
    """Write the study into a folder, where its data lie too, and return it."""
    settings = {
        "name": "many",
        "problem": {"name": "poisson", "settings": {"cells": 4}},
        "sampling": {"method": "uniform", "samples": samples, "seed": 1},
        "run": {"ranks": ranks, "chunk_size": 1},
        "output": str(folder / "out"),
        "catalog": str(folder / "catalog"),
    }
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(settings))
    return load_study(str(path))
