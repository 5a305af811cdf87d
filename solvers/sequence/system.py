"""The matrix of a sequence, its versions, and what is checked when it gets new values."""

import time
from functools import cached_property
from typing import Any, final
from zlib import crc32

import numpy as np

from solvers.backend import MPI, PETSc
from solvers.errors import LinearSolveError
from solvers.sequence.grid_matrix import find_grid
from solvers.sequence.traits import Grid, Traits

__all__ = ["System"]

# A fixed vector without structure: two matrices with the same product are the same matrix.
_SEED = 20260101


@final
class System:
    """A matrix that is refilled again and again.

    Whether it really changed is seen from its product with a fixed random vector: one
    multiplication, on any number of ranks, and NaN or infinite entries show too.

    Parameters
    ----------
    matrix : PETSc matrix, assembled
    traits : what holds for all its versions
    recognise : whether to look for values that did not change; without, every refill is a new
        version and nothing is checked

    Attributes
    ----------
    matrix, traits : as given
    version : counts the different values so far, from 1; 0 before `refilled`
    product : least time of a product with the matrix on this rank so far, s
    """

    def __init__(self, matrix: Any, traits: Traits, *, recognise: bool = True) -> None:
        self.matrix = matrix
        self.traits = traits
        self._recognise = recognise
        self.version = 0
        self.size: int = matrix.getSize()[0]
        self._entries = -1.0
        self._pattern = 0
        self._probe: Any = None
        self._image: Any = None
        self._previous: Any = None
        self._diagonal: tuple[int, Any] = (-1, None)
        self._norm: tuple[int, float] = (-1, 0.0)
        self.product = float("inf")

    @cached_property
    def comm(self) -> Any:
        """The matrix's communicator (mpi4py)."""
        return self.matrix.comm.tompi4py()

    @property
    def per_row(self) -> float:
        """Stored entries per row."""
        return self._entries / max(self.size, 1)

    @property
    def entries(self) -> float:
        """Stored entries on all ranks."""
        return self._entries

    @cached_property
    def grid(self) -> Grid | None:
        """The uniform grid behind the matrix, as given or found in the pattern; one rank only."""
        if self.matrix.comm.size > 1:
            return None
        return self.traits.grid or find_grid(self.matrix)

    def refilled(self) -> bool:
        """Look at the new values; return whether they differ from the last ones. Collective.

        Raises
        ------
        LinearSolveError
            If an entry is NaN or infinite, or the pattern has changed.
        """
        if not self._recognise:
            self.version += 1
            return True
        self._check_pattern()
        if self._probe is None:
            self._make_probe()
        self._image, self._previous = self._previous, self._image
        started = time.perf_counter()
        self.matrix.mult(self._probe, self._image)
        self.product = min(self.product, time.perf_counter() - started)
        if not np.isfinite(self._image.norm()):
            self._image, self._previous = self._previous, self._image
            raise LinearSolveError(
                "the matrix has an entry that is NaN or infinite: expected finite coefficients. "
                "Check the parameters of this sample.",
                "not-finite",
            )
        if self.version and self._image.equal(self._previous):
            return False
        self.version += 1
        return True

    def same_pattern(self) -> bool:
        """Look whether entries have moved since the first refill; collective, expensive.

        `refilled` counts entries only; this tells why a solve went wrong.
        """
        if self._entries < 0:
            return True
        return bool(self.comm.allreduce(self._fingerprint() == self._pattern, MPI.LAND))

    def diagonal(self) -> Any:
        """Return the diagonal of the present values; owned here, do not change it."""
        if self._diagonal[0] != self.version:
            vector = self._diagonal[1] or self.matrix.createVecLeft()
            self.matrix.getDiagonal(vector)
            self._diagonal = (self.version, vector)
        return self._diagonal[1]

    def norm(self) -> float:
        """Return the infinity norm of the present values."""
        if self._norm[0] != self.version:
            self._norm = (self.version, self.matrix.norm(PETSc.NormType.NORM_INFINITY))
        return self._norm[1]

    def forget(self) -> None:
        """Take the next values for new ones, and their pattern for the right one."""
        self._entries = -1.0
        self.version += 1

    def destroy(self) -> None:
        """Free PETSc's objects; the matrix stays the caller's."""
        for vector in (self._probe, self._image, self._previous, self._diagonal[1]):
            if vector is not None:
                vector.destroy()

    def _make_probe(self) -> None:
        self._probe = self.matrix.createVecRight()
        start, end = self._probe.getOwnershipRange()
        rng = np.random.Generator(np.random.PCG64(_SEED).advance(start))
        self._probe.setArray(rng.random(end - start))
        self._image = self.matrix.createVecLeft()
        self._previous = self._image.duplicate()

    def _check_pattern(self) -> None:
        info = self.matrix.getInfo(PETSc.Mat.InfoType.GLOBAL_SUM)
        size, entries = self.matrix.getSize()[0], float(info["nz_used"])
        if self._entries >= 0 and (size, entries) != (self.size, self._entries):
            message = (
                f"the pattern of the matrix changed in the middle of the sequence: expected "
                f"{self.size} rows with {self._entries:.0f} entries, received {size} with "
                f"{entries:.0f}. Keep zeros as entries, or start another sequence."
            )
            self.size, self._entries = size, entries
            raise LinearSolveError(message, "pattern")
        if self._entries < 0:
            self._pattern = self._fingerprint()
        self.size, self._entries = size, entries

    def _fingerprint(self) -> int:
        """Return a number that stands for the places of this rank's entries."""
        starts, columns, _ = self.matrix.getValuesCSR()
        return crc32(columns.tobytes(), crc32(starts.tobytes()))
