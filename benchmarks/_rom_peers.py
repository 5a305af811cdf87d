"""The other libraries: an environment of their own, and a process in it that answers."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self, final

from _report import ROOT, one_thread

__all__ = ["Peers", "peers_python"]

_PINS = ROOT / "peers-requirements.txt"
_WORKER = ROOT / "_rom_peer_worker.py"


def peers_python() -> Path:
    """Return the Python of the environment; it is made in the user's cache when it is missing."""
    digest = hashlib.sha256(_PINS.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = Path.home() / ".cache" / "romflow" / f"peers-{digest}"
    python, done = folder / "bin" / "python", folder / "complete"
    if done.exists():
        return python
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        sys.exit("Expected uv beside Python or on the path, to install other libraries with.")
    print(f"installing {_PINS.name} into {folder}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--python", str(python), "--requirement", str(_PINS)],
        check=True,
    )
    done.touch()
    return python


@final
class Peers:
    """A process with the other libraries; requests and answers are lines of JSON.

    It takes its times itself: neither the process's start nor the exchange is in them.
    """

    def __init__(self) -> None:
        command = [str(peers_python()), "-W", "ignore", str(_WORKER)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=one_thread()
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()

    def ask(self, task: str, **arguments: object) -> dict[str, Any]:
        """Return the answer to a request.

        Raises
        ------
        RuntimeError
            If the process has ended, or the task failed there.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"task": task, **arguments}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process of the other libraries has ended at {task!r}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"{task}: {answer['error']}")
        return answer
