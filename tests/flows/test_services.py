"""Prefect's environment, the server of one run, and what `romflow up` and `down` refuse."""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from flows.doctor import examine
from flows.environment import Services, prefect_environment, running_services
from flows.services import down, up
from flows.temporary_server import TemporaryServer, healthy, temporary_server
from infra.errors import RomflowError, UserError
from infra.files import FileLock

# A process that has a server, says where, and waits.
OWNER = """
import os, sys
from flows.environment import prefect
with prefect(verbose=False) as wait_for_server:
    wait_for_server()
    print(os.environ["PREFECT_API_URL"], flush=True)
    sys.stdin.read()
"""


# Whether flows tell the server, every so many seconds, that they live.
BEATS = """
from flows.environment import prefect
with prefect(verbose=False) as wait_for_server:
    wait_for_server()
    from prefect.settings import get_current_settings
    print(get_current_settings().flows.heartbeat_frequency, flush=True)
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def taken() -> Any:
    """Give a port on which something else listens, and answers nothing."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_prefect_is_silent_and_lives_in_the_working_folder(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DO_NOT_TRACK", "PREFECT_HOME", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    found = prefect_environment()
    assert found["DO_NOT_TRACK"] == "1"
    assert found["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert found["PREFECT_HOME"] == str(here / ".romflow" / "prefect")
    assert found["NO_PROXY"] == found["no_proxy"] == "127.0.0.1,localhost"


def test_what_the_user_has_set_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_HOME", "/home/prefect")
    monkeypatch.setenv("NO_PROXY", "intranet")
    found = prefect_environment()
    assert found["PREFECT_HOME"] == "/home/prefect"
    assert found["NO_PROXY"] == "intranet,127.0.0.1,localhost"


def test_services_are_remembered_by_the_folder(here: Path) -> None:
    assert running_services() is None
    (here / ".romflow").mkdir()
    services = Services("http://127.0.0.1:1/api", 2, 3)
    services.save()
    assert running_services() == services


@pytest.mark.parametrize("text", ["", "{", "[]", '{"url": 1}', '{"other": 2}'])
def test_a_spoilt_note_counts_as_none(here: Path, text: str) -> None:
    (here / ".romflow").mkdir()
    (here / ".romflow/services.json").write_text(text)
    assert running_services() is None
    assert not down()


def test_only_a_server_that_answers_is_healthy(taken: int) -> None:
    assert not healthy("http://127.0.0.1:1/api")
    assert not healthy(f"http://127.0.0.1:{taken}/api")


def test_a_port_in_use_is_refused(here: Path, taken: int) -> None:
    with pytest.raises(UserError, match=f"--port {taken}: expected a free port"):
        up(taken)
    assert not (here / ".romflow").exists()


def test_down_leaves_processes_alone_that_are_not_its_own(here: Path) -> None:
    """The number of a service that has ended may belong to another process now."""
    (here / ".romflow").mkdir()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        Services("http://127.0.0.1:1/api", other.pid, 0).save()
        assert not down()
        assert other.poll() is None
        other.communicate(b"\n")
    assert running_services() is None


@pytest.mark.server
def test_servers_that_start_at_once_in_a_new_folder_do_not_disturb_each_other(here: Path) -> None:
    """Each of them would make the database that both of them use."""
    with ExitStack() as stack:
        owners = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", OWNER],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(2)
        ]
        urls = [owner.stdout.readline().strip() for owner in owners if owner.stdout]
        assert [healthy(url) for url in urls] == [True, True]
        for owner in owners:
            owner.communicate("")
    assert not list((here / ".romflow").glob("*.log"))  # nothing was said in them


@pytest.mark.server
@pytest.mark.usefixtures("here")
def test_a_temporary_server_answers_and_dies_with_its_owner() -> None:
    command = [sys.executable, "-c", OWNER]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        url = owner.stdout.readline().strip()
        (server,) = psutil.Process(owner.pid).children()
        assert healthy(url)
        owner.send_signal(signal.SIGKILL)
    psutil.wait_procs([server], timeout=60)
    assert not healthy(url)


@pytest.mark.server
def test_only_a_server_that_somebody_can_look_at_is_told_that_flows_live(here: Path) -> None:
    def beats() -> str:
        command = [sys.executable, "-c", BEATS]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    assert beats() == "None"
    with temporary_server(here / ".romflow") as server:
        server.wait()
        Services(server.url, server=1, worker=2).save()
        assert int(beats()) > 0


def test_a_server_that_ends_at_once_shows_its_log(here: Path) -> None:
    (here / "log").write_text("no such module\n")
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        server = TemporaryServer(
            process, "http://127.0.0.1:1/api", here / "log", FileLock(here / "lock")
        )
        process.wait()
        with pytest.raises(RomflowError, match="no such module"):
            server.wait()


@pytest.mark.server
def test_a_server_ends_with_its_block(here: Path, alive: Any) -> None:
    with temporary_server(here) as server:
        (process,) = psutil.Process().children()
        assert "flows.temporary_server" in process.cmdline()
        assert server.url.startswith("http://127.0.0.1:")
    assert not alive(process)


@pytest.mark.mpi
@pytest.mark.usefixtures("here")
def test_the_doctor_finds_everything_that_is_needed_here() -> None:
    findings = {finding.name: finding for finding in examine()}
    assert [f for f in findings.values() if f.needed and not f.well] == []
    assert findings["MPI"].found.endswith("2 ranks started")
    assert "DOLFINx" in findings["DOLFINx and PETSc"].found
    assert "none in this folder" in findings["Prefect server"].found


def test_the_doctor_says_what_to_do_about_what_is_missing(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(here / "python"))
    monkeypatch.setenv("PATH", os.devnull)
    (here / ".romflow").mkdir()
    note = {"url": "http://127.0.0.1:1/api", "server": 0, "worker": 0}
    (here / ".romflow/services.json").write_text(json.dumps(note))
    findings = {finding.name: finding for finding in examine()}
    assert "pip install" in findings["DOLFINx and PETSc"].advice
    assert "pip install mpich" in findings["MPI"].advice
    assert not findings["gmsh"].needed
    assert "romflow up" in findings["Prefect server"].advice
    assert "Install git" in findings["git"].advice
