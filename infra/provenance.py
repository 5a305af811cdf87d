"""Collection of the provenance of a sample: code, packages, machine, times."""

import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from infra.records import Provenance

__all__ = ["collect", "utc_now"]

_GIT_SECONDS = 30.0


def utc_now() -> str:
    """Return the present time, ISO 8601 in UTC with seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def collect(
    options: Mapping[str, str],
    seed: int,
    ranks: int,
    started: str,
    packages: Sequence[str],
    root: Path,
) -> Provenance:
    """Collect where a sample comes from; called when it is finished.

    Parameters
    ----------
    options
        Solver options that were really used.
    seed
        Seed of the sample.
    ranks
        Number of MPI processes.
    started
        When the sample was started, from `utc_now`.
    packages
        Distributions whose versions matter; one that is not installed is listed as ``absent``.
    root
        Folder of the code; its git commit is recorded.

    Returns
    -------
    Provenance
        With ``unknown`` as commit where there is no git or no repository.
    """
    commit = _git(root, "rev-parse", "HEAD")
    changes = _git(root, "status", "--porcelain", "--untracked-files=no")
    return Provenance(
        git_commit=commit or "unknown",
        git_dirty=bool(changes),
        packages={name: _version(name) for name in packages},
        options=dict(options),
        seed=seed,
        host=socket.gethostname(),
        ranks=ranks,
        started=started,
        finished=utc_now(),
    )


def _git(root: Path, *arguments: str) -> str:
    """Return what git prints, or nothing if it is missing, fails or hangs."""
    program = shutil.which("git")
    if program is None:
        return ""
    try:
        done = subprocess.run(
            [program, "-C", str(root), *arguments],
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
