"""What all benchmarks share: the machine, medians, tables, targets and the report's file."""

import argparse
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import final

__all__ = ["Report", "arguments", "cores", "interleaved", "middle", "number", "one_thread"]

ROOT = Path(__file__).resolve().parent
# Packages whose versions decide times and numbers.
_PACKAGES = ("dolfinx-solver-real", "mpich", "mpi4py", "numpy", "scipy", "zarr", "gmsh", "prefect")


def arguments(text: str) -> argparse.Namespace:
    """Read the command line every benchmark has, ``--quick``, and go on with one thread."""
    parser = argparse.ArgumentParser(description=text.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="smaller sizes, under a minute")
    options = parser.parse_args()
    _run_with_one_thread()
    return options


def one_thread() -> dict[str, str]:
    """Return this environment with one thread for every numerical library."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {**os.environ, **dict.fromkeys(names, "1")}


def _run_with_one_thread() -> None:
    """Start this program again where its libraries would use threads, as `LocalCluster` does."""
    wanted = one_thread()
    if wanted != dict(os.environ):
        os.execve(sys.executable, sys.orig_argv, wanted)


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def number(value: float, digits: int = 4) -> str:
    """Write a number with `digits` significant digits."""
    return f"{value:.{digits}g}"


def interleaved(repeats: int, **actions: Callable[[], float]) -> dict[str, list[float]]:
    """Call all actions in turn, `repeats` times, and return the seconds that each returned.

    Interleaving lets a disturbance of the machine hit all competitors alike.
    """
    times: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(repeats):
        for name, action in actions.items():
            times[name].append(action())
    return times


@final
class Report:
    """Collects tables and targets, and writes ``results/<name>.md``.

    Parameters
    ----------
    name : name of the benchmark
    title : heading of the report
    quick : whether this is the quick run, which gets a file of its own
    """

    def __init__(self, name: str, title: str, *, quick: bool) -> None:
        suffix = "-quick" if quick else ""
        self.path = ROOT / "results" / f"{name}{suffix}.md"
        self._targets: list[tuple[str, str, str, bool]] = []
        self._lines = [f"# {title}", "", *_machine(), ""]
        self._clock = time.perf_counter()

    def section(self, title: str) -> None:
        """Begin a section."""
        self._say("", f"## {title}", "")

    def note(self, text: str) -> None:
        """Add a paragraph."""
        self._say(text, "")

    def table(self, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Add a table; numbers are written with four digits."""
        self._say(_row(head), _row(["---"] * len(head)), *(_row(r) for r in rows), "")

    def at_least(self, name: str, value: float, limit: float) -> None:
        """Record a target that is met from `limit` on."""
        self._add(name, value, f">={limit:g}", met=value >= limit)

    def at_most(self, name: str, value: float, limit: float) -> None:
        """Record a target that is met up to `limit`."""
        self._add(name, value, f"<={limit:g}", met=value <= limit)

    def within(self, name: str, value: float, low: float, high: float) -> None:
        """Record a target that is met from `low` to `high`."""
        self._add(name, value, f"[{low:g},{high:g}]", met=low <= value <= high)

    def finish(self) -> int:
        """Write the file, print the targets; return the exit code (1: a target is missed)."""
        self.section("Targets")
        words = {True: "met", False: "MISSED"}
        rows = [
            (name, value, f"`{limit}`", words[met]) for name, value, limit, met in self._targets
        ]
        self.table(["target", "value", "limit", "result"], rows)
        self.note(f"The whole run took {time.perf_counter() - self._clock:.0f} s.")
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_text("\n".join(self._lines).rstrip() + "\n")
        print(f"written: {self.path}")
        for name, value, limit, met in self._targets:
            print(f"TARGET {name} {value} {limit} {'met' if met else 'missed'}")
        return 0 if all(met for *_, met in self._targets) else 1

    def _add(self, name: str, value: float, limit: str, *, met: bool) -> None:
        self._targets.append((name, number(value, 5), limit, met))

    def _say(self, *lines: str) -> None:
        self._lines.extend(lines)
        print("\n".join(lines), flush=True)


def _row(cells: Sequence[object]) -> str:
    texts = [number(cell) if isinstance(cell, float) else str(cell) for cell in cells]
    return "| " + " | ".join(texts) + " |"


def middle(values: Sequence[float]) -> float:
    """Return the median."""
    return float(median(values))


def _machine() -> list[str]:
    """Describe machine, versions and command."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    stamp = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    command = shlex.join([f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    return [
        f"- date: {stamp}",
        f"- machine: {platform.system()} {platform.release()}, {_processor()}, {cores()} cores, "
        f"load average at the start {load}",
        f"- Python {platform.python_version()}, " + ", ".join(_versions()),
        f"- command: `python {command}`",
    ]


def _processor() -> str:
    """Return the processor's name as Linux gives it, else what Python knows."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"


def _versions() -> list[str]:
    found = []
    for package in _PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return found
