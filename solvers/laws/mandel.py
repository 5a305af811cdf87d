r"""Symmetric second-order tensors as six Mandel components.

.. math::
   a = (a_{xx}, a_{yy}, a_{zz}, \sqrt 2 a_{yz}, \sqrt 2 a_{xz}, \sqrt 2 a_{xy})

The double contraction of two tensors is then the dot product of their vectors, for stresses and
strains alike, and a fourth-order tensor is a 6 x 6 matrix without factors of two (Mandel, 1965,
10.1016/0020-7683(65)90034-X). The last axis of every array holds the components.
"""

import numpy as np

from solvers.mesh import FloatArray

__all__ = [
    "deviator",
    "deviator_projector",
    "from_tensor",
    "identity",
    "norm",
    "rotation",
    "to_tensor",
    "trace",
    "volume_projector",
    "von_mises",
]

_ROOT2 = float(np.sqrt(2.0))
# Rows and columns of the components in the 3 x 3 matrix.
_ROWS, _COLUMNS = (0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1)
_SCALES = (1.0, 1.0, 1.0, _ROOT2, _ROOT2, _ROOT2)


def identity() -> FloatArray:
    """Return the unit tensor (6,)."""
    return np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])


def volume_projector() -> FloatArray:
    """Return the projector (6, 6) on multiples of the unit tensor."""
    one = identity()
    return np.outer(one, one) / 3.0


def deviator_projector() -> FloatArray:
    """Return the projector (6, 6) on tensors without trace."""
    return np.eye(6) - volume_projector()


def trace(tensor: FloatArray) -> FloatArray:
    """Return the traces (...) of tensors (..., 6)."""
    return np.asarray(tensor[..., 0] + tensor[..., 1] + tensor[..., 2])


def deviator(tensor: FloatArray) -> FloatArray:
    """Return tensors (..., 6) without their mean."""
    parts = np.array(tensor, dtype=np.float64)
    parts[..., :3] -= trace(parts)[..., None] / 3.0
    return parts


def norm(tensor: FloatArray) -> FloatArray:
    """Return the Frobenius norms (...) of tensors (..., 6)."""
    return np.sqrt(np.einsum("...i,...i->...", tensor, tensor))


def von_mises(stress: FloatArray) -> FloatArray:
    r"""Return :math:`\sqrt{3/2}\,|\mathrm{dev}\,\sigma|` (...) of stresses (..., 6), same unit."""
    return np.sqrt(1.5) * norm(deviator(stress))


def from_tensor(matrices: FloatArray) -> FloatArray:
    """Return the components (..., 6) of symmetric matrices (..., 3, 3)."""
    return np.asarray(matrices[..., _ROWS, _COLUMNS] * np.array(_SCALES))


def to_tensor(tensor: FloatArray) -> FloatArray:
    """Return the symmetric matrices (..., 3, 3) of components (..., 6)."""
    matrices = np.empty((*tensor.shape[:-1], 3, 3))
    values = tensor / np.array(_SCALES)
    matrices[..., _ROWS, _COLUMNS] = values
    matrices[..., _COLUMNS, _ROWS] = values
    return matrices


def rotation(turn: FloatArray) -> FloatArray:
    """Return the orthogonal matrix (6, 6) that turns tensors as `turn` (3, 3) turns vectors."""
    basis = to_tensor(np.eye(6))
    return np.ascontiguousarray(from_tensor(turn @ basis @ turn.T).T)
