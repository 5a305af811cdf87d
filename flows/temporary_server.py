"""A Prefect server that lives as long as one run: started early, ended with its run.

``python -m flows.temporary_server PORT`` is the server itself. It ends when its standard input is
closed, so that nothing is left even after a kill.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import final

import httpx

from infra.errors import RomflowError, storage_errors
from infra.files import FileLock

__all__ = ["TemporaryServer", "healthy", "temporary_server"]

_SECONDS, _POLL = 180.0, 0.1
_HOST = "127.0.0.1"


@final
class TemporaryServer:
    """A server under way.

    Parameters
    ----------
    process : the server
    url : address of its API
    log : file with its output
    starting : held while a server starts in this folder; freed as soon as this one answers
    """

    def __init__(
        self, process: "subprocess.Popen[bytes]", url: str, log: Path, starting: FileLock
    ) -> None:
        self._process = process
        self.url = url
        self._log = log
        self._starting = starting

    def wait(self) -> None:
        """Wait until the server answers.

        Raises
        ------
        RomflowError
            If it ends, or does not answer in time; its log is shown.
        """
        deadline = time.monotonic() + _SECONDS
        while not healthy(self.url):
            code = self._process.poll()
            if code is not None or time.monotonic() > deadline:
                text = self._log.read_text(errors="replace")[-2000:]
                said = f"it ended with code {code}" if code is not None else "received none"
                raise RomflowError(
                    f"Prefect's server did not start at {self.url}: expected an answer within "
                    f"{_SECONDS:.0f} s, {said}. `romflow doctor` tells what is missing. Its log, "
                    f"{self._log}, ends so:\n{text}"
                )
            time.sleep(_POLL)
        self._starting.release()


@contextmanager
def temporary_server(state: Path) -> Iterator[TemporaryServer]:
    """Start a server on a free port; it is ended when the block is left.

    Parameters
    ----------
    state : folder for its log, which exists; its database lies in PREFECT_HOME
    """
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port = probe.getsockname()[1]
    log = state / f"temporary-server-{port}.log"
    starting = _turn(Path(os.environ.get("PREFECT_HOME", state)))
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.temporary_server", str(port)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1"},
            start_new_session=True,  # Ctrl-C is for the run, which still needs its server
        )
    with process:
        try:
            yield TemporaryServer(process, f"http://{_HOST}:{port}/api", log, starting)
        finally:
            process.kill()  # its database keeps whole transactions only
            starting.release()
            if not log.stat().st_size:
                log.unlink()


def _turn(home: Path) -> FileLock:
    """Wait until no other server starts with this home, and return the lock that says so.

    Two that start at once would both make its database, and one would fail. Behind one that does
    not come to its end nobody waits for ever.
    """
    with storage_errors(home):
        home.mkdir(parents=True, exist_ok=True)
    lock, deadline = FileLock(home / "starting.lock"), time.monotonic() + _SECONDS
    while not lock.acquire(wait=False) and time.monotonic() < deadline:
        time.sleep(_POLL)
    return lock


def healthy(url: str) -> bool:
    """Return whether a Prefect server answers at `url`."""
    try:
        with httpx.Client(trust_env=False, timeout=2.0) as client:
            return client.get(f"{url}/health").status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _serve(port: int) -> None:
    from infra.lifeline import end_with_standard_input

    end_with_standard_input()
    import uvicorn

    uvicorn.run(
        "prefect.server.api.server:create_app",
        factory=True,
        host=_HOST,
        port=port,
        log_level="error",
    )


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
