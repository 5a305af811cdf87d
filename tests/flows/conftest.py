"""Fixtures of the flow tests: tiny studies, the real command line, one real Prefect server."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import psutil
import pytest
import yaml

from flows.plan import prepare
from flows.study import Study, load_study
from infra.cluster import LocalCluster
from infra.zarr_store import ZarrStore, open_store

# Long enough for a loaded machine, short enough to notice a command that hangs.
DEADLINE = 240.0
TINY: Mapping[str, Any] = {
    "name": "tiny",
    "description": "Tiny vortices.",
    "problem": {"name": "taylor-green", "settings": {"cells": 8}},
    "parameters": {"viscosity": {"low": 0.01, "high": 0.05}},
    "sampling": {"method": "sobol", "samples": 3, "seed": 3},
    "time": {"end": 0.1, "frames": 3, "step": 0.02},
    "run": {"ranks": 2, "chunk_size": 2, "workers": 1, "retries": 0},
}
# Long enough to be interrupted after the first sample.
SLOW: Mapping[str, Any] = {
    "name": "slow",
    "problem": {"name": "taylor-green", "settings": {"cells": 16}},
    "time": {"end": 0.8, "frames": 3, "step": 0.002},
    "run": {"ranks": 2, "chunk_size": 3},
}


def environment() -> dict[str, str]:
    """Return this process's environment without what would reach another Prefect server."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    return kept | {"COLUMNS": "200"}


def runs(process: psutil.Process) -> bool:
    """Tell whether a process still runs; one that only waits to be reaped does not.

    Orphans are reaped by the system's first process, in some containers late or never.
    """
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def running(*words: str) -> list[psutil.Process]:
    """Return the live processes whose command line has a part that contains each of `words`."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = " ".join(process.info["cmdline"] or [])
        if runs(process) and process.pid != os.getpid() and all(word in command for word in words):
            found.append(process)
    return found


@final
@dataclass(frozen=True)
class Folder:
    """A working folder, the command line in it, and studies whose data lie in it."""

    path: Path

    def settings(self, **changes: Any) -> dict[str, Any]:
        """Return the tiny study with other entries, and with places in this folder."""
        places = {"output": str(self.path / "out"), "catalog": str(self.path / "catalog")}
        return {**TINY, **places, **changes}

    def file(self, *, slow: bool = False, **changes: Any) -> str:
        """Write such a study, `slow` or tiny, and return its file's name."""
        settings = self.settings(**({**SLOW, **changes} if slow else changes))
        (self.path / f"{settings['name']}.yaml").write_text(yaml.safe_dump(settings))
        return f"{settings['name']}.yaml"

    def study(self, **changes: Any) -> Study:
        """Return such a study."""
        return load_study(str(self.path / self.file(**changes)))

    def store(self, name: str = "tiny") -> ZarrStore:
        return open_store(self.path / "out" / name)

    def checksums(self, store: ZarrStore) -> dict[int, dict[str, str]]:
        """Return the checksums of all committed samples, by index and array."""
        return {i: dict(store.record(i).checksums) for i in sorted(store.committed())}

    def jobs(self) -> list[psutil.Process]:
        """Return the MPI processes that work on the datasets of this folder."""
        return running("solvers", str(self.path))

    def start(self, *arguments: object, **options: Any) -> "subprocess.Popen[str]":
        """Start ``python -m flows.cli ...`` in a session of its own, as a terminal does."""
        with (self.path / "stdout").open("w") as out, (self.path / "stderr").open("w") as err:
            return subprocess.Popen(
                [sys.executable, "-m", "flows.cli", *map(str, arguments)],
                cwd=self.path,
                env=environment() | options.pop("env", {}),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                text=True,
                start_new_session=True,
                # Tests in the background may ignore SIGINT; a terminal's commands do not.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
                **options,
            )

    def wait(self, process: "subprocess.Popen[str]") -> "subprocess.CompletedProcess[str]":
        """Wait for a command's end."""
        try:
            process.wait(DEADLINE)
        finally:
            process.kill()
        out, err = ((self.path / name).read_text() for name in ("stdout", "stderr"))
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def romflow(self, *arguments: object, **options: Any) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        return self.wait(self.start(*arguments, **options))

    def run(self, *arguments: object, **changes: Any) -> "subprocess.Popen[str]":
        """Start the flow of such a study."""
        return self.start("run", "generate-ns-data", "--study", self.file(**changes), *arguments)

    def generate(self, *arguments: object, **changes: Any) -> "subprocess.CompletedProcess[str]":
        """Run the flow of such a study to its end."""
        return self.wait(self.run(*arguments, **changes))


@final
@dataclass(frozen=True)
class Server:
    """The services of ``romflow up`` in a folder."""

    folder: Folder
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a command of Prefect's own command line."""
        return subprocess.Popen(
            [sys.executable, "-m", "prefect", *arguments],
            cwd=self.folder.path,
            env=environment() | {"PREFECT_API_URL": self.url},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def prefect(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of Prefect's own command line."""
        with self.start(*arguments) as process:
            try:
                output, _ = process.communicate(timeout=DEADLINE)
            finally:
                process.kill()
        return subprocess.CompletedProcess(process.args, process.returncode, output, "")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    made = Folder(tmp_path)
    yield made
    for process in made.jobs():  # of a test that failed
        process.kill()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give running services; at the end ``romflow down`` has to leave nothing behind."""
    folder, port = Folder(tmp_path_factory.mktemp("server")), free_port()
    done = folder.romflow("up", "--port", port)
    try:
        assert done.returncode == 0, done.stderr
        services = [p for word in (str(port), "romflow-local") for p in running("prefect", word)]
        assert len(services) >= 2
        yield Server(folder, port)
    finally:
        done = folder.romflow("down")
    assert (done.returncode, done.stdout) == (0, "Server and worker have ended.\n")
    assert not [process for process in services if runs(process)]


@pytest.fixture
def served(folder: Folder, server: Server) -> Folder:
    """Give a folder in which ``romflow run`` finds the running server."""
    (folder.path / ".romflow").mkdir()
    shutil.copy(server.folder.path / ".romflow/services.json", folder.path / ".romflow")
    return folder


@pytest.fixture(scope="session")
def computed() -> Callable[[Study], ZarrStore]:
    """Give a function that computes a study with plain MPI jobs, without Prefect."""

    def compute(study: Study) -> ZarrStore:
        for chunk in prepare(study).chunks:
            done = LocalCluster().run(["solvers", str(chunk.job)], study.run.ranks, chunk.log)
            assert done.code == 0, done.errors
        return open_store(study.dataset)

    return compute


@pytest.fixture
def alive() -> Callable[[psutil.Process], bool]:
    """Give a function that tells whether a process runs; a zombie does not."""
    return runs


@pytest.fixture
def until() -> Callable[[Callable[[], Any], str], None]:
    """Give a function that polls until a condition holds, and fails after the deadline."""

    def wait(condition: Callable[[], Any], what: str) -> None:
        end = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < end, f"waited in vain for {what}"
            time.sleep(0.02)

    return wait
