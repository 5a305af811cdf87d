"""Reduced structures on several ranks: ``mpiexec -n p python rank_worker.py FOLDER [alone]``.

FOLDER holds the histories that the test computed; rank 0 writes FOLDER/ranks-p.npz and
FOLDER/ranks-p.json. Each rank takes the displacements of its own nodes only. With ``alone``, one
process that knows nothing of MPI writes FOLDER/alone.npz; it is a process of its own so that its
linear algebra has as many threads as that of the ranks.
"""

import hashlib
import json
import runpy
import sys
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np

from infra.errors import RomflowError
from rom.cubature.integrands import ArrayIntegrands
from rom.cubature.rule import cubature
from rom.parts import Parts
from rom.reduction import Reducer, Serial
from rom.structures.newton import NewtonOptions
from rom.structures.offline import build_structure
from rom.structures.online import advance, run
from rom.structures.settings import StructureSettings
from rom.structures.state import ReducedState
from rom.structures.trajectory import Trajectory
from rom.structures.trajectory_part import TrajectoryPart, own_nodes
from solvers.laws.elasticity import Elasticity
from solvers.laws.elastoviscoplastic import ElastoViscoPlastic
from solvers.laws.law import Law, LawResponse, LawStep, LocalIntegrationError, Variable
from solvers.loads import Amplitude, LoadCase, Prescribed

# A bar that is pulled needs two points only: of three ranks one has none.
CASES = ("cube", "bent", "pulled")
FIELDS = ("stress", "accumulated_plasticity")
NEWTON = NewtonOptions(tolerance=1e-11)
PIECES = runpy.run_path(str(Path(__file__).with_name("conftest.py")))


@final
@dataclass(frozen=True)
class GivesUp(Law):
    """A law without any answer."""

    name: ClassVar[str] = "gives-up"
    symmetric: ClassVar[bool] = True
    variables: ClassVar[tuple[Variable, ...]] = ElastoViscoPlastic.variables
    elasticity: Elasticity

    def stored_energy(self, strain: Any, temperature: Any, state: Any) -> Any:
        raise NotImplementedError

    def dissipation(self, step: LawStep, response: LawResponse) -> Any:
        raise NotImplementedError

    def _integrate(self, step: LawStep) -> LawResponse:
        raise LocalIntegrationError("there is no answer", np.arange(len(step.state)))


def case(name: str) -> tuple[Any, Any, LoadCase, Any]:
    """Return mesh, law, loads and times."""
    if name == "cube":
        mesh = PIECES["hexahedra"](3)
        return mesh, PIECES["viscous"](), PIECES["cycle"](mesh), PIECES["TIMES"]
    mesh = PIECES["tetrahedra"](2, quadratic=True)
    pull = Prescribed(
        "x1", 0, 0.01 if name == "bent" else 0.004, Amplitude((0.0, 1.0, 2.0), (0.0, 1.0, 1.5))
    )
    shear = Prescribed("x1", 1, 0.015, Amplitude((0.0, 1.0, 2.0), (0.0, 0.3, 1.0)))
    clamped = (*(Prescribed("x0", axis) for axis in range(3)), pull, shear)
    if name == "bent":
        return mesh, PIECES["viscous"](), LoadCase(clamped), np.linspace(0.0, 2.0, 7)
    loads = LoadCase(PIECES["fixed_corner"](pull))
    return mesh, PIECES["hardening"](), loads, np.linspace(0.0, 2.0, 7)


def part(folder: Path, name: str, reducer: Reducer) -> TrajectoryPart:
    """Return what this rank reads of a history."""
    mesh, _, loads, times = case(name)
    nodes = own_nodes(mesh, reducer)
    displacement = np.load(folder / f"{name}.npy", mmap_mode="r")
    return TrajectoryPart(times, nodes, np.array(displacement[:, nodes]), loads)


def built(folder: Path, name: str, reducer: Reducer) -> Any:
    """Return the model of a case."""
    mesh, law, *_ = case(name)
    settings = StructureSettings(fields=FIELDS)
    return build_structure(mesh, law, [part(folder, name, reducer)], settings, reducer)[0]


def results(folder: Path, name: str, reducer: Reducer) -> dict[str, Any]:
    """Return everything that shall not depend on the number of ranks."""
    model = built(folder, name, reducer)
    *_, loads, times = case(name)
    reduced = model.loads(loads)
    states = [s for s, _ in run(model, reduced, model.start(), times[1:], NEWTON, reducer)]
    found = {
        "modes": model.modes,
        "singular_values": model.singular_values[: model.rank],
        "lifts": model.lifting.fields,
        "places": model.places,
        "weights": model.weights,
        "strains": model.strains,
        "power": model.power.scaled,
        **{f"dual-{key}": dual.field.scaled for key, dual in model.duals.items()},
        "q": np.array([s.q for s in states]),
        "stress": np.array([s.stress for s in states]),
        "internal": np.array([s.internal for s in states]),
    }
    found["resumed"] = resumed(folder, model, reduced, states, times, reducer)
    return found


def resumed(
    folder: Path, model: Any, loads: Any, states: list[Any], times: Any, reducer: Reducer
) -> Any:
    """Return the last q of a run that goes on from a file, from the middle."""
    middle = len(states) // 2
    path = folder / f"middle-{reducer.size}-{reducer.rank}.npz"
    state = states[middle - 1]
    np.savez(path, time=state.time, q=state.q, stress=state.stress, internal=state.internal)
    with np.load(path) as kept:
        again = ReducedState(float(kept["time"]), kept["q"], kept["stress"], kept["internal"])
    rest = [s for s, _ in run(model, loads, again, times[middle + 1 :], NEWTON, reducer)]
    return np.array([np.array_equal(a.q, b.q) and np.array_equal(a.internal, b.internal)
                     for a, b in zip(states[middle:], rest, strict=True)])  # fmt: skip


