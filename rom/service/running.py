"""Running the service: a socket, a server, and a way to end it."""

import socket
from typing import final

import uvicorn
from fastapi import FastAPI

from infra.errors import UserError
from rom.service.gathering import GatheringProtocol
from rom.service.settings import ServiceSettings

__all__ = ["RunningService", "listening_socket"]

_BACKLOG = 2048


def listening_socket(settings: ServiceSettings) -> socket.socket:
    """Return a socket that listens at the address of the settings.

    Raises
    ------
    UserError
        If the address is taken or is none of this machine.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    found = socket.socket(family)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((settings.host, settings.port))
        found.listen(_BACKLOG)
    except OSError as error:
        found.close()
        raise UserError(
            f"Expected a free address; received {settings.host}:{settings.port}, which cannot be "
            f"used: {error.strerror}. Choose another port, or 0 for any free one."
        ) from error
    return found


@final
class RunningService:
    """Serves an application until it is told to stop, or gets SIGINT or SIGTERM.

    Parameters
    ----------
    app
        As `rom.service.app.create_app` makes it.
    settings
        Where it listens.

    Raises
    ------
    UserError
        If the address is taken.
    """

    def __init__(self, app: FastAPI, settings: ServiceSettings) -> None:
        self._socket = listening_socket(settings)
        host, port = self._socket.getsockname()[:2]
        self.address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=GatheringProtocol,
                log_level="warning",
                access_log=False,
                server_header=False,
                ws="none",
                proxy_headers=False,  # anyone could claim to be another address
                timeout_keep_alive=30,
                timeout_graceful_shutdown=10,
            )
        )

    @property
    def started(self) -> bool:
        """Whether it answers."""
        return bool(self._server.started)

    def run(self) -> None:
        """Serve; return when it has ended."""
        self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """Ask it to end; for other threads."""
        self._server.should_exit = True
