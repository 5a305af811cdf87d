"""A folder with profiles and studies at a real Slurm on this host, for the benchmarks."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, final

import psutil
from _report import ROOT, one_thread

from infra.zarr_store import open_store

__all__ = ["Site", "is_possible", "site"]

_DEADLINE, _LOOK = 900.0, 0.1


def is_possible() -> bool:
    """Return whether a Slurm can be brought up here: as root, with its programs."""
    return os.geteuid() == 0 and all(shutil.which(name) for name in ("slurmctld", "slurmd"))


@final
class Site:
    """Commands of romflow in a folder, with a Slurm.

    Parameters
    ----------
    folder : of everything that is written
    slurm : `LocalSlurm` of the tests, which is up
    """

    def __init__(self, folder: Path, slurm: Any) -> None:
        self.folder, self.slurm = folder, slurm
        kept = {k: v for k, v in one_thread().items() if not k.startswith(("PREFECT_", "SLURM_"))}
        self.environment = {**kept, **slurm.variables, "COLUMNS": "200"}

    def root(self, name: str) -> Path:
        """Return the folder of a dataset."""
        return self.folder / "out" / name

    def profile(self, **keys: Any) -> Path:
        """Write a profile of the kind slurm."""
        path = self.folder / "profile.yaml"
        given = {"kind": "slurm", "walltime": "00:30:00", **keys}
        path.write_text(json.dumps(given))  # JSON is YAML
        return path

    def study(self, name: str, settings: Mapping[str, Any]) -> Path:
        """Write a study whose dataset and catalogue are in the folder."""
        places = {"output": str(self.folder / "out"), "catalog": str(self.folder / "catalog")}
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps({**settings, **places, "name": name}))
        return path

    def romflow(self, *arguments: object, codes: tuple[int, ...] = (0,)) -> str:
        """Run a command to its end and return what it prints.

        Raises
        ------
        SystemExit
            If it ends with another code than these.
        """
        done = subprocess.run(
            [sys.executable, "-m", "flows.cli", *map(str, arguments)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_DEADLINE,
            check=False,
        )
        if done.returncode not in codes:
            words = " ".join(map(str, arguments))
            raise SystemExit(f"romflow {words}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def state(self, name: str) -> dict[str, Any]:
        """Return the submission of a study."""
        path = self.root(name) / "slurm" / "submission.json"
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the journal of a submission, the oldest entry first."""
        return _lines(self.root(name) / "slurm" / "events.jsonl")

    def told(self, name: str) -> list[dict[str, Any]]:
        """Return what the chunks have told, in order of time."""
        logs = sorted((self.root(name) / "logs").glob("*.jsonl"))
        return sorted((e for log in logs for e in _lines(log)), key=lambda e: float(e["time"]))

    def checksums(self, name: str) -> dict[int, dict[str, str]]:
        """Return the checksums of all committed samples, after verifying them."""
        store = open_store(self.root(name))
        committed = sorted(store.committed())
        for index in committed:
            store.verify(index)
        return {index: dict(store.record(index).checksums) for index in committed}

    def processes(self, name: str) -> list[psutil.Process]:
        """Return the processes, MPI's own among them, that work on a dataset."""
        found, root = [], str(self.root(name))
        for process in psutil.process_iter(["cmdline", "status"]):
            words = " ".join(process.info["cmdline"] or [])
            if root in words and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process)
        return found

    def ask(self, *command: str) -> str | None:
        """Return what a command of Slurm prints; None if Slurm refuses it or is away."""
        try:
            text: str = self.slurm.output(*command)
        except subprocess.SubprocessError:
            return None
        return text

    def until(self, condition: Callable[[], Any], what: str, seconds: float = _DEADLINE) -> Any:
        """Wait until a condition holds and return its value.

        Raises
        ------
        TimeoutError
            If it does not in time.
        """
        end = time.monotonic() + seconds
        while not (value := condition()):
            if time.monotonic() > end:
                raise TimeoutError(f"waited {seconds:.0f} s in vain for {what}")
            time.sleep(_LOOK)
        return value


@contextmanager
def site(prefix: str, nodes: int = 2, cpus: int = 2) -> Iterator[Site]:
    """Bring up a Slurm with virtual nodes and give a folder; afterwards nothing is left.

    Parameters
    ----------
    prefix : of the folders' names
    nodes, cpus : see `LocalSlurm` of the tests

    Raises
    ------
    SystemExit
        Without the rights for it.
    """
    if os.geteuid() != 0:
        raise SystemExit("This needs root: only root can bring up several Slurm nodes on one host.")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # Slurm is ended then, too
    local = _local_slurm()
    local.install()
    short = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))  # it holds a socket
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    slurm = local.LocalSlurm(short, nodes=nodes, cpus=cpus)
    try:
        slurm.start()
        yield Site(folder, slurm)
    finally:
        slurm.stop()
        for path in (short, folder):
            shutil.rmtree(path, ignore_errors=True)


def _local_slurm() -> Any:
    """Load the module of the tests that knows how to bring up a Slurm."""
    path = ROOT.parent / "tests" / "slurm" / "local_slurm.py"
    spec = importlib.util.spec_from_file_location("local_slurm", path)
    assert spec is not None, "the path is one of a Python file"
    assert spec.loader is not None, "likewise"
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _lines(path: Path) -> list[dict[str, Any]]:
    """Return the events of a file of JSON lines; other lines are none."""
    found = []
    with suppress(FileNotFoundError):
        for line in path.read_text().splitlines():
            with suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict) and "event" in event:
                    found.append(event)
    return found
