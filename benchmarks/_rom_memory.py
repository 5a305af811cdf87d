"""One basis in a process of its own: ``python _rom_memory.py FOLDER METHOD TOLERANCE [RANK]``.

Prints the memory that it needed above what was there before, as JSON.
"""

import json
import sys
import time
from pathlib import Path
from typing import final

import numpy as np
import psutil
from numpy.typing import NDArray

from infra.field_space import FieldInfo, FieldSpace
from rom.basis import Basis, pod
from rom.hierarchical import hierarchical_pod
from rom.products import Euclidean
from rom.snapshots import Snapshots, StudyFrame

__all__ = ["FileSnapshots", "main"]

type _Floats = NDArray[np.float64]


@final
class FileSnapshots(Snapshots):
    """Trajectories in .npy files, each read when it is asked for.

    Parameters
    ----------
    folder
        What `_rom_problems.write_trajectories` wrote.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._x = folder, np.load(folder / "x.npy")
        shape = np.load(folder / "0000.npy", mmap_mode="r").shape
        space = FieldSpace(
            (FieldInfo("u", "1", shape[1], "node"),), {"node": np.zeros((shape[1], 1))}
        )
        bounds, times = np.array([[0.0, 1.0]] * 2), np.linspace(0.0, 1.0, shape[0])
        study = StudyFrame(space, ("a", "b"), ("1", "1"), bounds, times, {})
        super().__init__(study, tuple(range(len(self._x))))

    def _mu(self, index: int) -> _Floats:
        return np.asarray(self._x[index])

    def _values(self, index: int) -> _Floats:
        return np.asarray(np.load(self._folder / f"{index:04d}.npy"))

    def _quantities(self, index: int) -> dict[str, _Floats]:
        del index
        return {}


def _made(snapshots: Snapshots, method: str, tolerance: float, rank: int | None) -> Basis:
    product = Euclidean(snapshots.space.n_values)
    if method == "hierarchical":
        return hierarchical_pod(snapshots, product, tolerance)[0]
    # As many modes as the other side has, also where fewer would be enough for the tolerance.
    return pod(snapshots.matrix(), product, rank=rank, tolerance=0.01 * tolerance)


def _peak() -> int:
    """Return the largest memory of this program so far, bytes.

    Not that of `resource.getrusage`: it begins with the memory of the process that started this.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    (kilobytes,) = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(kilobytes) * 1024


def main() -> None:
    """Make the basis, then measure what it cannot represent."""
    folder, method, tolerance = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    rank = int(sys.argv[4]) if len(sys.argv) > 4 else None
    snapshots = FileSnapshots(folder)
    before = psutil.Process().memory_info().rss
    start = time.perf_counter()
    basis = _made(snapshots, method, tolerance, rank)
    seconds = time.perf_counter() - start
    peak = _peak() - before
    squares = [
        float((basis.projection_error(t.values, relative=False) ** 2).sum()) for t in snapshots
    ]
    error = float(np.sqrt(sum(squares) / snapshots.n_snapshots))
    print(json.dumps({"peak": peak, "seconds": seconds, "rank": basis.rank, "error": error}))


if __name__ == "__main__":
    main()
