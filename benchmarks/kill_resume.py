"""Kill -9 something at a random moment, run again: every sample once, and the same bits.

``python benchmarks/kill_resume.py [--quick] [--seeds 0 1 2]``. Each seed draws a victim (an MPI
rank, the mpiexec, the flow's process, Prefect's worker) and a moment, on a real server and a real
worker. Victims take turns, so that 4 seeds have all of them.
"""

import argparse
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from _report import Report

from infra.zarr_store import open_store

VICTIMS = ("rank", "mpiexec", "flow", "worker")
SETTINGS = {
    "name": "killed",
    "problem": {"name": "taylor-green", "settings": {"cells": 24}},
    "parameters": {"viscosity": {"low": 0.01, "high": 0.05}},
    "sampling": {"method": "sobol", "samples": 4, "seed": 3},
    "time": {"end": 1.0, "frames": 11, "step": 0.005},
    "run": {"ranks": 2, "chunk_size": 2, "workers": 1, "retries": 2},
}
ROMFLOW = [sys.executable, "-m", "flows.cli"]


@dataclass(frozen=True)
class Outcome:
    """What became of one seed; `fault` is empty if all is as it should be."""

    seed: int
    victim: str
    moment: float
    committed_before: int
    reruns: int
    fault: str


class Bench:
    """A folder with services of its own.

    Parameters
    ----------
    folder : temporary folder
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}

    def romflow(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of romflow to its end."""
        return subprocess.run(
            [*ROMFLOW, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def study(self, name: str) -> Path:
        """Write the study with an output folder of its own."""
        places = {"output": str(self.folder / name), "catalog": str(self.folder / name / "catalog")}
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps(SETTINGS | places))  # JSON is YAML
        return path

    def up(self) -> None:
        """Start server and worker."""
        done = self.romflow("up", "--port", str(self.port))
        if done.returncode:
            raise SystemExit(f"romflow up ended with {done.returncode}: {done.stderr}")

    def services(self) -> dict[str, Any]:
        """Return what `romflow up` noted."""
        found: dict[str, Any] = json.loads((self.folder / ".romflow/services.json").read_text())
        return found

    def start(self, study: Path, victim: str) -> "subprocess.Popen[bytes]":
        """Start a run: by the worker if that one is to be killed, else in a process of its own."""
        command = [*ROMFLOW, "run", "generate-ns-data", "--study", str(study)]
        environment = self.environment
        if victim == "worker":
            parameters = f"study={study.read_text()}"
            command = [sys.executable, "-m", "prefect", "deployment", "run"]
            command += ["generate-ns-data/local", "--param", parameters]
            environment = environment | {"PREFECT_API_URL": self.services()["url"]}
        log = (self.folder / f"{study.stem}.log").open("wb")
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )


def solvers_of(dataset: Path) -> list[psutil.Process]:
    """Return all processes that work on a dataset: ranks, mpiexec and its proxies."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(str(dataset) in part for part in process.info["cmdline"] or [])
    ]


def wait_for(condition: Any, seconds: float, what: str) -> None:
    """Poll until `condition` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.02)


def find_victim(
    victim: str, run: "subprocess.Popen[bytes]", bench: Bench, dataset: Path, draw: random.Random
) -> psutil.Process | None:
    """Return the process to kill, None if it is gone already."""
    if victim == "flow":
        return psutil.Process(run.pid) if run.poll() is None else None
    if victim == "worker":
        return psutil.Process(bench.services()["worker"])
    names = {"mpiexec": ("mpiexec",), "rank": ("python",)}[victim]
    family = [p for p in solvers_of(dataset) if p.is_running() and p.name().startswith(names)]
    return draw.choice(family) if family else None


