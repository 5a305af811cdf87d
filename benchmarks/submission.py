"""Submitting 10 000 samples to a real Slurm: seconds, and calls to Slurm then and afterwards.

``python benchmarks/submission.py [--quick]``; needs root, for it brings up a Slurm of its own. Its
commands stand behind scripts that note the time of each call, whoever calls: the command line, a
flow, or a job on a node. Submissions are timed as a user would, from the command to its end.
"""

import itertools
import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

from _report import Report, arguments, middle
from _slurm_site import Site, site

__all__ = ["main"]

SAMPLES, MINUTE = 10_000, 60.0
COMMANDS = ("sbatch", "squeue", "scancel", "sinfo", "scontrol", "sacct", "srun")
SETTINGS: dict[str, Any] = {
    "description": "Small Poisson problems.",
    "problem": {"name": "poisson", "settings": {"cells": 8}},
    "sampling": {"method": "sobol", "samples": SAMPLES, "seed": 3},
    "run": {"ranks": 1, "chunk_size": 2},
}


@final
class Calls:
    """Puts a script before each command of Slurm, which notes when it is called.

    Parameters
    ----------
    place : whose commands find these scripts first
    """

    def __init__(self, place: Site) -> None:
        self._file = place.folder / "calls"
        self._file.touch()
        folder = place.folder / "bin"
        folder.mkdir()
        for name in COMMANDS:
            self._write(folder / name)
        place.environment["PATH"] = f"{folder}:{place.environment['PATH']}"

    def names(self) -> Counter[str]:
        """Return how often each command was called."""
        return Counter(line.split()[1] for line in self._file.read_text().splitlines())

    def most(self, since: float) -> int:
        """Return the largest number of calls in any minute from a moment on."""
        lines = self._file.read_text().splitlines()
        times = sorted(t for t in (float(line.split()[0]) for line in lines) if t >= since)
        return max((_until(times, t + MINUTE) - i for i, t in enumerate(times)), default=0)

    def _write(self, path: Path) -> None:
        real = shutil.which(path.name)
        if real is None:
            raise SystemExit(f"{path.name}: expected on PATH, received none; install Slurm")
        note = f'echo "$(date +%s.%N) {path.name}" >> {self._file}'
        path.write_text(f'#!/bin/sh\n{note}\nexec {real} "$@"\n')
        path.chmod(0o755)


def _until(times: Sequence[float], end: float) -> int:
    """Return how many of the times, in order, are before `end`."""
    return sum(1 for _ in itertools.takewhile(lambda t: t < end, times))


def submissions(place: Site, calls: Calls, size: int, repeats: int) -> tuple[list[float], int]:
    """Submit the study some times, each to a new folder.

    Parameters
    ----------
    place, calls : the site
    size : samples of a chunk
    repeats : how often

    Returns
    -------
    seconds, calls
        Of each submission, and the calls of one of them.
    """
    seconds = []
    for turn in range(repeats):
        name = f"many-{size}-{turn}"
        study = place.study(name, {**SETTINGS, "run": {"ranks": 1, "chunk_size": size}})
        before, begun = calls.names().total(), time.perf_counter()
        place.romflow("submit", study, "--profile", place.profile())
        seconds.append(time.perf_counter() - begun)
        count = calls.names().total() - before
        place.romflow("cancel", place.root(name))
        place.until(lambda: not place.slurm.output("squeue", "-h"), "an empty queue")
    return seconds, count


def afterwards(place: Site, calls: Calls, samples: int, seconds: float) -> int:
    """Let a submitted study run and look at it every ten seconds; return the calls in a minute."""
    sampling = {**SETTINGS["sampling"], "samples": samples}
    study = place.study("after", {**SETTINGS, "sampling": sampling})
    place.romflow("submit", study, "--profile", place.profile())
    since = time.time()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        place.romflow("status", place.root("after"))
        time.sleep(min(10.0, seconds))
    most = calls.most(since)
    place.romflow("cancel", place.root("after"))
    place.until(lambda: not place.slurm.output("squeue", "-h"), "an empty queue")
    return most


def in_a_flow(place: Site, calls: Calls, chunks: int) -> int:
    """Run a flow that waits for many short jobs; return the most calls in a minute."""
    small = {"method": "sobol", "samples": chunks, "seed": 3}
    settings = {**SETTINGS, "sampling": small, "run": {"ranks": 1, "chunk_size": 1}}
    study = place.study("flow", settings)
    since = time.time()
    words = ("run", "generate-poisson-data", "--study", study, "--profile", place.profile())
    place.romflow(*words)
    return calls.most(since)


def main() -> int:
    """Measure submissions, and count calls."""
    quick = arguments(__doc__).quick
    report = Report("submission", "Submission of 10 000 samples", quick=quick)
    repeats, sizes = (1, (2,)) if quick else (3, (2, 1, 20))
    with site("submission-") as place:
        calls = Calls(place)
        rows = []
        for size in sizes:
            seconds, count = submissions(place, calls, size, repeats)
            rows.append([size, SAMPLES // size, middle(seconds), max(seconds), count])
        report.section("The command `romflow submit`")
        head = ["samples of a chunk", "chunks", "s, median", "s, largest", "calls to Slurm"]
        report.table(head, rows)
        report.note(
            f"{SAMPLES} samples, {repeats} runs each, every one to a new folder. Default: 2 "
            "samples a chunk. Slurm takes up to 1000 chunks in one call."
        )
        after = afterwards(place, calls, *((1000, 5.0) if quick else (SAMPLES, 75.0)))
        flow = in_a_flow(place, calls, 4 if quick else 60)
    report.section("Calls to Slurm in any minute afterwards")
    report.table(
        ["what goes on", "most calls in a minute"],
        [
            ["a submitted study, looked at with `romflow status` every 10 s", after],
            ["a flow that waits for its jobs", flow],
        ],
    )
    report.at_most("submission_10000", float(rows[0][2]), 10.0)
    report.at_most("slurm_calls_per_minute", max(after, flow), 50)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
