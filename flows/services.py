"""`romflow up` and `romflow down`: Prefect's server, a work pool and a worker on loopback."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil

from flows.environment import STATE, Services, prefect_environment, running_services
from infra.errors import RomflowError, UserError, storage_errors

__all__ = ["down", "up"]

POOL = "romflow-local"
_HOST = "127.0.0.1"
_START_SECONDS, _STOP_SECONDS, _POLL_SECONDS = 300.0, 20.0, 0.3
_PROJECT = Path(__file__).resolve().parents[1]


def up(port: int) -> Services:
    """Start server and worker, and deploy; services that already answer are left as they are.

    Parameters
    ----------
    port : of the server, on loopback

    Raises
    ------
    UserError
        If the port is in use.
    RomflowError
        If a service does not start; its log is named.
    """
    present = running_services()
    if present is not None and present.healthy:
        return present if _alive(present.worker) else _with_worker(present)
    down()
    _require_free(port)
    with storage_errors(STATE.absolute()):
        (STATE / "prefect").mkdir(parents=True, exist_ok=True)
    url = f"http://{_HOST}:{port}/api"
    arguments = ["server", "start", "--host", _HOST, "--port", str(port)]
    server = _start("server", arguments, _environment(url))
    services = Services(url, server.pid, 0)
    services.save()
    _wait_until_healthy(services, server)
    _prefect(["work-pool", "create", POOL, "--type", "process", "--overwrite"], _environment(url))
    _prefect(["--no-prompt", "deploy", "--all"], _environment(url))
    return _with_worker(services)


def down() -> bool:
    """End worker and server; return whether there were any."""
    services = running_services()
    if services is None:
        return False
    ended = [_end(pid) for pid in (services.worker, services.server)]
    (STATE / "services.json").unlink(missing_ok=True)
    return any(ended)


def _environment(url: str) -> dict[str, str]:
    # A run that was asked for shall start at once: look for it more often than every 10 s.
    eager = {"PREFECT_WORKER_QUERY_SECONDS": "2"}
    return {**eager, **os.environ, **prefect_environment(), "PREFECT_API_URL": url}


def _with_worker(services: Services) -> Services:
    """Start a worker for a server that runs."""
    worker = _start("worker", ["worker", "start", "--pool", POOL], _environment(services.url))
    complete = Services(services.url, services.server, worker.pid)
    complete.save()
    return complete


def _alive(pid: int) -> bool:
    try:
        return pid > 0 and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _start(name: str, arguments: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start a service that outlives this process."""
    with (STATE / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "prefect", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=_PROJECT,
            start_new_session=True,
        )


def _prefect(arguments: list[str], environment: dict[str, str]) -> None:
    """Run a command of Prefect to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "prefect", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment,
        cwd=_PROJECT,
        check=False,
    )
    if done.returncode:
        raise RomflowError(
            f"prefect {' '.join(arguments)} ended with code {done.returncode}:\n"
            f"{(done.stderr or done.stdout)[-2000:]}"
        )


def _wait_until_healthy(services: Services, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not services.healthy:
        if server.poll() is not None or time.monotonic() > deadline:
            log = STATE / "server.log"
            raise RomflowError(
                f"Prefect's server did not start at {services.url}: see {log.absolute()}\n"
                f"{log.read_text(errors='replace')[-2000:]}"
            )
        time.sleep(_POLL_SECONDS)


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            raise UserError(
                f"--port {port}: expected a free port, received: {error.strerror}. Another server "
                "may be running there: end it, or choose another port."
            ) from error


def _end(pid: int) -> bool:
    """End a service and what it started: politely first."""
    try:
        service = psutil.Process(pid) if pid > 0 else None
        # The number may have gone to another process since.
        if service is None or "prefect" not in " ".join(service.cmdline()):
            return False
        family = [service, *service.children(recursive=True)]
    except psutil.NoSuchProcess:
        return False
    service.send_signal(signal.SIGINT)
    _, alive = psutil.wait_procs(family, timeout=_STOP_SECONDS)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive, timeout=_STOP_SECONDS)
    return True
