"""What Slurm costs: starts, turnarounds, the work around a chunk; and submitted studies, timed."""

import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any, final

from _report import middle
from _scaling_chunks import write_study
from _slurm_site import Site

__all__ = ["Delays", "measure_delays", "time_submitted"]

# It writes when it began; the next one in its place cannot begin before it ends.
_STAMP = (
    "date +%s.%N > {folder}/$SLURM_ARRAY_TASK_ID.begin; "
    "date +%s.%N > {folder}/$SLURM_ARRAY_TASK_ID.end"
)


@final
class Delays:
    """Seconds.

    Attributes
    ----------
    first : from sbatch to the job's first line
    turnaround : from a job's last line to the first one of the next element in its place
    each : of the whole Slurm for each job, if as many run as can: no less than its controller's
    element : of the batch job before the MPI job: Python and what it loads
    """

    def __init__(self, first: float, turnaround: float, each: float, element: float) -> None:
        self.first, self.turnaround, self.each, self.element = first, turnaround, each, element


def measure_delays(place: Site, turns: int, crowd: int) -> Delays:
    """Run empty jobs: one after another, and as many as can.

    Parameters
    ----------
    place : the site
    turns, crowd : numbers of jobs
    """
    begun, stamps = _array(place, "turns", turns, 1)
    first = stamps[0][0] - begun
    turnaround = middle([after[0] - before[1] for before, after in pairwise(stamps)])
    begun, stamps = _array(place, "crowd", crowd, None)
    each = (max(end for _, end in stamps) - stamps[0][0]) / crowd
    return Delays(first, turnaround, each, _element(place))


def time_submitted(
    place: Site, settings: dict[str, Any], name: str, samples: int, chunk: int, nodes: int
) -> float:
    """Submit a study; return the seconds from the scripts' writing to the last chunk's end."""
    file = write_study(place.folder, settings, name, samples, chunk_size=chunk)
    place.romflow("submit", file, "--profile", place.profile(throttle=nodes))
    place.until(lambda: place.state(name)["stage"] != "running", "the last job")
    if len(place.checksums(name)) != samples:
        raise SystemExit(f"{name}: {place.state(name)['complaint']}")
    ends = [e["time"] for e in place.told(name) if e["event"] == "finished"]
    scripts = (place.root(name) / "slurm").rglob("*.sh")
    return float(max(ends)) - min(script.stat().st_mtime for script in scripts)


def _array(
    place: Site, name: str, count: int, throttle: int | None
) -> tuple[float, list[tuple[float, float]]]:
    """Run an array of empty jobs; return when it was submitted, and begin and end of each."""
    folder = place.folder / name
    folder.mkdir()
    limit = "" if throttle is None else f"%{throttle}"
    begun = time.time()
    place.slurm.output(
        "sbatch",
        f"--array=0-{count - 1}{limit}",
        "--output=/dev/null",
        f"--wrap={_STAMP.format(folder=folder)}",
    )
    place.until(lambda: len(list(folder.glob("*.end"))) == count, f"{count} empty jobs")
    place.until(lambda: not place.slurm.output("squeue", "-h").strip(), "an empty queue")
    stamps = [
        (_stamp(folder / f"{number}.begin"), _stamp(folder / f"{number}.end"))
        for number in range(count)
    ]
    return begun, sorted(stamps)


def _element(place: Site) -> float:
    """Return the seconds in which the batch job's Python is there, before the MPI job starts."""
    around = [sys.executable, "-m", "infra.cluster.element", "--help"]
    return _least(around, place.environment, Path(__file__).resolve().parents[1])


def _least(command: list[str], environment: dict[str, str], folder: Path) -> float:
    seconds = []
    for _ in range(3):
        begun = time.perf_counter()
        subprocess.run(command, env=environment, cwd=folder, check=True, capture_output=True)
        seconds.append(time.perf_counter() - begun)
    return min(seconds)


def _stamp(path: Path) -> float:
    return float(path.read_text())