def rule(reducer: Reducer) -> dict[str, Any]:
    """Return a rule for smooth functions at points of several blocks."""
    rng = np.random.default_rng(0)
    x, weights = rng.random((3000, 3)), rng.uniform(0.5, 1.5, 3000)
    waves, phases = rng.integers(0, 4, (30, 3)), rng.random(30)
    values = np.cos(np.pi * (waves @ x.T) + 2 * np.pi * phases[:, np.newaxis]) + 0.2
    here = Parts(3000, reducer).here
    found = cubature(ArrayIntegrands(values[:, here], weights, reducer), 1e-6)
    return {"points": found.points, "weights": found.weights}


def sums(reducer: Reducer) -> Any:
    """Return sums of numbers of many sizes, which depend on their order."""
    found = []
    for n in (1, 2, 3, 5, 700, 3000, 9000):
        values = np.random.default_rng(n).standard_normal(n) * 10.0 ** (np.arange(n) % 17)
        parts = Parts(n, reducer)
        total = parts.total(lambda _, block, v=values: np.array(v[block].sum()), ())
        number, largest = parts.first_of_largest(np.round(values[parts.here], -16))
        whole = parts.whole(values[parts.here])
        found.append([float(total), number, largest, float(np.array_equal(whole, values))])
    return np.array(found)


def failure(function: Any) -> str:
    """Return the kind of the error that a call ends with."""
    try:
        function()
    except RomflowError as error:
        return type(error).__name__
    return "nothing happened"


def failures(folder: Path, reducer: Reducer) -> dict[str, str]:
    """Return how a rank ends when another one fails."""
    mesh, law, *_ = case("cube")
    own = part(folder, "cube", reducer)
    first, last = reducer.rank == 0, reducer.rank == reducer.size - 1
    u = own.displacement
    # The first rank has the supports.
    wrong = TrajectoryPart(own.times, own.nodes, u + 1.0 if first else u, own.loads)
    few = TrajectoryPart(own.times[:-1], own.nodes, u[:-1], own.loads) if last else own
    without = TrajectoryPart(own.times, own.nodes[1:], u[:, 1:], own.loads) if last else own
    mixed = GivesUp(law.elasticity) if last else law
    model = built(folder, "cube", reducer)
    loads = model.loads(own.loads)
    odd = replace(model, law=mixed)

    def build(trajectory: Any, law: Any = law) -> Any:
        return lambda: build_structure(mesh, law, [trajectory], None, reducer)

    values = np.ones((2, len(Parts(100, reducer).numbers)))
    values[:, :1] = np.nan if last else 1.0
    return {
        "integrands": failure(lambda: ArrayIntegrands(values, np.ones(100), reducer)),
        "wrong": failure(build(wrong)),
        "few": failure(build(few)),
        "without": failure(build(without)),
        "law": failure(build(own, mixed)),
        "online": failure(lambda: advance(odd, loads, odd.start(), 0.2, NEWTON, reducer)),
    }


def everything(folder: Path, reducer: Reducer) -> dict[str, Any]:
    """Return all arrays by name."""
    found = {"sums": sums(reducer)}
    for key, value in rule(reducer).items():
        found[f"rule/{key}"] = value
    for name in CASES:
        for key, value in results(folder, name, reducer).items():
            found[f"{name}/{key}"] = value
    return found


def digest(arrays: dict[str, Any]) -> str:
    """Return a checksum of all arrays."""
    sha = hashlib.sha256()
    for name, array in arrays.items():
        sha.update(name.encode() + np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()


def main(folder: Path) -> None:
    """Compute everything on the ranks of the world; one that fails ends them all."""
    from mpi4py import MPI

    try:
        together(folder, MPI.COMM_WORLD)
    except Exception:
        traceback.print_exc()
        sys.stderr.flush()
        MPI.COMM_WORLD.Abort(1)
        raise


def together(folder: Path, comm: Any) -> None:
    """Compute everything on the ranks of a communicator."""
    from rom.reduction import Communicator

    arrays = everything(folder, Communicator(comm))
    counted = Communicator(comm)
    rule(counted)
    facts = {
        "largest": counted.largest,
        "digest": digest(arrays),
        "nodes": len(own_nodes(case("cube")[0], Communicator(comm))),
        **failures(folder, Communicator(comm)),
    }
    told = comm.gather(facts)
    if comm.rank == 0:
        np.savez(folder / f"ranks-{comm.size}.npz", **arrays)
        (folder / f"ranks-{comm.size}.json").write_text(json.dumps(told))


def alone(folder: Path) -> None:
    """Compute everything without MPI, and models of whole histories."""
    arrays = everything(folder, Serial())
    for name in CASES:
        mesh, law, loads, times = case(name)
        trajectory = Trajectory(times, np.load(folder / f"{name}.npy"), loads)
        model, _ = build_structure(mesh, law, [trajectory], StructureSettings(fields=FIELDS))
        arrays[f"{name}/whole-modes"], arrays[f"{name}/whole-weights"] = model.modes, model.weights
    np.savez(folder / "alone.npz", **arrays)


if __name__ == "__main__":
    (alone if sys.argv[2:] == ["alone"] else main)(Path(sys.argv[1]))
