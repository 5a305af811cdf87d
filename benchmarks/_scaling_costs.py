"""All costs that `scaling` needs, measured here, and how the model's parts follow from them."""

import json
import math
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from _online_pair import Pair
from _report import ROOT, cores, one_thread
from _scaling_chunks import ChunkCosts, chunk_costs, write_study
from _scaling_engine import Events, Place, Shared
from _scaling_model import Costs
from _scaling_slurm import Delays
from _scaling_store import StoreCosts

__all__ = ["FRAME_VALUES", "FlowCosts", "Sizes", "costs_of", "frame_seconds", "measure_flow",
           "shared_place"]  # fmt: skip

# Frames of 40 kB, the smallest of the benchmark of the stream.
FRAME_VALUES = 10_000


@final
@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes
    ----------
    chunk_samples : of each chunk that runs bare
    stored : samples of the small and the large dataset
    crowds : chunks of the flows without jobs, from few to many
    load_seconds : for which the waiting flow is watched
    frames : through the stream
    samples, chunk : of the validating study
    runs : how often it is run with each number of chunks side by side, and chunks run bare
    turns, crowd : empty jobs in Slurm, one after another and at once
    """

    chunk_samples: int
    stored: tuple[int, int]
    crowds: tuple[int, int, int]
    load_seconds: float
    frames: int
    samples: int
    chunk: int
    runs: int
    turns: int
    crowd: int


@final
@dataclass(frozen=True)
class FlowCosts:
    """Seconds of Prefect's flow, and the real runs that validate the model.

    Attributes
    ----------
    flow : start and end of a flow of chunks
    task, crowd : each chunk; what it takes more for each chunk that is open in the flow
    load : cores that flow and server need while they wait
    runs : seconds of the real chunks, by their number side by side
    """

    flow: float
    task: float
    crowd: float
    load: float
    runs: dict[int, list[float]]


def measure_flow(
    folder: Path, settings: dict[str, Any], sizes: Sizes, side_by_side: tuple[int, ...]
) -> tuple[ChunkCosts, FlowCosts]:
    """Measure flow and bare chunks in a process of its own, and run real studies there, in turn."""
    rounds = [
        {workers: str(write_study(folder, settings, f"real{number}-{workers}", sizes.samples,
                                  chunk_size=sizes.chunk, workers=workers))
         for workers in side_by_side}
        for number in range(sizes.runs)
    ]  # fmt: skip
    given = {"crowds": sizes.crowds, "load_seconds": sizes.load_seconds, "settings": settings,
             "chunk_samples": sizes.chunk_samples, "rounds": rounds}  # fmt: skip
    found = _in_a_flow(folder, given)
    runs = {k: [r["runs"][str(k)] for r in found["rounds"]] for k in side_by_side}
    chunks = chunk_costs([one["bare"] for one in found["rounds"]])
    return chunks, FlowCosts(*_fit(found["crowds"]), found["load"], runs)


def _in_a_flow(folder: Path, given: dict[str, Any]) -> dict[str, Any]:
    """Have the worker do what is given, and return what it measured."""
    tasks, result = folder / "tasks.json", folder / "result.json"
    tasks.write_text(json.dumps(given))
    environment = {k: v for k, v in one_thread().items() if not k.startswith("PREFECT_")}
    done = subprocess.run(
        [sys.executable, str(ROOT / "_scaling_flow.py"), str(tasks), str(result)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"the flow ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    found: dict[str, Any] = json.loads(result.read_text())
    return found


def _fit(crowds: list[tuple[int, float]]) -> tuple[float, float, float]:
    r"""Return F, a, b of :math:`T(n) = F + n (a + b n)` through three points; b is not negative."""
    (few, t_few), (some, t_some), (many, t_many) = crowds
    each = [(t_some - t_few) / (some - few), (t_many - t_few) / (many - few)]
    crowd = max((each[1] - each[0]) / (many - some), 0.0)
    task = max(each[0] - crowd * (some + few), 0.0)
    return max(t_few - few * (task + crowd * few), 0.0), task, crowd


def frame_seconds(frames: int) -> float:
    """Return the trainer's seconds for each frame of `FRAME_VALUES`, as from another machine."""
    # They load PyTorch; processes that only need the costs' names are quicker without it.
    from _online_carriers import warm_up
    from _online_own import our_client, our_reading_server

    total = frames + warm_up(FRAME_VALUES)
    folder = Path(tempfile.mkdtemp(prefix="romflow-stream-"))
    values: dict[str, Any] = {"folder": folder, "n_values": FRAME_VALUES, "frames": total}
    try:
        with Pair() as pair:
            client, server = pair.run(
                (our_client, {**values, "shared": False}), (our_reading_server, values)
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return float(server.ended - client.began) / frames


def costs_of(
    chunks: ChunkCosts, store: StoreCosts, flow: FlowCosts, frame: float, slurm: Delays | None
) -> Costs:
    """Put together what was measured."""
    costs = Costs(
        samples=chunks.samples,
        startup=chunks.startup,
        idle=chunks.idle,
        opening=store.opening,
        ending=chunks.ending,
        store=store.shared,
        looking=store.looking,
        flow=flow.flow,
        task=flow.task,
        crowd=flow.crowd,
        frame=frame,
        prepare=store.prepare[0],
        prepare_each=store.prepare[1],
        publish=store.publish[0],
        publish_each=store.publish[1],
    )
    if slurm is None:
        return costs
    return replace(
        costs,
        element=slurm.element,
        controller=slurm.each,
        first=slurm.first,
        cadence=slurm.cadence,
    )


def shared_place(speeds: tuple[float, ...], load: float) -> Any:
    """Return what makes all places one machine: this one, without the cores that the flow needs."""
    free = max(cores() - load, math.ulp(1.0))

    def make(events: Events) -> Any:
        machine = Shared(events, speeds, free)

        def place_of(_number: int) -> Place:
            return machine

        return place_of

    return make
