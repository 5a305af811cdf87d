"""What chunks cost: their start, their samples one by one, their end, alone and side by side."""

import json
import resource
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, final

import numpy as np
from _report import cores

from flows.plan import Chunk, prepare
from flows.study import load_study
from infra.cluster import LocalCluster

__all__ = ["Bare", "ChunkCosts", "chunk_costs", "one_round", "warm_up", "write_study"]

# The chunks of a round as values of JSON.
type Bare = list[list[dict[str, Any]]]


@final
@dataclass(frozen=True)
class ChunkCosts:
    """Seconds.

    Attributes
    ----------
    samples : from one commit to the next, the first of a chunk left out
    startup : from the job's start to where the first sample begins; its set-up is in it
    idle : of that, the time in which no processor works for the job
    ending : from the last commit to the end of the job
    speeds : of each of 1, 2, ... jobs side by side, one for each core, over that of one alone, from
        start to end
    """

    samples: tuple[float, ...]
    startup: float
    idle: float
    ending: float
    speeds: tuple[float, ...]


@final
@dataclass(frozen=True)
class _Timed:
    """One chunk."""

    samples: tuple[float, ...]
    startup: float
    idle: float
    ending: float
    seconds: float


def warm_up(folder: Path, settings: dict[str, Any]) -> None:
    """Run a first chunk: it compiles its forms."""
    _side_by_side(_chunks(folder, settings, "warm", 2, 1))


def one_round(folder: Path, settings: dict[str, Any], number: int, samples: int) -> Bare:
    """Run bare chunks, without any flow: each alone, then 2, ... side by side, one for each core.

    Parameters
    ----------
    folder, settings : of the study, without samples and places
    number : of the round
    samples : of each chunk; all runs have the same ones, for samples differ in what they cost

    Returns
    -------
    list of list of dict
        For each number of chunks side by side the chunks, with the fields of `ChunkCosts`.
    """
    found = []
    for count in range(1, cores() + 1):
        chunks = _chunks(folder, settings, f"bare{number}-{count}", samples, cores())
        groups = [chunks[:count]] if count > 1 else [(chunk,) for chunk in chunks]
        found.append([asdict(timed) for group in groups for timed in _side_by_side(group)])
    return found


def chunk_costs(rounds: Sequence[Bare]) -> ChunkCosts:
    """Put the rounds together."""
    alone = [chunk for bare in rounds for chunk in bare[0]]
    each = [seconds for chunk in alone for seconds in chunk["samples"]]
    speeds = [1.0]
    for place in range(1, len(rounds[0])):
        slowed = [chunk["seconds"] - chunk["idle"] for bare in rounds for chunk in bare[place]]
        same = [c["seconds"] - c["idle"] for bare in rounds for c in bare[0][: place + 1]]
        speeds.append(min(fmean(same) / fmean(slowed), 1.0))
    return ChunkCosts(
        samples=tuple(each),
        startup=fmean(chunk["startup"] for chunk in alone),
        idle=fmean(chunk["idle"] for chunk in alone),
        ending=fmean(chunk["ending"] for chunk in alone),
        speeds=tuple(speeds),
    )


def write_study(
    folder: Path, settings: dict[str, Any], name: str, samples: int, **run: Any
) -> Path:
    """Write a study that puts everything below the folder; return its file."""
    data = {
        **settings,
        "name": name,
        "sampling": {**settings["sampling"], "samples": samples},
        "run": {**settings["run"], **run},
        "output": str(folder / "out"),
        "catalog": str(folder / "catalog"),
    }
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(data))  # JSON is YAML
    return path


def _events(log: Path) -> list[dict[str, Any]]:
    """Return what a chunk has told."""
    lines = [line for line in log.read_text().splitlines() if line.startswith("{")]
    return [json.loads(line) for line in lines]


def _chunks(
    folder: Path, settings: dict[str, Any], name: str, samples: int, count: int
) -> tuple[Chunk, ...]:
    """Prepare a study of so many chunks, each of so many samples."""
    file = write_study(folder, settings, name, samples * count, chunk_size=samples)
    return prepare(load_study(str(file))).chunks


def _side_by_side(chunks: Sequence[Chunk]) -> list[_Timed]:
    """Run chunks at once."""
    spans: list[tuple[float, float]] = [(0.0, 0.0)] * len(chunks)

    def run(place: int) -> None:
        begun = time.time()
        result = LocalCluster().run(["solvers", str(chunks[place].job)], 1, chunks[place].log)
        if result.code:
            raise SystemExit(f"{chunks[place].log}: code {result.code}: {result.errors}")
        spans[place] = (begun, time.time())

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(chunks))]
    before = _processor()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    each = (_processor() - before) / len(chunks)
    return [_timed(chunk, span, each) for chunk, span in zip(chunks, spans, strict=True)]


def _processor() -> float:
    """Return the processor seconds of all jobs that have ended, with all that they started."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _timed(chunk: Chunk, span: Sequence[float], processor: float) -> _Timed:
    """Put a chunk's times together; samples are taken to keep a processor busy, if alone."""
    commits = [e["time"] for e in _events(chunk.log) if e["event"] == "committed"]
    if len(commits) != len(chunk.samples):
        raise SystemExit(f"{chunk.log}: expected {len(chunk.samples)} commits, received {commits}")
    each = np.diff(commits)
    startup = max(commits[0] - span[0] - float(np.median(each)), 0.0)
    idle = min(max(span[1] - span[0] - processor, 0.0), startup)
    ending = max(span[1] - commits[-1], 0.0)
    return _Timed(tuple(map(float, each)), startup, idle, ending, span[1] - span[0])
