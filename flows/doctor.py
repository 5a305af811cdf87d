"""`romflow doctor`: what is installed, what is missing, what to do."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import final

from flows.environment import running_services
from infra.cluster import find_mpiexec
from infra.errors import UserError

__all__ = ["Finding", "examine"]

_SECONDS = 120.0
_FREE_BYTES = 2e9


@final
@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    name, found : what was looked at, and what was found
    advice : what to do; empty if all is well
    needed : whether romflow cannot work like this
    """

    name: str
    found: str
    advice: str = ""
    needed: bool = True

    @property
    def well(self) -> bool:
        """Whether nothing has to be done."""
        return not self.advice


_PACKAGES = (
    *("prefect", "prefect-dask", "zarr", "xarray", "matplotlib"),
    *("torch", "neuraloperator", "pyzmq", "safetensors"),
)


def examine() -> list[Finding]:
    """Look at everything that a run needs, in the order in which it needs it."""
    checks: list[Callable[[], Finding]] = [_python, _solver, _mpi, _gmsh]
    checks += [_package(name) for name in _PACKAGES]
    checks += [_disk, _git, _services]
    return [check() for check in checks]


def _python() -> Finding:
    found = sys.version.split()[0]
    right = (3, 12) <= sys.version_info[:2] < (3, 14)
    return Finding("Python", found, "" if right else "Use Python 3.12 or 3.13.")


def _solver() -> Finding:
    code = (
        "from solvers.backend import dolfinx, PETSc; "
        "print('DOLFINx', dolfinx.__version__, 'PETSc', '.'.join(map(str, PETSc.Sys.getVersion())))"
    )
    found, right = _output([sys.executable, "-c", code])
    advice = "Install it: pip install dolfinx-solver-real mpich (or FEniCSx by conda or Spack)."
    return Finding("DOLFINx and PETSc", found, "" if right else advice)


def _mpi() -> Finding:
    try:
        mpiexec = find_mpiexec()
    except UserError as error:
        return Finding("MPI", "no mpiexec", str(error))
    code = (
        "from solvers.backend import MPI; c = MPI.COMM_WORLD; "
        "n = c.allreduce(1); print(f'{n} ranks started') if c.rank == 0 else None"
    )
    found, right = _output([str(mpiexec), "-n", "2", sys.executable, "-c", code])
    right = right and found == "2 ranks started"
    advice = f"{mpiexec} and mpi4py belong to different MPIs: put the right mpiexec first on PATH."
    return Finding("MPI", f"{mpiexec}: {found}", "" if right else advice)


def _gmsh() -> Finding:
    found, right = _output([sys.executable, "-c", "import gmsh; print('gmsh', gmsh.__version__)"])
    advice = (
        "Install gmsh's system libraries, on Debian and Ubuntu: apt-get install libglu1-mesa "
        "libxrender1 libxcursor1 libxft2 libxinerama1 (only the cylinder problem needs them)."
    )
    return Finding("gmsh", found, "" if right else advice, needed=False)


def _package(name: str) -> Callable[[], Finding]:
    def check() -> Finding:
        try:
            return Finding(name, version(name))
        except PackageNotFoundError:
            return Finding(name, "missing", f"Install it: pip install {name}.")

    return check


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free
    advice = "" if free > _FREE_BYTES else "Free space, or set `output` to another place."
    return Finding("Free disk space", f"{free / 1e9:.1f} GB here", advice, needed=False)


def _git() -> Finding:
    found = shutil.which("git")
    advice = "" if found else "Install git: without it provenance lacks the code's commit."
    return Finding("git", found or "missing", advice, needed=False)


def _services() -> Finding:
    services = running_services()
    if services is None:
        return Finding("Prefect server", "none in this folder (not needed for `romflow run`)")
    if services.healthy:
        return Finding("Prefect server", f"answers at {services.url}")
    advice = "Start it again: romflow up"
    return Finding("Prefect server", f"no answer at {services.url}", advice, needed=False)


def _output(command: list[str]) -> tuple[str, bool]:
    """Return what a command prints and whether it succeeded; its last line if it did not."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error), False
    text = done.stdout.strip() if done.returncode == 0 else done.stderr.strip()
    return (text.splitlines() or ["no output"])[-1], done.returncode == 0
