"""States and histories of structures on disk and in memory. Plain NumPy, no pickle."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final
from zipfile import BadZipFile

import numpy as np

from infra.errors import UserError, storage_errors
from infra.files import replace_durably
from solvers.mesh import FloatArray
from solvers.structures.state import StructureState

__all__ = ["History", "load_state", "save_state"]

_ARRAYS = ("time", "displacement", "internal", "stress", "temperature")


def save_state(path: Path, state: StructureState) -> None:
    """Write a state to an npz file; readers see the old file or the new one, whole.

    Missing folders are made.

    Raises
    ------
    StorageFullError, StorageAccessError
        If it cannot be written.
    """
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {name: np.asarray(getattr(state, name)) for name in _ARRAYS}
    np.savez(buffer, **arrays)
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_durably(path, buffer.getvalue())


def load_state(path: Path) -> StructureState:
    """Read a state, bit by bit as it was saved.

    Raises
    ------
    UserError
        If there is no such file, or it does not hold a state.
    """
    try:
        # From memory: NumPy leaves a broken file open.
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            arrays = {name: file[name] for name in _ARRAYS}
    except OSError as error:
        raise _wrong(path, str(error.strerror or error)) from error
    except (KeyError, ValueError, EOFError, BadZipFile) as error:
        raise _wrong(path, f"something else ({error})") from error
    return StructureState(float(arrays.pop("time")), **arrays)


def _wrong(path: Path, received: str) -> UserError:
    return UserError(
        f"{path}: expected a state of a structure, received: {received}. Name a file that a run "
        "has saved."
    )


@final
class History:
    """A sink that keeps all states in memory, in the mesh's own numbering.

    Call it with the number of a time and the state then.
    """

    def __init__(self) -> None:
        self._states: dict[int, StructureState] = {}

    def __call__(self, number: int, state: StructureState) -> None:
        """Keep a state."""
        self._states[number] = state

    def __len__(self) -> int:
        return len(self._states)

    def state(self, number: int) -> StructureState:
        """Return the state of a time; negative numbers count from the last one."""
        ordered = sorted(self._states)
        return self._states[ordered[number] if number < 0 else number]

    @property
    def times(self) -> FloatArray:
        """The times (m,) in ascending order, s."""
        return np.array([one.time for one in self._ordered()])

    @property
    def displacement(self) -> FloatArray:
        """(m, N, 3) mm."""
        return np.stack([one.displacement for one in self._ordered()])

    @property
    def stress(self) -> FloatArray:
        """(m, C g, 6) Mandel components, MPa."""
        return np.stack([one.stress for one in self._ordered()])

    @property
    def internal(self) -> FloatArray:
        """(m, C g, s) internal variables of the law."""
        return np.stack([one.internal for one in self._ordered()])

    @property
    def temperature(self) -> FloatArray:
        """(m, C g) degrees Celsius."""
        return np.stack([one.temperature for one in self._ordered()])

    def arrays(self) -> Mapping[str, FloatArray]:
        """Return all of them by name."""
        names = ("times", "displacement", "stress", "internal", "temperature")
        return {name: getattr(self, name) for name in names}

    def _ordered(self) -> list[StructureState]:
        return [self._states[number] for number in sorted(self._states)]
