"""Processes of the benchmark: servers that end with it, and the environment of the clients."""

import hashlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from _report import ROOT, one_thread

__all__ = ["clients_python", "direct", "host_and_port", "memory", "server", "their_server"]

_PINS = ROOT.parent / "tests" / "rom" / "service" / "clients-requirements.txt"


def clients_python() -> Path:
    """Return the Python of the clients' environment, the same that the tests make."""
    digest = hashlib.sha256(_PINS.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = Path.home() / ".cache" / "romflow" / f"clients-{digest}"
    python, done = folder / "bin" / "python", folder / "complete"
    if done.exists():
        return python
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        sys.exit("Expected uv beside Python or on the path, to install the clients with.")
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(folder)], check=True)
    command = [uv, "pip", "install", "-q", "--python", str(python), "--requirement", str(_PINS)]
    subprocess.run(command, check=True)
    done.touch()
    return python


def direct() -> dict[str, str]:
    """Return an environment with one thread that asks loopback without a proxy."""
    return {**one_thread(), "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}


@contextmanager
def server(*arguments: str) -> Iterator[tuple[str, int]]:
    """Run ``_rom_service_servers.py``; give its address and process."""
    command = [sys.executable, str(ROOT / "_rom_service_servers.py"), *arguments]
    environment = {**direct(), "PYTHONPATH": os.pathsep.join([str(ROOT.parent), str(ROOT)])}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            wait_for(address)
            yield address, process.pid
        finally:
            process.terminate()


@contextmanager
def their_server(kind: str, *arguments: str) -> Iterator[str]:
    """Run UM-Bridge's own server with our Python; give its address."""
    (packages,) = clients_python().parents[1].glob("lib/python*/site-packages")
    port, script = _free_port(), str(ROOT / "_rom_service_umbridge.py")
    environment = {**direct(), "PYTHONPATH": str(ROOT.parent)}
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", script, kind, str(port), str(packages), *arguments],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            wait_for(f"http://127.0.0.1:{port}")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def wait_for(address: str, seconds: float = 60.0) -> None:
    """Wait until something listens at an address."""
    end = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(host_and_port(address), 1.0).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return


def host_and_port(address: str) -> tuple[str, int]:
    """Return both parts of an address."""
    parts = urlsplit(address)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def _free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def memory(process: int) -> float:
    """Return the resident memory of a process, MB."""
    return float(psutil.Process(process).memory_info().rss / 1e6)
