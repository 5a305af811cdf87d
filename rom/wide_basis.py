"""A basis of more modes than the model needs, and all snapshots written in it.

The additional modes let trajectories be left out without touching a field again
(`rom.leave_one_out`).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rom.basis import Basis, pod
from rom.hierarchical import hierarchical_pod
from rom.leave_one_out import Coordinates
from rom.products import InnerProduct
from rom.settings import ReducedModelSettings
from rom.snapshots import Progress, Snapshots
from rom.truncation import Truncation
from rom.trust.statistic import Offset

__all__ = ["coordinates", "model_rank", "offset_of", "wide_basis"]

type _Floats = NDArray[np.float64]

# Part of the tolerance that the additional modes may leave out, and how many there may be.
_PART = 0.01
_MOST = 400


def wide_basis(
    snapshots: Snapshots,
    product: InnerProduct,
    settings: ReducedModelSettings,
    progress: Progress | None = None,
) -> Basis:
    """Return the basis with additional modes.

    Raises
    ------
    UserError
        If the snapshots do not fit the memory, or they are all the same.
    """
    # Above its rounding the method of snapshots serves, which is several times cheaper.
    rounding = float(np.sqrt(10 * snapshots.n_snapshots * np.finfo(np.float64).eps))
    wide = _PART * settings.tolerance
    tolerance = max(wide, min(rounding, 0.3 * settings.tolerance), 1e-14)
    most = max(_MOST, 2 * (settings.rank or 0))
    if settings.method == "hierarchical":
        basis, _ = hierarchical_pod(
            snapshots,
            product,
            tolerance,
            rank=min(most, snapshots.n_snapshots - settings.centre),
            centre=settings.centre,
            memory=settings.memory,
            progress=progress,
        )
        return basis
    rows = snapshots.matrix(memory=settings.memory, progress=progress)
    rank = min(most, len(rows) - settings.centre)
    return pod(rows, product, rank=rank, tolerance=tolerance, centre=settings.centre)


def model_rank(basis: Basis, settings: ReducedModelSettings) -> int:
    """Return how many of the modes the model keeps."""
    wanted = Truncation(settings.rank, settings.tolerance).count(basis.singular_values)
    return max(1, min(wanted, basis.rank))


def offset_of(basis: Basis) -> Offset:
    """Return the centre of a basis as norms need it."""
    if basis.centre is None:
        return Offset(0.0, np.zeros(basis.rank))
    centre = basis.centre[:, np.newaxis]
    slope = basis.product.gram(basis.modes, centre)[:, 0]
    return Offset(float(basis.product.norms(centre)[0]) ** 2, slope)


def coordinates(
    snapshots: Snapshots, basis: Basis, memory: int | None, progress: Callable[[int, int], None]
) -> Coordinates:
    """Read all trajectories once more, one at a time, and write them in the basis."""
    m, n_times = len(snapshots), len(snapshots.times)
    values = np.empty((m, n_times, basis.rank))
    residuals, squares = np.empty((m, n_times)), np.empty((m, n_times))
    for i, trajectory in enumerate(snapshots.read(memory=memory, progress=progress)):
        values[i] = basis.coefficients(trajectory.values)
        residuals[i] = basis.projection_error(trajectory.values, relative=False)
        squares[i] = basis.product.norms(trajectory.values.T) ** 2
    centred = basis.centre is not None
    return Coordinates(values, residuals, squares, offset_of(basis), centred)
