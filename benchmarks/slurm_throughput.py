"""Four chunks on two virtual Slurm nodes beside plain ``xargs -P`` over the same MPI commands.

``python benchmarks/slurm_throughput.py [--quick]``; needs root, for it brings up a Slurm of its
own. Each node takes one chunk of one rank at a time. The time of a way runs from the moment at
which its chunks are handed over (to Slurm, or to xargs) to the end of the last chunk. What the
commands do besides, a server, a mesh, statistics and a catalogue entry, is told as well, and is
not in it: xargs does nothing of the kind.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from _report import Report, arguments, middle
from _slurm_site import Site, site

from flows.plan import prepare
from flows.study import load_study
from infra.cluster import find_mpiexec

NODES, CHUNKS, EACH = 2, 4, 3
SETTINGS: dict[str, Any] = {
    "description": "Vortices.",
    "problem": {"name": "taylor-green", "settings": {"cells": 32}},
    "parameters": {"viscosity": {"low": 0.01, "high": 0.05}},
    "sampling": {"method": "sobol", "samples": CHUNKS * EACH, "seed": 3},
    "run": {"ranks": 1, "chunk_size": EACH, "workers": NODES},
}
TIMES = {
    True: {"end": 0.1, "frames": 3, "step": 0.001},
    False: {"end": 1.0, "frames": 3, "step": 0.0005},
}


@final
@dataclass(frozen=True)
class Times:
    """Seconds of one run.

    Attributes
    ----------
    chunks : from the chunks' handing over to the end of the last one
    whole : of everything that the user waits for
    """

    chunks: float
    whole: float


@final
class Ways:
    """The competitors; each run has a dataset of its own.

    Parameters
    ----------
    place : the site
    settings : of the study
    """

    def __init__(self, place: Site, settings: dict[str, Any]) -> None:
        self._place, self._settings, self._count = place, settings, 0
        self._profile = place.profile(throttle=NODES)

    def xargs(self) -> Times:
        """Run the chunks' MPI commands by xargs."""
        name, file = self._study()
        plan, begun = prepare(load_study(str(file))), time.time()
        words = [str(find_mpiexec()), "-n", "1", sys.executable, "-m", "solvers"]
        for chunk in plan.chunks:  # the command of each chunk, with its output in its log
            script = f'exec {" ".join(words)} "{chunk.job}" >> "{chunk.log}"\n'
            chunk.job.with_suffix(".sh").write_text(script)
        scripts = "\n".join(str(chunk.job.with_suffix(".sh")) for chunk in plan.chunks)
        handed = time.time()
        subprocess.run(
            ["xargs", "-P", str(NODES), "-n", "1", "sh"],
            input=scripts,
            text=True,
            check=True,
            cwd=Path(__file__).resolve().parents[1],
            env=self._place.environment,
        )
        return Times(self._last(name) - handed, time.time() - begun)

    def flow(self) -> Times:
        """Run the study by a flow that waits for its Slurm jobs."""
        name, file = self._study()
        begun = time.time()
        words = ("generate-ns-data", "--study", file, "--profile", self._profile)
        self._place.romflow("run", *words)
        return Times(self._last(name) - self._handed(name), time.time() - begun)

    def submitted(self) -> Times:
        """Submit the study and wait until its last job has published."""
        name, file = self._study()
        begun = time.time()
        self._place.romflow("submit", file, "--profile", self._profile)
        self._place.until(lambda: self._place.state(name)["stage"] != "running", "the last job")
        return Times(self._last(name) - self._handed(name), time.time() - begun)

    def _study(self) -> tuple[str, Path]:
        self._count += 1
        name = f"run{self._count}"
        return name, self._place.study(name, self._settings)

    def _last(self, name: str) -> float:
        """Return when the last chunk ended; all of them must have."""
        ends = [e["time"] for e in self._place.told(name) if e["event"] == "finished"]
        if len(ends) != CHUNKS or len(self._place.checksums(name)) != CHUNKS * EACH:
            raise SystemExit(f"{name}: expected {CHUNKS} chunks, received {len(ends)}")
        return float(max(ends))

    def _handed(self, name: str) -> float:
        """Return when the first batch script was written, which is at once given to sbatch."""
        scripts = (self._place.root(name) / "slurm").rglob("*.sh")
        return min(script.stat().st_mtime for script in scripts)


def main() -> int:
    """Run all ways in turn; return the exit code."""
    quick = arguments(__doc__ or "").quick  # one run of each way, with chunks of seconds
    report = Report("slurm_throughput", "Chunks in Slurm beside xargs", quick=quick)
    with site("romflow-throughput-", nodes=NODES, cpus=1) as place:
        ways = Ways(place, SETTINGS | {"time": TIMES[quick]})
        actions: dict[str, Callable[[], Times]] = {
            "xargs -P": ways.xargs,
            "romflow run --profile": ways.flow,
            "romflow submit": ways.submitted,
        }
        times: dict[str, list[Times]] = {name: [] for name in actions}
        for _ in range(1 if quick else 3):
            for name, action in actions.items():
                times[name].append(action())
                print(name, times[name][-1], file=sys.stderr, flush=True)
    return tell(report, times)


def tell(report: Report, times: dict[str, list[Times]]) -> int:
    """Write table and targets."""
    base = middle([t.chunks for t in times["xargs -P"]])
    rows = []
    for name, found in times.items():
        chunks, whole = middle([t.chunks for t in found]), middle([t.whole for t in found])
        spread = f"{min(t.chunks for t in found):.1f} to {max(t.chunks for t in found):.1f}"
        rows.append([name, f"{chunks:.1f}", spread, f"{base / chunks:.3f}", f"{whole:.1f}"])
    report.note(
        f"{CHUNKS} chunks of {EACH} samples, {NODES} nodes with one processor each; medians of "
        f"{len(times['xargs -P'])} runs in turn. A chunk takes about {base * NODES / CHUNKS:.0f} s."
    )
    report.table(
        ["way", "chunks, s", "least to largest", "of xargs' throughput", "whole command, s"], rows
    )
    slowest = max(middle([t.chunks for t in found]) for found in times.values())
    report.at_least("slurm_over_xargs", base / slowest, 0.9)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
