"""Structures on several ranks: ``mpiexec -n p python structure_worker.py FOLDER``.

Rank 0 writes FOLDER/ranks-p.npz with histories, and FOLDER/ranks-p.json with facts.
"""

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np

from solvers.backend import MPI
from solvers.errors import SampleError
from solvers.laws.description import law_from
from solvers.loads import Amplitude, LoadCase, Prescribed, Pressure, TemperatureHistory
from solvers.problems.structures import structure_class
from solvers.settings import LinearSettings
from solvers.structures.model import StructureModel
from solvers.structures.settings import StructureSettings
from solvers.structures.state import StructureState
from solvers.structures.state_files import History, load_state, save_state

TIGHT = StructureSettings(tolerance=1e-10)
# Conjugate gradients, as larger structures have them.
ITERATIVE = StructureSettings(tolerance=1e-10, linear=LinearSettings(method="icc", rtol=1e-5))
PROBLEMS: dict[str, dict[str, Any]] = {
    "cube": {"cells": 2, "increments": 4},
    "blade": {"around": 8, "through": 1, "along": 2, "increments": 5},
}
BOXES, LAWS = (
    runpy.run_path(str(Path(__file__).with_name(f"structure_{name}.py")))
    for name in ("boxes", "laws")
)


def model_of(name: str, comm: Any, settings: StructureSettings) -> tuple[StructureModel, Any]:
    """Return a tiny problem's model and its times."""
    if name == "tetrahedra":
        return tetrahedra(comm, settings)
    kind = structure_class(name)
    case = kind(kind.Settings(**PROBLEMS[name])).case()
    law = law_from(case.law)
    return StructureModel(case.mesh, law, case.loads, comm, settings), case.times


def tetrahedra(comm: Any, settings: StructureSettings) -> tuple[StructureModel, Any]:
    """Return a crooked box of quadratic tetrahedra that is pulled and pushed."""
    mesh = BOXES["box"]((2, 2, 1), (2.0, 1.0, 1.0), "tetrahedron10", 0.2)
    coefficients = {"young": 2e5, "poisson": 0.3, "yield_stress": 100.0, "hardening": 1e4}
    law = law_from({"kind": "linear-hardening", "coefficients": coefficients})
    wave = Amplitude((0.0, 1.0, 2.0), (0.0, 1.0, -1.0))
    held = tuple(Prescribed("x0", axis) for axis in range(3))
    loads = LoadCase((*held, Prescribed("x1", 1, 0.01, wave)), (Pressure("y1", -20.0, wave),))
    return StructureModel(mesh, law, loads, comm, settings), np.linspace(0.0, 2.0, 5)


def history_of(name: str, comm: Any, settings: StructureSettings) -> History:
    """Return the states of a tiny problem, on rank 0."""
    model, times = model_of(name, comm, settings)
    history = History()
    model.run(times, history)
    model.destroy()
    return history


def resumed(folder: Path, comm: Any, settings: StructureSettings, before: History) -> History:
    """Return the history of the cube, gone on with by another model from the middle of `before`."""
    history, middle = History(), 2
    path = folder / f"middle-{comm.size}.npz"
    if comm.rank == 0:
        for number in range(middle + 1):
            history(number, before.state(number))
        save_state(path, before.state(middle))
    model, times = model_of("cube", comm, settings)
    model.run(times, history, start=load_state(path) if comm.rank == 0 else None)
    model.destroy()
    return history


def round_trip(comm: Any) -> bool:
    """Return whether a whole state comes back as it was, through the shares of all ranks."""
    model, _ = model_of("cube", comm, TIGHT)
    rng = np.random.default_rng(7)
    whole = StructureState(
        0.5, rng.random((27, 3)), rng.random((64, 13)), rng.random((64, 6)), rng.random(64)
    )
    back = model.collect(model.spread(whole if comm.rank == 0 else None))
    model.destroy()
    names = ("displacement", "internal", "stress", "temperature")
    return back is None or all(
        np.array_equal(getattr(back, name), getattr(whole, name)) for name in names
    )


def stopped(folder: Path, comm: Any) -> str:
    """Return what is said when a step cannot be solved; the state is saved."""
    few = StructureSettings(max_iterations=1, max_cuts=1)
    model, times = model_of("cube", comm, few)
    try:
        model.run(times, lambda *_: None, rescue=folder / f"rescue-{comm.size}.npz")
    except SampleError as error:
        return f"{error.reason}: {error}"
    finally:
        model.destroy()
    return "nothing happened"


def cut(comm: Any) -> tuple[int, History]:
    """Return the cuts, and the states, of a bar whose law fails on the rank of its end only."""
    mesh = BOXES["box"]((4, 1, 1), (4.0, 1.0, 1.0))
    held = tuple(Prescribed(region, axis) for axis, region in enumerate(("x0", "y0", "z0")))
    fields = np.stack([np.full(mesh.n_nodes, 20.0), 20.0 + 100.0 * mesh.points[:, 0]])
    loads = LoadCase(held, temperature=TemperatureHistory(np.array([0.0, 1.0]), fields))
    # The strain grows along the bar; only the last element's is too large.
    coefficients = {"young": 2e5, "poisson": 0.0, "expansion": 1e-5}
    growing = law_from({"kind": "thermoelastic", "coefficients": coefficients})
    brittle = LAWS["Brittle"](growing.elasticity, growing, 3.5e-3)
    model, history = StructureModel(mesh, brittle, loads, comm, TIGHT), History()
    report = model.run([0.0, 1.0], history)
    model.destroy()
    return report.cuts, history


def main(folder: Path) -> None:
    """Compute everything on the ranks of the world."""
    comm = MPI.COMM_WORLD
    names = ("cube", "blade", "tetrahedra")
    histories = {name: history_of(name, comm, TIGHT) for name in names}
    histories["cube-icc"] = history_of("cube", comm, ITERATIVE)
    for name, settings in (("cube", TIGHT), ("cube-icc", ITERATIVE)):
        histories[f"{name}-resumed"] = resumed(folder, comm, settings, histories[name])
    cuts, histories["cut"] = cut(comm)
    facts = {"round_trip": round_trip(comm), "stopped": stopped(folder, comm), "cuts": cuts}
    everywhere = comm.gather(facts)
    if comm.rank == 0:
        arrays: dict[str, Any] = {
            f"{name}/{part}": array
            for name, history in histories.items()
            for part, array in history.arrays().items()
        }
        np.savez(folder / f"ranks-{comm.size}.npz", **arrays)
        (folder / f"ranks-{comm.size}.json").write_text(json.dumps(everywhere))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
