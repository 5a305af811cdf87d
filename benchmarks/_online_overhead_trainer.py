"""A real trainer beside a solver under test: which simulations, and the process."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, final

from _online_pair import core_of
from _report import one_thread

from flows.online_plan import OnlinePlan, prepare_online
from flows.online_study import OnlineStudy
from infra.errors import UserError
from infra.streaming.frames import StreamSpec, stream_spec
from infra.streaming.rendezvous import Rendezvous
from infra.zarr_store import open_store

__all__ = ["HELD_OUT", "Case", "Trainer", "cylinder", "heat"]

HELD_OUT = 2
_PATIENCE = 120.0


@final
@dataclass(frozen=True)
class Case:
    """Simulations under test.

    Attributes
    ----------
    name : short name
    problem, time : as in a study
    samples : simulations that are counted; another one comes before
    parameters : as in a study
    """

    name: str
    problem: dict[str, Any]
    time: dict[str, Any]
    samples: int
    parameters: dict[str, Any] = field(default_factory=dict)

    def study(self, folder: Path) -> dict[str, Any]:
        """Return the study, with everything in a folder."""
        planned = self.samples + 1
        return {
            "name": "simulations",
            "problem": self.problem,
            "parameters": self.parameters,
            "sampling": {"samples": planned, "seed": 3},
            "time": self.time,
            "run": {"ranks": 1, "chunk_size": planned, "workers": 1},
            "output": str(folder),
            "catalog": str(folder / "catalog"),
        }


def heat(samples: int) -> Case:
    """Return the papers' case on a laptop: 10^4 values, 100 steps, each one a frame."""
    problem = {"name": "heat", "settings": {"cells": 99}}
    return Case("heat", problem, {"end": 1.0, "frames": 101, "step": 0.01}, samples)


def cylinder(samples: int, *, quick: bool) -> Case:
    """Return a flow around a cylinder from rest, with about four steps for each frame."""
    size = {"size": 0.03, "far_size": 0.1} if quick else {"size": 0.014, "far_size": 0.04}
    times = {"end": 0.2, "frames": 11 if quick else 21, "cfl": 1.0}
    problem = {"name": "cylinder", "settings": size}
    return Case("cylinder", problem, times, samples, {"reynolds": {"low": 80.0, "high": 200.0}})


@final
class Trainer:
    """A trainer process on the second core, started as the flow starts it.

    Parameters
    ----------
    case : what is simulated
    folder, name : where its run folder is
    training : settings
    """

    def __init__(self, case: Case, folder: Path, name: str, **training: Any) -> None:
        capacity = (case.samples + 1) * case.time["frames"]
        self.training = OnlineStudy.model_validate(
            {
                "name": name,
                "study": case.study(folder),
                "validation": HELD_OUT,
                "model": {"name": "mlp", "settings": {"hidden": (256, 256)}},
                # It is to be at work from the first sample on.
                "reservoir": {"capacity": capacity, "threshold": 10},
                "training": {"batch": 10, **training},
                "output": str(folder),
            }
        )
        self.plan: OnlinePlan = prepare_online(self.training)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        core = core_of(1)
        with self.plan.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "surrogates", str(self.plan.job)],
                stdout=log,
                stdin=subprocess.DEVNULL,
                env=one_thread(),
                preexec_fn=lambda: os.sched_setaffinity(0, {core}),
            )
        deadline = time.monotonic() + _PATIENCE
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"no trainer came; see {self.plan.log}")
            time.sleep(0.05)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        """Number of the process."""
        assert self._process is not None, "it was started"
        return self._process.pid

    @property
    def chunk(self) -> Path:
        """The chunk of its simulations."""
        return self.plan.simulations.chunks[-1].job

    @property
    def spec(self) -> StreamSpec:
        """What is streamed to it."""
        return stream_spec(open_store(self.plan.simulations.root).description)

    @property
    def events(self) -> Counter[str]:
        """How often each event is in its log."""
        lines = self.plan.log.read_text().splitlines()
        return Counter(json.loads(line)["event"] for line in lines if line.endswith("}"))

    @property
    def spooled(self) -> int:
        """Bytes that wait for it on disk."""
        total = 0
        for path in self.training.paths.spool.glob("*.spool"):
            with suppress(FileNotFoundError):
                total += path.stat().st_size
        return total

    def _listens(self) -> bool:
        with suppress(UserError):
            return bool(Rendezvous.read(self.plan.rendezvous).endpoints)
        return False
