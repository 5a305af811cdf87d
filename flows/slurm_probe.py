"""What `romflow doctor --profile` runs on the compute nodes: ``python -m flows.slurm_probe FILE``.

All ranks start, load the solver and tell where they are; rank 0 writes that into a folder that the
login node reads.
"""

import argparse
import json
import os
import socket
import sys
from pathlib import Path

from infra.files import replace_durably
from infra.lifeline import die_with_parent, end_with_standard_input

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Write number of ranks, their nodes and the versions into the file; collective."""
    parser = argparse.ArgumentParser(prog="python -m flows.slurm_probe")
    parser.add_argument("file", type=Path)
    parser.add_argument("--lifeline", action="store_true")
    options = parser.parse_args(arguments)
    if options.lifeline:
        die_with_parent()
    from solvers.backend import MPI, dolfinx  # heavy: only once the arguments are known

    comm = MPI.COMM_WORLD
    if options.lifeline and comm.rank == 0:
        end_with_standard_input()
    places: list[str] = comm.gather(_node()) or []
    if comm.rank == 0:
        found = {
            "ranks": comm.size,
            "nodes": sorted(set(places)),
            "python": sys.version.split()[0],
            "dolfinx": dolfinx.__version__,
        }
        replace_durably(options.file, json.dumps(found).encode())
    return 0


def _node() -> str:
    """Return the node's name; Slurm's own if it tells, for virtual nodes share one host."""
    return os.environ.get("SLURMD_NODENAME") or socket.gethostname()


if __name__ == "__main__":
    sys.exit(main())
