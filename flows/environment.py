"""Prefect's environment: its home, its server, no telemetry. The only reader of the environment."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import final

from flows.temporary_server import healthy, temporary_server
from infra.errors import storage_errors

__all__ = ["STATE", "Services", "prefect", "prefect_environment", "running_services"]

# Everything that romflow keeps about its own services lies here, in the working folder.
STATE = Path(".romflow")
_LOOPBACK = "127.0.0.1,localhost"


@final
@dataclass(frozen=True)
class Services:
    """The Prefect server and worker that `romflow up` started.

    Attributes
    ----------
    url : address of the server's API
    server, worker : process numbers
    """

    url: str
    server: int
    worker: int

    @property
    def healthy(self) -> bool:
        """Whether the server answers."""
        return healthy(self.url)

    def save(self) -> None:
        """Remember the services, for `romflow run` and `romflow down`."""
        text = json.dumps({"url": self.url, "server": self.server, "worker": self.worker})
        (STATE / "services.json").write_text(text + "\n")


def running_services() -> Services | None:
    """Return the services that were started in this folder, None if there are none."""
    try:
        return Services(**json.loads((STATE / "services.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


def prefect_environment() -> dict[str, str]:
    """Return the variables for Prefect; what the user has set is kept."""
    quiet = {
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_HOME": str((STATE / "prefect").absolute()),
    }
    kept = {name: os.environ.get(name, value) for name, value in quiet.items()}
    return kept | {name: _with_loopback(os.environ, name) for name in ("NO_PROXY", "no_proxy")}


@contextmanager
def prefect(*, verbose: bool) -> Iterator[Callable[[], None]]:
    """Set this process up for a flow run; enter before Prefect is imported.

    The server of `romflow up` is used if it answers; otherwise the run has one of its own.

    Parameters
    ----------
    verbose : whether Prefect's own log is shown

    Yields
    ------
    callable
        Waits until the server answers; it starts while the caller does other things.
    """
    with storage_errors(STATE.absolute()):
        (STATE / "prefect").mkdir(parents=True, exist_ok=True)
    os.environ.update(prefect_environment())
    # The terminal stays quiet; the server's pages have the log in any case.
    level = "INFO" if verbose else "CRITICAL"
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", level)
    os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "info" if verbose else "critical")
    services = running_services()
    if services is not None and services.healthy:
        os.environ["PREFECT_API_URL"] = services.url
        yield lambda: None
        return
    with temporary_server(STATE.absolute()) as server:
        os.environ["PREFECT_API_URL"] = server.url
        # Nobody can look at its pages, and lines that are still under way would miss it.
        os.environ["PREFECT_LOGGING_TO_API_ENABLED"] = "false"
        with ExitStack() as settings:

            def wait() -> None:
                server.wait()
                settings.enter_context(_without_heartbeats())

            yield wait


@contextmanager
def _without_heartbeats() -> Iterator[None]:
    """Let flows of this thread tell no server that they live; nobody could look at it.

    The thread that tells it looks once a second whether it is over, and each flow, also one
    inside another, waits for it at its end. No variable can turn it off.
    """
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield


def _with_loopback(environment: Mapping[str, str], name: str) -> str:
    present = environment.get(name, "")
    return f"{present},{_LOOPBACK}" if present else _LOOPBACK