def one_seed(seed: int, bench: Bench, expected: dict[int, Any], span: float) -> Outcome:
    """Run, kill, run again, compare."""
    draw = random.Random(seed)
    victim, moment = VICTIMS[seed % len(VICTIMS)], draw.uniform(0.0, span)
    study = bench.study(f"seed{seed}")
    dataset = bench.folder / f"seed{seed}" / SETTINGS["name"]
    run = bench.start(study, victim)
    wait_for(lambda: solvers_of(dataset) or run.poll() not in (None, 0), 120, "the first MPI job")
    time.sleep(moment)  # the random moment itself
    target = find_victim(victim, run, bench, dataset, draw)
    before = len(list((dataset / "commits").glob("*.json")))
    if target is not None:
        target.kill()
    code = run.wait()
    if victim == "flow":
        wait_for(lambda: not solvers_of(dataset), 30, "the end of the MPI job of a killed flow")
    reruns = 0
    if victim in ("flow", "worker") or code:
        reruns = 1
        again = bench.romflow("run", "generate-ns-data", "--study", str(study))
        code = again.returncode
    wait_for(lambda: not solvers_of(dataset), 60, "the end of all MPI jobs")
    fault = "" if code == 0 else f"the rerun ended with code {code}"
    if victim == "worker":
        bench.up()
    return Outcome(seed, victim, moment, before, reruns, fault or compare(dataset, expected))


def compare(dataset: Path, expected: dict[int, Any]) -> str:
    """Say how a dataset differs from the uninterrupted one; empty if it does not."""
    store = open_store(dataset)
    found = {index: dict(store.record(index).checksums) for index in store.committed()}
    if found != expected:
        return f"committed {sorted(found)} with other data than expected"
    for index in found:
        store.verify(index)
    commits: Counter[int] = Counter()
    for log in (dataset / "logs").glob("*.jsonl"):
        for line in log.read_text().splitlines():
            event = json.loads(line) if line.startswith("{") and line.endswith("}") else {}
            commits[event.get("sample", -1)] += event.get("event") == "committed"
    twice = [index for index, count in commits.items() if count > 1]
    left = list((dataset / "staging").iterdir())
    return f"committed twice: {twice}" if twice else (f"left in staging: {left}" if left else "")


def reference(bench: Bench) -> tuple[dict[int, Any], float]:
    """Run without a kill; return checksums by sample, and the seconds that its jobs took."""
    study = bench.study("reference")
    done = bench.romflow("run", "generate-ns-data", "--study", str(study))
    if done.returncode:
        raise SystemExit(f"the uninterrupted run ended with {done.returncode}: {done.stderr}")
    store = open_store(bench.folder / "reference" / SETTINGS["name"])
    lines = [
        json.loads(line)
        for log in (bench.folder / "reference" / SETTINGS["name"] / "logs").glob("*.jsonl")
        for line in log.read_text().splitlines()
    ]
    span = max(e["time"] for e in lines) - min(e["time"] for e in lines)
    return {i: dict(store.record(i).checksums) for i in store.committed()}, span


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the first three seeds")
    parser.add_argument("--seeds", type=int, nargs="*", help="default: 0 to 19")
    options = parser.parse_args()
    seeds = options.seeds or list(range(3 if options.quick else 20))
    made = Report("kill_resume", "Killed and run again", quick=options.quick)
    folder = Path(tempfile.mkdtemp(prefix="romflow-kill-"))
    bench = Bench(folder)
    try:
        bench.up()
        expected, span = reference(bench)
        outcomes = [one_seed(seed, bench, expected, span) for seed in seeds]
    finally:
        bench.romflow("down")
        shutil.rmtree(folder, ignore_errors=True)
    return report(made, outcomes, span)


def report(made: Report, outcomes: list[Outcome], span: float) -> int:
    """Write the table; return the exit code."""
    good = sum(not o.fault for o in outcomes)
    made.note(f"Four samples in two chunks of two ranks; an uninterrupted run takes {span:.1f} s.")
    rows = [
        [o.seed, o.victim, f"{o.moment:.2f}", o.committed_before, o.reruns, o.fault or "equal"]
        for o in outcomes
    ]
    made.table(["seed", "victim", "after s", "committed then", "reruns", "result"], rows)
    made.at_least("equal_after_kill", float(good), float(len(outcomes)))
    return made.finish()


if __name__ == "__main__":
    sys.exit(main())
