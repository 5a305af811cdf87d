"""Run all tests, two processes of pytest at a time: ``python tests/side_by_side.py [arguments]``.

Tests of the flows wait for servers and jobs more than they work; beside them the others compute.
Every folder has a process of its own, so that what one leaves behind cannot harm the next. What a
folder's tests print is shown when they have ended, and once more at the end if they failed.
"""

import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
# The longest first, so that both processes end at about the same time; other folders follow.
LONGEST = ("flows", "slurm", "solvers", "rom", "infra", "surrogates")
# Pytest's own codes: it was interrupted, and no test was chosen by the arguments.
INTERRUPTED, NO_TESTS = 2, 5


@dataclass(frozen=True)
class Group:
    """Tests that run in one process."""

    name: str
    paths: tuple[str, ...]
    output: Path

    def start(self, arguments: list[str]) -> "subprocess.Popen[bytes]":
        cache = f"cache_dir=.pytest_cache/{self.name}"  # two processes must not share one
        command = [sys.executable, "-m", "pytest", "-o", cache, *self.paths, *arguments]
        with self.output.open("wb") as file:
            return subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT)

    def text(self) -> str:
        return self.output.read_text(errors="replace")


def main(arguments: list[str]) -> int:
    """Run all groups; return 0 only if all of them succeed."""
    if any(argument.startswith("tests") for argument in arguments):
        print("expected options of pytest, received a path: run pytest itself", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        groups = _groups(Path(folder))
        runs = Runs(arguments)
        # A terminal's Ctrl-C comes to all processes, SIGTERM to this one.
        signal.signal(signal.SIGINT, lambda *_: runs.stop())
        signal.signal(signal.SIGTERM, lambda *_: runs.stop(signal.SIGINT))
        with ThreadPoolExecutor(2) as pool:
            return _verdict(groups, list(pool.map(runs.run, groups)))


class Runs:
    """Runs of groups; once they are stopped no other begins."""

    def __init__(self, arguments: list[str]) -> None:
        self._arguments = arguments
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False
        self._lock = threading.RLock()  # the handler of a signal may come amid the others

    def run(self, group: Group) -> int:
        """Run a group to its end, show what it printed, and return its exit code."""
        with self._lock:
            if self._stopped:
                return INTERRUPTED
            begin, process = time.monotonic(), group.start(self._arguments)
            self._running.add(process)
        code = process.wait()
        with self._lock:
            self._running.discard(process)
        minutes = (time.monotonic() - begin) / 60.0
        print(f"{group.text()}{group.name}: {minutes:.1f} min, exit code {code}\n", flush=True)
        return code

    def stop(self, number: int | None = None) -> None:
        """Let those that run end, with their fixtures; the second time, kill them."""
        with self._lock:
            number = signal.SIGKILL if self._stopped else number
            self._stopped = True
            for process in self._running:
                if number is not None:
                    process.send_signal(number)


def _groups(folder: Path) -> list[Group]:
    folders = [p.name for p in (ROOT / "tests").iterdir() if any(p.rglob("test_*.py"))]
    known = [name for name in LONGEST if name in folders]
    groups = [
        Group(name, (f"tests/{name}",), folder / name)
        for name in (*known, *sorted(set(folders) - set(known)))
    ]
    files = sorted(f"tests/{p.name}" for p in (ROOT / "tests").glob("test_*.py"))
    return [*groups, Group("files", tuple(files), folder / "files")]


def _verdict(groups: list[Group], codes: list[int]) -> int:
    """Show the ends of what the failed groups printed; return the first failure's code, or 0."""
    failed = {g: c for g, c in zip(groups, codes, strict=True) if c not in (0, NO_TESTS)}
    for group, code in failed.items():
        if not group.output.exists():  # it was not begun
            continue
        print(f"\n{group.name} failed with exit code {code}:")
        print("\n".join(group.text().splitlines()[-25:]), flush=True)
    if all(code == NO_TESTS for code in codes):
        return NO_TESTS
    return next((abs(code) for code in failed.values()), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
