"""The check that a structure cannot move as a rigid body. Plain NumPy."""

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError
from solvers.mesh import FloatArray

__all__ = ["require_held"]

_SMALL = 1e-6


def require_held(points: FloatArray, held: NDArray[np.bool_]) -> None:
    """Check that no shift and no turn leaves all prescribed components as they are.

    Parameters
    ----------
    points : (N, 3) of the nodes, mm
    held : (N, 3) bool, components that are prescribed

    Raises
    ------
    UserError
        If there is one.
    """
    arms = points - points.mean(axis=0)
    arms = arms / np.abs(arms).max()
    shifts = [np.broadcast_to(axis, arms.shape) for axis in np.eye(3)]
    turns = [np.cross(axis, arms) for axis in np.eye(3)]
    motions = np.stack([*shifts, *turns])[:, held]
    free = 6 - int(np.linalg.matrix_rank(motions, tol=_SMALL)) if held.any() else 6
    if free:
        raise UserError(
            f"prescribed: expected displacements that leave no rigid motion, received some that "
            f"leave {free} of 6; hold more components (three planes of symmetry, or a clamped face)"
        )
