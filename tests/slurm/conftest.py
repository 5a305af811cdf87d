"""A real Slurm for the tests of this folder, and studies that run in it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from flows.plan import prepare
from flows.study import load_study
from infra.cluster import LocalCluster
from infra.zarr_store import open_store
from tests.slurm.local_slurm import LocalSlurm, install

DEADLINE = 400.0
TINY: Mapping[str, Any] = {
    "description": "Tiny vortices.",
    "problem": {"name": "taylor-green", "settings": {"cells": 8}},
    "parameters": {"viscosity": {"low": 0.01, "high": 0.05}},
    "sampling": {"method": "sobol", "samples": 4, "seed": 3},
    "time": {"end": 0.1, "frames": 3, "step": 0.02},
    "run": {"ranks": 2, "chunk_size": 2, "workers": 1, "retries": 2},
}
# A second a sample, or more: there is time to interrupt it.
SLOW: Mapping[str, Any] = {
    **TINY,
    "problem": {"name": "taylor-green", "settings": {"cells": 16}},
    "time": {"end": 0.2, "frames": 3, "step": 0.001},
}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slurm: brings up a real Slurm with two virtual nodes")


class Site:
    """A working folder with profiles and studies, at a site with Slurm."""

    def __init__(self, folder: Path, slurm: LocalSlurm) -> None:
        self.folder, self.slurm = folder, slurm

    def profile(self, **keys: Any) -> str:
        """Write a profile and return its path."""
        given = {"kind": "slurm", "walltime": "00:20:00", **keys}
        path = self.folder / f"{given['kind']}.yaml"
        path.write_text(yaml.safe_dump(given))
        return str(path)

    def study(self, name: str, *, slow: bool = False, **changes: Any) -> str:
        """Write a study, slow or tiny, and return its path."""
        places = {"output": str(self.folder / "out"), "catalog": str(self.folder / "catalog")}
        settings = {**(SLOW if slow else TINY), **places, **changes, "name": name}
        path = self.folder / f"{name}-study.yaml"
        path.write_text(yaml.safe_dump(settings))
        return str(path)

    def root(self, name: str) -> Path:
        return self.folder / "out" / name

    def romflow(self, *arguments: str, code: int = 0, said: bool = False) -> str:
        """Run a command to its end and return what it prints, or what it says of an error."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
        done = subprocess.run(
            [sys.executable, "-m", "flows.cli", *arguments],
            cwd=self.folder,
            env=kept | {"COLUMNS": "200"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stderr if said else done.stdout

    @contextmanager
    def started(self, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
        """Start a command; it is killed at the end of the block, if it has not ended."""
        with subprocess.Popen(
            [sys.executable, "-m", "flows.cli", *arguments],
            cwd=self.folder,
            env={k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            # Tests in the background may ignore SIGINT; a terminal's commands do not.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def submit(self, name: str, *, slow: bool = False, **keys: Any) -> None:
        self.romflow("submit", self.study(name, slow=slow), "--profile", self.profile(**keys))

    def plainly(self, name: str, *, slow: bool = False) -> dict[int, dict[str, str]]:
        """Compute a study with plain MPI jobs, without flow and cluster; return its checksums."""
        study = load_study(self.study(name, slow=slow))
        for chunk in prepare(study).chunks:
            assert LocalCluster().run(["solvers", str(chunk.job)], 2, chunk.log).code == 0
        return self.checksums(name)

    def checksums(self, name: str) -> dict[int, dict[str, str]]:
        """Return the checksums of all committed samples, and verify them."""
        store = open_store(self.root(name))
        for index in store.committed():
            store.verify(index)
        return {i: dict(store.record(i).checksums) for i in sorted(store.committed())}

    def jobs(self, name: str) -> dict[str, Any]:
        """Return the last round of a submission: `finisher`, and `groups` with their `arrays`."""
        state = json.loads((self.root(name) / "slurm" / "submission.json").read_text())
        last: dict[str, Any] = state["rounds"][-1]
        return last

    def array(self, name: str) -> int:
        """Return the number of the only array of the last round."""
        ((array,),) = [group["arrays"] for group in self.jobs(name)["groups"]]
        return int(array["job"])

    def events(self, name: str) -> list[str]:
        path = self.root(name) / "slurm" / "events.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line)["event"] for line in lines]

    def logs(self, name: str) -> str:
        logs = sorted((self.root(name) / "logs").glob("*.jsonl"))
        return "".join(log.read_text() for log in logs)

    def stage(self, name: str) -> str:
        state = json.loads((self.root(name) / "slurm" / "submission.json").read_text())
        return str(state["stage"])

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        return self.slurm.wait_for(condition, what, DEADLINE)

    def until_started(self, name: str, times: int = 1) -> None:
        self.until(lambda: self.logs(name).count('"started"') >= times, "samples")

    def until_ended(self, name: str) -> None:
        self.until(lambda: self.stage(name) != "running", "the last job")

    def solvers(self, name: str) -> list[psutil.Process]:
        """Return the processes, MPI's own among them, that work on a dataset."""
        found = []
        for process in psutil.process_iter(["cmdline", "status"]):
            words = " ".join(process.info["cmdline"] or [])
            if str(self.root(name)) in words and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process)
        return found

    def ranks(self, name: str) -> list[psutil.Process]:
        """Return the MPI ranks that compute samples of a dataset."""
        found = self.solvers(name)
        return [p for p in found if p.name().startswith("python") and "solvers" in p.cmdline()]


@pytest.fixture(scope="session")
def slurm() -> Iterator[LocalSlurm]:
    """Bring up a Slurm with two nodes; at the end nothing of it is left."""
    if os.geteuid() != 0:
        words = "only root can bring up a Slurm with several nodes on one host"
        (pytest.fail if "CI" in os.environ else pytest.skip)(words)
    install()
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))  # short: it holds a socket
    made = LocalSlurm(folder, watched=True)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)
    assert not made.processes()


@pytest.fixture
def site(tmp_path: Path, slurm: LocalSlurm, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Give an idle site; at the end its jobs are cancelled."""
    for name, value in slurm.variables.items():
        monkeypatch.setenv(name, value)
    slurm.wait_for(lambda: slurm.idle() == len(slurm.nodes), "idle nodes")
    yield Site(tmp_path, slurm)
    slurm.output("scancel", "--user=root")


@pytest.fixture(scope="session")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Mapping[bool, dict[int, Any]]:
    """Give the checksums of plain runs of the tiny study (False) and of the slow one (True)."""
    site = Site(tmp_path_factory.mktemp("plain"), LocalSlurm(Path()))
    return {slow: site.plainly(f"plain-{slow}".lower(), slow=slow) for slow in (False, True)}
