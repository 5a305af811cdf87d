"""Reduced runs of structures with a clock, and their true errors."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from _report import middle
from _structures_full import FIELD, FullRun
from numpy.typing import NDArray

from rom.products import SparseProduct
from rom.structures.held_out import relative_error
from rom.structures.mass import mass_matrix
from rom.structures.model import ReducedStructure
from rom.structures.model_folder import load_structure, save_structure
from rom.structures.newton import NewtonOptions
from rom.structures.online import run
from rom.structures.reconstruction import displacement, reconstruct
from rom.structures.state import ReducedState
from rom.structures.trajectory import Trajectory
from solvers.problems.structures.problem import StructureCase

__all__ = ["Errors", "ReducedTimes", "errors_of", "first_steps", "states_of", "timed"]


@final
@dataclass(frozen=True, eq=False)
class Errors:
    """True errors of all steps, relative in L2.

    Attributes
    ----------
    displacement : (T,)
    plasticity : (T,), fields below a hundredth of the largest count relative to that
    """

    displacement: NDArray[np.float64]
    plasticity: NDArray[np.float64]

    def largest(self, steps: slice) -> tuple[float, float]:
        """Return the largest of some steps: displacement, plasticity."""
        return float(self.displacement[steps].max()), float(self.plasticity[steps].max())


@final
@dataclass(frozen=True)
class ReducedTimes:
    """Seconds of a reduced run.

    Attributes
    ----------
    steps : all steps of a run, median of some runs
    loading : reading the model from disk
    loads : making the reduced loads of a case
    fields : displacement, stress and plasticity on the whole mesh, per time
    """

    steps: float
    loading: float
    loads: float
    fields: float


def first_steps(case: StructureCase, full: FullRun, steps: int) -> Trajectory:
    """Return the history of the first steps, to train with."""
    return Trajectory(case.times[: steps + 1], full.displacement[: steps + 1], case.loads)


def states_of(model: ReducedStructure, case: StructureCase, tolerance: float) -> list[ReducedState]:
    """Return the states at all times of a case."""
    loads, options = model.loads(case.loads), NewtonOptions(tolerance=tolerance)
    steps = run(model, loads, model.start(), case.times[1:], options)
    return [state for state, _ in steps]


def errors_of(
    model: ReducedStructure, case: StructureCase, full: FullRun, states: list[ReducedState]
) -> Errors:
    """Return the errors of a run against the full-order one."""
    loads, volumes = model.loads(case.loads), case.mesh.material_weights
    length = SparseProduct(mass_matrix(case.mesh))
    p = full.plasticity
    size = float(np.sqrt(np.einsum("tkc,tkc,k->t", p, p, volumes)).max())
    moved, flowed, previous = [], [], None
    for i, state in enumerate(states, start=1):
        u = full.displacement[i]
        pair = np.stack([displacement(model, loads, state) - u, u]).reshape(2, -1)
        away, own = length.norms(pair.T)
        moved.append(away / own)
        previous = reconstruct(model, state, FIELD, previous).values
        flowed.append(relative_error(previous, p[i], volumes, size))
    return Errors(np.array(moved), np.array(flowed))


def timed(
    model: ReducedStructure, case: StructureCase, tolerance: float, repeats: int
) -> ReducedTimes:
    """Return what a run takes, part by part; the model is read from disk as a user would."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        save_structure(model, path)
        clock = time.perf_counter()
        model = load_structure(path)
        loading = time.perf_counter() - clock
    clock = time.perf_counter()
    loads = model.loads(case.loads)
    first = time.perf_counter() - clock
    options = NewtonOptions(tolerance=tolerance)
    states = [state for state, _ in run(model, loads, model.start(), case.times[1:], options)]
    seconds = []
    for _ in range(repeats):
        clock = time.perf_counter()
        for _ in run(model, loads, model.start(), case.times[1:], options):
            pass
        seconds.append(time.perf_counter() - clock)
    fields = []
    for state in states:
        clock = time.perf_counter()
        displacement(model, loads, state)
        reconstruct(model, state, "stress")
        reconstruct(model, state, FIELD)
        fields.append(time.perf_counter() - clock)
    return ReducedTimes(middle(seconds), loading, first, middle(fields))
