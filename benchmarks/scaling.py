"""How a study of a million samples scales: a simulation fed by costs that are measured here.

``python benchmarks/scaling.py [--quick] [--rounds 3]``. It measures chunks, store, Prefect's flow,
the stream into a trainer and (as root, with Slurm's programs) a local Slurm; computes a small study
with 1, 2 and 4 chunks side by side for real, and compares; then predicts 1 to 10 000 nodes and
names what is full first. docs/scaling.md tells what is measured and what is assumed.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from _report import ROOT, Report, cores, one_thread
from _scaling_chunks import Bare, ChunkCosts, chunk_costs, one_round, warm_up
from _scaling_costs import (
    FRAME_VALUES,
    Sizes,
    costs_of,
    frame_seconds,
    measure_flow,
    shared_place,
)
from _scaling_engine import Events, Own, Place
from _scaling_model import WAYS, Costs, Outcome, Study, ideal, simulate
from _scaling_slurm import Delays, measure_delays, time_submitted
from _scaling_store import measure_store
from _scaling_tell import Curve, Point, draw, tell_costs, tell_points, tell_predictions
from _slurm_site import is_possible, site

SETTINGS: dict[str, Any] = {
    "description": "Vortices.",
    "problem": {"name": "taylor-green", "settings": {"cells": 24}},
    "parameters": {"viscosity": {"low": 0.01, "high": 0.05}},
    "sampling": {"method": "sobol", "seed": 3},
    "run": {"ranks": 1, "chunk_size": 100, "retries": 0},
}
TIMES = {
    True: {"end": 0.1, "frames": 3, "step": 0.0005},
    False: {"end": 1.0, "frames": 3, "step": 0.001},
}
SIZES = {
    True: Sizes(3, (10, 40), (4, 20, 50), 1.0, 500, 8, 2, 1, 3, 12),
    False: Sizes(8, (50, 1050), (4, 200, 800), 5.0, 3000, 16, 2, 3, 6, 240),
}
SIDE_BY_SIDE = (1, 2, 4)
NODES = (1, 2, 4, 10, 100, 1000, 10_000)
PREDICTED = {True: Study(20_000, 100, 100), False: Study(1_000_000, 100, 100)}
# A second kind of samples: as measured in everything, but so many seconds long.
LONG = 60.0
DRAWS = 5


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # Slurm is ended then
    quick: bool = options.quick
    report = Report("scaling", "How a study scales", quick=quick)
    settings, sizes = SETTINGS | {"time": TIMES[quick]}, SIZES[quick]
    sizes = replace(sizes, runs=options.rounds or sizes.runs)
    folder = Path(tempfile.mkdtemp(prefix="romflow-scaling-"))
    try:
        for name in ("store", "flow"):
            (folder / name).mkdir()
        store = measure_store(folder / "store", settings, sizes.stored)
        chunks, flow = measure_flow(folder / "flow", settings, sizes, SIDE_BY_SIDE)
        frame = frame_seconds(sizes.frames)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    slurm, submitted, theirs = with_slurm(settings, sizes, quick=quick)
    costs = costs_of(chunks, store, flow, frame, slurm)
    tell_costs(report, costs, {
        "speeds": "Speed of each of 1, 2, ... chunks side by side on this machine's "
        f"{cores()} cores, over that of one alone: {', '.join(f'{s:.3f}' for s in chunks.speeds)}. "
        f"The waiting flow with its server needs {flow.load:.3f} cores.",
        "store": f"A sample takes {store.bytes_each / 1e3:.0f} kB on the disk; its commit "
        f"{1e3 * store.alone:.1f} ms if nobody else commits.",
        "stream": f"Frames of {4 * FRAME_VALUES / 1e3:.0f} kB, as from another machine.",
        "slurm": "" if slurm else "No Slurm here, or a quick run: its delays are taken as none.",
    })  # fmt: skip
    points = validate(costs, chunks.speeds, "flow here", flow.runs, sizes, flow.load)
    if theirs is not None:
        known = costs_of(theirs, store, flow, frame, slurm)
        points += validate(known, theirs.speeds, "submitted", submitted, sizes)
    tell_points(report, points, _about(sizes))
    curves = predict(costs, PREDICTED[quick])
    tell_predictions(report, curves, PREDICTED[quick])
    name = "scaling-quick.png" if quick else "scaling.png"
    draw(points, curves, ROOT / "results" / name)
    report.note(f"![Real runs beside their predictions; predicted efficiency]({name})")
    set_targets(report, curves)
    return report.finish()


def with_slurm(
    settings: dict[str, Any], sizes: Sizes, *, quick: bool
) -> tuple[Delays | None, dict[int, list[float]], ChunkCosts | None]:
    """Measure Slurm and submitted studies, if a Slurm can be brought up; a quick run does not.

    Bare chunks are measured in turn with the studies: what disturbs hits both alike.
    """
    if quick or not is_possible():
        return None, {}, None
    bare: list[Bare] = []
    times: dict[int, list[float]] = {workers: [] for workers in SIDE_BY_SIDE}
    with site("romflow-scaling-") as place:
        delays = measure_delays(place, sizes.turns, sizes.crowd)
        warm_up(place.folder, settings)
        for turn in range(sizes.runs):
            bare.append(one_round(place.folder, settings, turn, sizes.chunk_samples))
            for workers, found in times.items():
                name = f"sub{workers}-{turn}"
                found.append(
                    time_submitted(place, settings, name, sizes.samples, sizes.chunk, workers)
                )
    return delays, times, chunk_costs(bare)


def validate(
    costs: Costs,
    speeds: tuple[float, ...],
    way: str,
    runs: dict[int, list[float]],
    sizes: Sizes,
    load: float = 0.0,
) -> list[Point]:
    """Predict what was run here: all chunks share this machine's cores, but for a load of some."""
    study, place = Study(sizes.samples, sizes.chunk), shared_place(speeds, load)
    found = []
    for workers, measured in runs.items():
        phases = [
            simulate(costs, WAYS[way], study, workers, place, seed).phase for seed in range(DRAWS)
        ]
        found.append(Point(way, workers, tuple(measured), fmean(phases)))
    return found


