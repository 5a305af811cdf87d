"""The training of `online_faults`: a small heat study, its flow, and the processes below it."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import psutil
from kill_resume import Bench

from surrogates.job import TrainingPaths

__all__ = ["MODULES", "Case", "Place", "processes", "start", "sweep", "wait_until"]

# Module of the jobs of each kind, as it stands on their command lines.
MODULES = {"client": "solvers", "trainer": "surrogates"}
# How long processes whose flow was killed may take to end, seconds.
_GRACE = 30.0
# To look at all processes is not free.
_POLL = 0.1


@final
@dataclass(frozen=True)
class Case:
    """How much is computed.

    Attributes
    ----------
    samples, held_out, frames
        Simulations that are trained on, those that validate, and output times of each.
    step
        Time step of the simulations, seconds; small enough that kills meet them half-way.
    chunk
        Simulations of one MPI job.
    passes
        Views of each frame.
    """

    samples: int
    held_out: int
    frames: int
    step: float
    chunk: int
    passes: int

    def settings(self, folder: Path) -> dict[str, Any]:
        """Return the training as its file has it; everything that it writes is in `folder`."""
        study = {
            "name": "plates",
            "problem": {"name": "heat", "settings": {"cells": 16}},
            "parameters": {},
            "sampling": {"samples": self.samples, "seed": 3},
            "time": {"end": 0.2, "frames": self.frames, "step": self.step},
            "run": {"ranks": 2, "chunk_size": self.chunk, "workers": 1, "retries": 2},
            "output": str(folder / "data"),
            "catalog": str(folder / "catalog"),
        }
        training = {
            "batch": 10,
            "passes": self.passes,
            "schedule": {"kind": "cosine", "floor": 0.01},
            "validation_every": 50,
            "checkpoint_every": 1.0,
            "keep_journal": True,
            "logging": {"interval": 0.1},
        }
        return {
            "name": "plates",
            "study": study,
            "validation": self.held_out,
            "model": {"name": "mlp", "mode": "direct", "settings": {"hidden": [64, 64]}},
            "reservoir": {"capacity": 400, "threshold": 20},
            "training": training,
            "output": str(folder / "models"),
        }


@final
@dataclass(frozen=True)
class Place:
    """The folder of one run.

    Attributes
    ----------
    root
        Everything of the run is below.
    """

    root: Path

    @property
    def file(self) -> Path:
        """The training's file."""
        return self.root / "training.yaml"

    @property
    def paths(self) -> TrainingPaths:
        """The trainer's files."""
        return TrainingPaths(self.root / "models" / "plates")

    @property
    def dataset(self) -> Path:
        """Samples, jobs and logs of the simulations."""
        return self.paths.run / "stream"

    def lessons(self) -> list[dict[str, Any]]:
        """Return what the trainers have told so far."""
        return events(self.paths.run / "trainer.jsonl")

    def chunks(self) -> dict[str, list[dict[str, Any]]]:
        """Return what the chunks have told so far, by number."""
        logs = sorted((self.dataset / "logs").glob("*.jsonl"))
        return {log.stem: events(log) for log in logs}


def events(log: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a log; a kill may have torn one."""
    if not log.is_file():
        return []
    found = []
    for line in log.read_text(errors="replace").splitlines():
        if line.startswith("{") and line.endswith("}"):
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
    return [event for event in found if "event" in event]


def start(bench: Bench, place: Place, case: Case) -> "subprocess.Popen[bytes]":
    """Start ``romflow run train-surrogate-online``, or again in a folder that was begun."""
    place.root.mkdir(exist_ok=True)
    place.file.write_text(json.dumps(case.settings(place.root)))  # JSON is YAML
    command = ["run", "train-surrogate-online", "--training", str(place.file)]
    with (place.root / "flow.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "flows.cli", *command],
            cwd=bench.folder,
            env=bench.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def processes(place: Place, kind: str) -> list[psutil.Process]:
    """Return the live Python processes of a run's jobs: MPI ranks, or the trainer."""
    found = []
    for process in psutil.process_iter(["cmdline", "name", "status"]):
        words = process.info["cmdline"] or []
        ours = MODULES[kind] in words and any(str(place.root) in word for word in words)
        alive = process.info["status"] != psutil.STATUS_ZOMBIE
        if ours and alive and str(process.info["name"]).startswith("python"):
            found.append(process)
    return found


def sweep(place: Place, run: "subprocess.Popen[bytes]") -> bool:
    """Wait until nothing of a run is left whose flow has ended; kill what does not go.

    Returns
    -------
    bool
        Whether all went by themselves.
    """

    def gone() -> bool:
        return run.poll() is not None and not any(processes(place, kind) for kind in MODULES)

    if wait_until(gone, _GRACE):
        return True
    run.kill()
    for kind in MODULES:
        for process in processes(place, kind):
            process.kill()
    return False


def wait_until(condition: Callable[[], Any], seconds: float) -> bool:
    """Poll until `condition` holds; return whether it did in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True
