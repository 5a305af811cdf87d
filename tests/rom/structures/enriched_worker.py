"""An enriched run that goes on from its newest checkpoint: ``enriched_worker.py FOLDER [DEATH]``.

FOLDER holds the checkpoints. DEATH is ``full:n``, to be killed in the n-th high-fidelity step of
this process, or the name of a checkpoint's folder, to be killed when it would appear. Also
imported by the test.
"""

import os
import runpy
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rom.structures.checkpoint import Checkpoints
from rom.structures.enriched_run import EnrichmentOptions
from rom.structures.enrichment import Enricher
from rom.structures.full_step import FullState
from rom.structures.settings import StructureSettings
from solvers.loads import LoadCase, TemperatureHistory

SETTINGS = StructureSettings(displacement_tolerance=1e-5, cubature_tolerance=1e-4)
OPTIONS = EnrichmentOptions(tolerance=0.01, budget=4)
TIMES = np.linspace(0.0, 2.0, 11)
PIECES = runpy.run_path(str(Path(__file__).with_name("conftest.py")))


def loads(mesh: Any) -> LoadCase:
    """Return loads with a hot corner, where the training had smooth gradients."""
    case = PIECES["cycle"](mesh, pressure=-235.0)
    away = ((mesh.points - 10.0) ** 2).sum(axis=1)
    fields = case.temperature.fields.copy()
    fields[1::2] = 20.0 + 150.0 * np.exp(-away / 40.0)
    warm: LoadCase = replace(case, temperature=TemperatureHistory(case.temperature.times, fields))
    return warm


class Solver:
    """The full-order solver, in whose steps a process may die."""

    def __init__(self, deadly: int) -> None:
        self._left = deadly

    def __call__(self, restart: FullState, case: LoadCase, time: float) -> FullState:
        self._left -= 1
        if self._left == 0:
            die()
        full = PIECES["Full"](PIECES["hexahedra"](2), PIECES["viscous"](), case)
        u, response, temperature = full.step(
            restart.displacement,
            restart.internal,
            restart.temperature,
            restart.time,
            time,
            1e-11,
        )
        return FullState(time, u, response.stress, response.state, temperature)


def die() -> None:
    """End this process as a power failure would."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_before(name: str) -> None:
    """End this process when a folder of this name would appear."""

    def hook(event: str, arguments: Any) -> None:
        if event == "os.rename" and Path(arguments[1]).name == name:
            die()

    sys.addaudithook(hook)


def main(folder: Path, death: str) -> None:
    """Make the steps that are left."""
    kind, _, number = death.partition(":")
    if kind and kind != "full":
        die_before(kind)
    checkpoints = Checkpoints(folder)
    start = checkpoints.load()
    case = loads(start.model.mesh)
    solver = Solver(int(number) if number else 0)
    enricher = Enricher(start.model, case, solver, OPTIONS, SETTINGS)
    for run in enricher.run(start, TIMES[1 + len(start.records) :]):
        checkpoints.save(run)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "")
