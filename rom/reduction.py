"""Sums over the parts of a field that lie on several processes, and how large they were.

Fields stay where they are: bases need of them only small matrices of inner products, each the sum
of what the processes compute from their own rows. A `Reducer` counts the largest of these sums,
so that a test can tell that no field was ever sent.
"""

from abc import ABC, abstractmethod
from typing import Any, Protocol, final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Comm", "Communicator", "Reducer", "Serial"]

type _Floats = NDArray[np.float64]


class Comm(Protocol):
    """What is used of an MPI communicator; that of mpi4py fits.

    The names are those of MPI.
    """

    def Get_size(self) -> int:  # noqa: N802, D102
        ...

    def Get_rank(self) -> int:  # noqa: N802, D102
        ...

    def Reduce(self, sendbuf: Any, recvbuf: Any) -> None:  # noqa: N802, D102
        ...

    def Bcast(self, buf: Any) -> None:  # noqa: N802, D102
        ...


class Reducer(ABC):
    """Adds arrays over all processes. Every process calls it, in the same order."""

    def __init__(self) -> None:
        self._largest = 0
        self._messages = 0

    @property
    def largest(self) -> int:
        """Most numbers that one process sent in one message so far."""
        return self._largest

    @property
    def messages(self) -> int:
        """Number of messages that one process sent so far."""
        return self._messages

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of processes."""

    @property
    @abstractmethod
    def rank(self) -> int:
        """Number of this process, from 0."""

    def sum(self, values: _Floats) -> _Floats:
        """Return the sum of this array over all processes, with the same bits on each.

        Parameters
        ----------
        values
            Any shape, the same on all processes. It is not changed.

        Returns
        -------
        numpy.ndarray
            The sum, same shape.
        """
        if self.size == 1:
            return values
        self._largest = max(self._largest, values.size)
        self._messages += 1
        return self._sum(np.ascontiguousarray(values, np.float64))

    @abstractmethod
    def _sum(self, values: _Floats) -> _Floats: ...


@final
class Serial(Reducer):
    """One process holds all rows."""

    @property
    def size(self) -> int:
        """Number of processes: 1."""
        return 1

    @property
    def rank(self) -> int:
        """Number of this process: 0."""
        return 0

    def _sum(self, values: _Floats) -> _Floats:
        return values


@final
class Communicator(Reducer):
    """The ranks of an MPI communicator, each with rows of its own.

    Parameters
    ----------
    comm
        For example ``mpi4py.MPI.COMM_WORLD``.
    """

    def __init__(self, comm: Comm) -> None:
        super().__init__()
        self._comm = comm

    @property
    def size(self) -> int:
        """Number of ranks."""
        return self._comm.Get_size()

    @property
    def rank(self) -> int:
        """Number of this rank."""
        return self._comm.Get_rank()

    def _sum(self, values: _Floats) -> _Floats:
        # An all-reduce may round differently on each rank, and the ranks would then take
        # different decisions; a sum that one rank sends to all is the same everywhere.
        total = np.empty_like(values)
        self._comm.Reduce(values, total)
        self._comm.Bcast(total)
        return total
