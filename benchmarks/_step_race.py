"""Worker of `ns_throughput`: our step against the competitors', in turn, on any number of ranks.

``mpiexec -n 2 python benchmarks/_step_race.py race.json result.json``
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, final

import numpy as np
from _flow import Flow, local_values
from _splitting import PRESSURE
from component_ipcs import ComponentIPCS
from plain_ipcs import PlainIPCS
from pydantic import BaseModel, ConfigDict

from solvers.backend import MPI
from solvers.discretisation import Discretisation

__all__ = ["Race", "Result"]

# Loosest first: a competitor gets the first one that keeps its drag within 1e-4.
_TOLERANCES = (1e-5, 1e-6, 1e-7, 1e-8)
_TIGHT = 1e-11
_DRAG = ("cylinder", 0)
_KINDS = (PlainIPCS, ComponentIPCS)


@final
class Race(BaseModel):
    """Settings of one race.

    Attributes
    ----------
    size, far_size : edge lengths of the cylinder's mesh, m
    step : time step, s
    warm : steps before the race, so that the flow is developed
    block, repeats : steps in a timed block, and number of blocks of each competitor
    steady : simulated seconds until the flow 2D-1 is steady; 0 leaves that comparison out
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: float
    far_size: float
    step: float
    warm: int
    block: int
    repeats: int
    steady: float = 0.0


@final
class Result(BaseModel):
    """What a race found.

    Attributes
    ----------
    nodes : velocity nodes of the mesh
    courant : Courant number of our last step
    blocks, cpu : seconds and rank 0's processor seconds per step of each block, by competitor
    setups : seconds of the set-up (competitors: without and with the compiled forms cached)
    pressure : milliseconds per step of the plain competitor with each pressure solver
    tolerances : tolerance each competitor needs for a drag within 1e-4 of its own tight one
    unsteady : largest relative difference of the drag over the 19 steps after the first one
    steady : relative difference of the steady drag, by competitor
    """

    nodes: int
    courant: float
    blocks: dict[str, list[float]]
    cpu: dict[str, list[float]]
    setups: dict[str, list[float]]
    pressure: dict[str, float]
    tolerances: dict[str, float]
    unsteady: dict[str, float]
    steady: dict[str, float]


def run(race: Race, comm: Any) -> Result:
    """Set everything up, choose the competitors' best settings, and race."""
    setups: dict[str, list[float]] = {}
    flow = _timed(setups, "ours", lambda: _ours(race, comm))
    _warm_up(flow, race)
    start = _Start(flow, race.step, setups)
    tolerances = {kind.__name__: start.tolerance(kind) for kind in _KINDS}
    # PETSc's own LU is serial.
    usable = [name for name in PRESSURE if name != "LU" or comm.size == 1]
    pressure = {name: start.trial(name, tolerances["PlainIPCS"]) for name in usable}
    best = min(pressure, key=lambda name: pressure[name])
    unsteady = _unsteady(start, flow, best)
    runners = {k.__name__: start.make(k, tolerances[k.__name__], best) for k in _KINDS}
    loose = _warm_up(_ours(race, comm, rtol=1e-8, disc=flow.disc), race)
    actions: dict[str, Callable[[], None]] = {
        "ours": lambda: flow.advance(race.step),
        "ours, rtol 1e-8": lambda: loose.advance(race.step),
        "ours with drag, lift, pressure difference": lambda: _with_quantities(flow, race.step),
        **{name: runner.advance for name, runner in runners.items()},
    }
    blocks, cpu = _blocks(actions, race, comm)
    return Result(
        blocks=blocks,
        cpu=cpu,
        nodes=flow.mesh.n_nodes,
        courant=flow.quantities()[1],
        setups=setups,
        pressure={name: 1e3 * seconds for name, seconds in pressure.items()},
        tolerances=tolerances,
        unsteady=unsteady,
        steady=_steady(race, comm) if race.steady else {},
    )


def _ours(race: Race, comm: Any, **options: Any) -> Flow:
    settings = {"size": race.size, "far_size": race.far_size}
    mu = {"reynolds": 100.0, "amplitude": 0.5, "frequency": 2.0}
    return Flow.make("cylinder", settings, mu, comm, **options)


def _warm_up(flow: Flow, race: Race) -> Flow:
    for _ in range(race.warm):
        flow.advance(race.step)
    return flow


def _unsteady(start: "_Start", flow: Flow, pressure: str) -> dict[str, float]:
    """Compare the drag over the next steps, at half steps, all systems solved tightly."""
    ours = start.our_history(flow)
    differences = {}
    for kind in _KINDS:
        theirs = start.drags(start.make(kind, _TIGHT, pressure), len(ours))
        # The first step is the hand-over: Crank-Nicolson's pressure belongs to half steps.
        differences[kind.__name__] = float(np.abs(theirs - ours)[1:].max() / np.abs(ours).max())
    return differences


