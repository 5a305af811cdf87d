"""The runs of the last queries: whoever asks for one field asks for the next one soon."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import final

import numpy as np
from numpy.typing import NDArray

from rom.structures.response import StructureResponse

__all__ = ["KeptRuns", "StructureRun"]

type _Floats = NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class StructureRun:
    """The reduced run of one query.

    Attributes
    ----------
    response
        Fields and quantities.
    coefficients
        Of the modes, (T, n).
    eta
        Indicator of each step, (T - 1,).
    """

    response: StructureResponse
    coefficients: _Floats
    eta: _Floats


@final
class KeptRuns:
    """Runs by parameters; the one that was not used for longest gives way.

    Safe for several threads; each waits for a run of the same parameters that another has begun.

    Parameters
    ----------
    compute
        Makes the run of parameters (d,).
    entries
        How many runs are kept, at least 1.
    limit
        Bytes of fields that are kept; the last run stays whatever its size is.
    """

    def __init__(
        self, compute: Callable[[_Floats], StructureRun], entries: int = 16, limit: int = 1 << 28
    ) -> None:
        self._compute, self._entries, self._limit = compute, entries, limit
        self._kept: OrderedDict[bytes, StructureRun] = OrderedDict()
        self._turns: dict[bytes, Lock] = {}
        self._lock = Lock()

    def __call__(self, row: _Floats) -> StructureRun:
        """Return the run of parameters (d,)."""
        key = np.ascontiguousarray(row, np.float64).tobytes()
        with self._lock:
            turn = self._turns.setdefault(key, Lock())
        try:
            with turn:
                found = self._known(key)
                if found is None:
                    found = self._compute(row)
                    self._keep(key, found)
                return found
        finally:
            with self._lock:
                self._turns.pop(key, None)

    def __len__(self) -> int:
        return len(self._kept)

    def _known(self, key: bytes) -> StructureRun | None:
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def _keep(self, key: bytes, run: StructureRun) -> None:
        with self._lock:
            self._kept[key] = run
            while len(self._kept) > 1 and (len(self._kept) > self._entries or self._full):
                self._kept.popitem(last=False)

    @property
    def _full(self) -> bool:
        return sum(run.response.frames.nbytes for run in self._kept.values()) > self._limit
