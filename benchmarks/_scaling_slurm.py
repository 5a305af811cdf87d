"""What Slurm costs: starts, its cadence, the work around a chunk; and submitted studies, timed."""

import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any, final

from _report import middle
from _scaling_chunks import write_study
from _slurm_site import Site, site

__all__ = ["Delays", "measure_delays", "time_submitted"]

# It writes when it began and when it is over.
_STAMP = (
    "date +%s.%N > {folder}/$SLURM_ARRAY_TASK_ID.begin; "
    "date +%s.%N > {folder}/$SLURM_ARRAY_TASK_ID.end"
)
# Of each virtual node, so that a crowd need not wait for one.
_MANY_CPUS = 128


@final
class Delays:
    """Seconds.

    Attributes
    ----------
    first : from sbatch to the job's first line, in the mean
    cadence : between two times at which Slurm starts elements that wait in their array
    each : of the whole Slurm, and of the jobs, for each job of a crowd, from the first one's first
        line to the last one's last
    element : of the batch job before the MPI job: Python and what it loads
    """

    def __init__(self, first: float, cadence: float, each: float, element: float) -> None:
        self.first, self.cadence, self.each, self.element = first, cadence, each, element


def measure_delays(place: Site, turns: int, crowd: int) -> Delays:
    """Run empty jobs: alone, one after another, and many at once on a Slurm of its own.

    Parameters
    ----------
    place : the site
    turns, crowd : numbers of jobs
    """
    waits = []
    for number in range(turns):
        begun, stamps = _array(place, f"alone{number}", 1)
        waits.append(stamps[0][0] - begun)
    _, stamps = _array(place, "turns", turns, throttle=1)
    cadence = middle([after[0] - before[0] for before, after in pairwise(stamps)])
    with site("romflow-crowd-", cpus=_MANY_CPUS) as roomy:
        _, stamps = _array(roomy, "crowd", crowd)
    each = (max(end for _, end in stamps) - stamps[0][0]) / crowd
    return Delays(fmean(waits), cadence, each, _element(place))


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
    place: Site, name: str, count: int, *, throttle: int | None = None
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
