"""Reader of CalculiX's ``.sta`` files: how many increments each step took."""

from pathlib import Path

import numpy as np

from infra.errors import storage_errors
from solvers.adapters.external import MissingResultError
from solvers.mesh import IntArray

__all__ = ["read_increments"]


def read_increments(path: Path, steps: int) -> IntArray:
    """Return the numbers (steps,) of increments that converged in each step.

    Attempts that failed are marked with a U and do not count.

    Raises
    ------
    MissingResultError
        If the file or one of the steps is missing.
    """
    if not path.is_file():
        raise MissingResultError(
            f"CalculiX: expected the file {path}; there is none. Run the deck first, and look "
            "into its log"
        )
    with storage_errors(path):
        lines = path.read_text(errors="replace").splitlines()
    words = [line.split() for line in lines]
    done = [int(w[0]) for w in words if len(w) >= 3 and w[0].isdigit() and w[2].isdigit()]
    counts = np.bincount(done, minlength=steps + 1)[1 : steps + 1].astype(np.int64)
    if not counts.all():
        raise MissingResultError(
            f"CalculiX: expected {steps} steps in {path}, received {np.count_nonzero(counts)}; "
            "the run stopped early: look into its log"
        )
    return counts