def _with_quantities(flow: Flow, step: float) -> None:
    flow.advance(step)
    flow.quantities()


def _blocks(
    actions: dict[str, Callable[[], None]], race: Race, comm: Any
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Time blocks of steps, one competitor after the other, again and again."""
    blocks: dict[str, list[float]] = {name: [] for name in actions}
    cpu: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(race.repeats):
        for name, action in actions.items():
            comm.barrier()
            clock, used = time.perf_counter(), time.process_time()
            for _ in range(race.block):
                action()
            comm.barrier()
            cpu[name].append((time.process_time() - used) / race.block)
            blocks[name].append((time.perf_counter() - clock) / race.block)
    return blocks, cpu


def _timed[T](times: dict[str, list[float]], name: str, function: Callable[[], T]) -> T:
    clock = time.perf_counter()
    value = function()
    times.setdefault(name, []).append(time.perf_counter() - clock)
    return value


@final
class _Start:
    """The state all competitors start from, and what is tried from it."""

    def __init__(self, flow: Flow, step: float, setups: dict[str, list[float]]) -> None:
        self.disc: Discretisation = flow.disc
        self.case, self.step, self.setups = flow.case, step, setups
        levels = flow.state.velocity
        self.now, self.before = ([local_values(v) for v in level] for level in levels[:2])
        self.pressure = np.array(flow.state.pressure.array_r)
        self.time = flow.state.time
        self.first_drag = flow.quantities()[0]["drag"] if flow.terms else 0.0

    def make(self, kind: type[Any], rtol: float, pressure: str) -> Any:
        """Return a competitor that continues from the common state."""

        def build() -> Any:
            return kind(self.disc, self.case, self.step, rtol, PRESSURE[pressure])

        runner = _timed(self.setups, kind.__name__, build)
        runner.load(self.now, self.before, self.pressure, self.time)
        return runner

    def tolerance(self, kind: type[Any]) -> float:
        """Return the loosest tolerance that keeps the drag within 1e-4 over some steps."""
        exact = self.drags(self.make(kind, _TIGHT, "LU (MUMPS)"), 10)
        for rtol in _TOLERANCES:
            drags = self.drags(self.make(kind, rtol, "LU (MUMPS)"), 10)
            if np.abs(drags - exact).max() <= 1e-4 * np.abs(exact).max():
                return rtol
        return _TOLERANCES[-1]

    def trial(self, pressure: str, rtol: float) -> float:
        """Return the seconds per step of the plain competitor with a pressure solver."""
        runner = self.make(PlainIPCS, rtol, pressure)
        runner.advance()
        clock = time.perf_counter()
        for _ in range(6):
            runner.advance()
        seconds = time.perf_counter() - clock
        return float(self.disc.mesh.comm.allreduce(seconds, op=MPI.MAX)) / 6

    def our_history(self, flow: Flow) -> Any:
        """Return our drag coefficients over the same steps, averaged to their middles."""
        values = [self.first_drag, *(q["drag"] for q in flow.run(20, self.step))]
        return 0.5 * (np.array(values[1:]) + np.array(values[:-1]))

    def drags(self, runner: Any, steps: int) -> Any:
        """Return a competitor's drag coefficients at the middle of its next steps."""
        scale = self.case.forces[0].scale
        values = []
        for _ in range(steps):
            runner.solve()
            values.append(scale * runner.reaction(*_DRAG))
            runner.shift()
        return np.array(values)


def _steady(race: Race, comm: Any) -> dict[str, float]:
    """Compare the drag of 2D-1 (Re 20) once it is steady: no error in time is left."""
    settings = {"size": race.size, "far_size": race.far_size, "mean_velocity": 0.2}
    flow = Flow.make("cylinder", settings, {"reynolds": 20.0}, comm)
    step = 1.6 * race.size  # Courant number about one
    ours = flow.run(round(race.steady / step), step)[-1]["drag"]
    start = _Start(flow, step, {})
    differences = {}
    for kind in _KINDS:
        drags = start.drags(start.make(kind, 1e-8, "LU (MUMPS)"), 60)
        differences[kind.__name__] = float(abs(drags[-1] / ours - 1.0))
    return differences


def main() -> None:
    """Read the race, run it, write the result."""
    source, target = (Path(text) for text in sys.argv[1:3])
    result = run(Race(**json.loads(source.read_text())), MPI.COMM_WORLD)
    if MPI.COMM_WORLD.rank == 0:
        target.write_text(result.model_dump_json())


if __name__ == "__main__":
    main()
