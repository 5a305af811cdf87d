"""Servers of the benchmark, each a process of its own: run this file with a kind and arguments.

``ours FOLDER`` is the service, ``bare`` a FastAPI application with one route that does nothing.
Each writes its address as its first line, and ends when its standard input ends.
"""

import sys
import threading
from pathlib import Path

from fastapi import FastAPI

from rom.registry import Registry
from rom.service.app import create_app
from rom.service.running import RunningService
from rom.service.settings import ServiceSettings

__all__: list[str] = []


def _bare() -> FastAPI:
    app = FastAPI()

    @app.get("/")
    async def nothing() -> dict[str, bool]:
        return {"ok": True}

    return app


def _serve(kind: str, arguments: list[str]) -> None:
    settings = ServiceSettings(port=0, rate=None)
    app = _bare() if kind == "bare" else create_app(Registry(Path(arguments[0])), settings)
    running = RunningService(app, settings)
    print(running.address, flush=True)

    def wait() -> None:
        sys.stdin.read()
        running.stop()

    threading.Thread(target=wait, daemon=True).start()
    running.run()


if __name__ == "__main__":
    _serve(sys.argv[1], sys.argv[2:])
