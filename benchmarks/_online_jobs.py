"""Jobs of a contest: processes on cores of their own, and what trainers say of their errors."""

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, final

from _report import ROOT, one_thread

from infra.cluster import find_mpiexec

__all__ = ["Curve", "Jobs", "events", "mpi", "script"]

_TAIL = 2000
# Seconds between two looks at the processes; the trainers' own clocks are what counts.
_LOOK = 0.05


def script(name: str, *arguments: object) -> list[str]:
    """Return the command of a script of this folder."""
    return [sys.executable, str(ROOT / name), *map(str, arguments)]


def mpi(command: Sequence[str]) -> list[str]:
    """Return the command on one MPI rank."""
    return [str(find_mpiexec()), "-n", "1", *command]


@final
class Jobs:
    """Starts processes that end with this block, whatever happens."""

    def __init__(self) -> None:
        self._all: list[tuple[subprocess.Popen[bytes], Path]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process, _ in self._all:
            if process.poll() is None:
                process.kill()
            process.wait()
            if process.stdin is not None:
                process.stdin.close()

    def start(self, command: Sequence[str], core: int, log: Path) -> None:
        """Start a command on a core; its output goes into a file, what it complains beside it."""
        log.parent.mkdir(parents=True, exist_ok=True)
        root = str(ROOT.parent)
        with log.open("wb") as out, log.with_suffix(".err").open("wb") as err:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,  # the lifeline
                stdout=out,
                stderr=err,
                env={**one_thread(), "PYTHONPATH": root},
                preexec_fn=lambda: os.sched_setaffinity(0, {core}),
            )
        self._all.append((process, log))

    def wait(self, enough: Callable[[], bool] = lambda: False, seconds: float = 300.0) -> None:
        """Wait for the ends of all, or until it is enough.

        Raises
        ------
        RuntimeError
            If one fails; with what it said.
        TimeoutError
            If it takes too long.
        """
        deadline = time.monotonic() + seconds
        while any(process.poll() is None for process, _ in self._all):
            if enough():
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {seconds:.0f} s in vain for {self._all[0][1].stem}")
            time.sleep(_LOOK)
        for process, log in self._all:
            if code := process.returncode:
                said = log.with_suffix(".err").read_text(errors="replace")[-_TAIL:]
                raise RuntimeError(f"{log.stem} ended with {code}: {said}")


def events(log: Path, name: str) -> list[dict[str, Any]]:
    """Return all lines of a log that tell of an event."""
    text = log.read_text()
    whole = text[: text.rfind("\n") + 1].splitlines()  # the last line may still be written
    lines = [json.loads(line) for line in whole if line.startswith("{")]
    return [line for line in lines if line["event"] == name]


@final
@dataclass(frozen=True)
class Curve:
    """Errors of the held-out trajectories while a training goes on.

    Attributes
    ----------
    steps, seconds, errors : of each validation; seconds since the contest began
    """

    steps: tuple[int, ...]
    seconds: tuple[float, ...]
    errors: tuple[float, ...]

    @classmethod
    def of(cls, log: Path, began: float) -> Self:
        """Read a trainer's log; `began` is a time of `time.time`."""
        lines = events(log, "validated")
        return cls(
            tuple(int(line["step"]) for line in lines),
            tuple(float(line["time"]) - began for line in lines),
            tuple(float(line["validation_error"]) for line in lines),
        )

    def best(self, until: float) -> float:
        """Return the smallest error of the validations up to a step."""
        return min(e for s, e in zip(self.steps, self.errors, strict=True) if s <= until)

    def reaches(self, level: float) -> tuple[float, float]:
        """Return seconds and step of the first error of at most `level`; infinite without one."""
        points = zip(self.seconds, self.steps, self.errors, strict=True)
        return next(((t, float(s)) for t, s, e in points if e <= level), (math.inf, math.inf))