def predict(costs: Costs, study: Study) -> list[Curve]:
    """Predict all ways on nodes of their own, for samples as measured and for long ones."""
    mean = fmean(costs.samples)
    long = replace(costs, samples=tuple(LONG / mean * s for s in costs.samples))
    found = []
    for workload, chosen in ((f"{mean:.2g} s", costs), (f"{LONG:.0f} s", long)):
        for way in ("flow on Slurm", "submitted", "online, flow on Slurm"):
            outcomes = tuple(one(chosen, way, study, nodes) for nodes in NODES)
            found.append(Curve(way, workload, outcomes))
    return found


def one(costs: Costs, way: str, study: Study, nodes: int) -> Outcome:
    """Predict one number of nodes; all samples must be committed there, and in no less time."""
    outcome = simulate(costs, WAYS[way], study, nodes, own_places)
    assert outcome.committed == study.samples, "every sample is committed once"
    assert outcome.phase > 0.9 * ideal(costs, study, nodes), "nodes are no faster than alone"
    return outcome


def own_places(events: Events) -> Any:
    """Return what gives each chunk a node of its own."""

    def place_of(_number: int) -> Place:
        return Own(events)

    return place_of


def set_targets(report: Report, curves: Sequence[Curve]) -> None:
    """Below 1000 nodes neither Prefect nor the store may be what is full."""
    for workload in dict.fromkeys(curve.workload for curve in curves):
        mine = [c for c in curves if c.workload == workload and "online" not in c.way]
        outcomes = [o for c in mine for o in c.outcomes if o.nodes == 1000]
        for name, word in (("Prefect", "prefect"), ("store", "store")):
            worst = max(outcome.loads().get(name, 0.0) for outcome in outcomes)
            sample = workload.replace(" ", "")
            report.at_most(f"{word}_load_1000_nodes_{sample}", worst, 1.0)


def _options() -> argparse.Namespace:
    """Read the command line, and go on with one thread."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="smaller sizes, under a minute")
    parser.add_argument("--rounds", type=int, help="of bare chunks and real runs, in turn")
    options = parser.parse_args()
    if one_thread() != dict(os.environ):  # as in `_report.arguments`
        os.execve(sys.executable, sys.orig_argv, one_thread())
    return options


def _about(sizes: Sizes) -> str:
    return (
        f"{sizes.samples} samples in chunks of {sizes.chunk}, on this machine's {cores()} cores; "
        "seconds from the first chunk's turn to the end of the flow of chunks, or of the last "
        "chunk in Slurm. Chunks side by side share the cores, at the speeds above; more chunks "
        "than cores share them evenly."
    )


if __name__ == "__main__":
    sys.exit(main())
