"""The recycle space: what one linear system leaves for the next one, as a value."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError

__all__ = ["RecycleSpace"]

_ARRAYS = ("U", "C", "T")
_NORMALS = ("", "image", "energy")


@final
@dataclass(frozen=True, eq=False)
class RecycleSpace:
    r"""A subspace in which the preconditioned operator is slow, kept in solution space.

    .. math:: C = A U, \qquad T \approx M U

    for the last matrix A and preconditioner M. GCRO-DR returns C with orthonormal columns, deflated
    CG returns U with :math:`U^T A U = I`; either method accepts a space of the other. U lies in
    solution space, so a new matrix costs k products and no application of the preconditioner
    (de Sturler (1999), doi:10.1137/S0036142997315950, and `scipy.sparse.linalg.gcrotmk` store it
    so). T serves only to choose vectors: Ritz problems of the preconditioned operator need
    :math:`M U`, which PETSc cannot compute.

    Parameters
    ----------
    U : basis, shape (n_local, k), Fortran-ordered float64, in units of the solution
    C : its image under the last matrix, same shape, in units of the right-hand side
    T : its image under the inverse of the preconditioner, same shape, same units as C
    age : solves since C was last computed by products with the matrix
    settled : the last solve with this matrix hardly moved the space
    normal : "image" if C^T C = I, "energy" if U^T A U = I, "" if unknown
    """

    U: NDArray[np.float64]
    C: NDArray[np.float64]
    T: NDArray[np.float64]
    age: int = 0
    settled: bool = False
    normal: str = ""

    @classmethod
    def empty(cls, n_local: int) -> "RecycleSpace":
        """Return the space of dimension zero on a rank that owns `n_local` rows."""
        none = np.empty((n_local, 0), order="F")
        return cls(none, none, none)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.float64]]) -> "RecycleSpace":
        """Return the space that `arrays` described.

        Raises
        ------
        UserError
            If an array is missing, or their shapes differ, or an entry is not finite.
        """
        shapes = {name: np.shape(arrays[name]) for name in _ARRAYS if name in arrays}
        alike = len(shapes) == len(_ARRAYS) and len(set(shapes.values())) == 1
        if not alike or len(shapes["U"]) != 2:
            raise UserError(
                f"recycle space: expected arrays {', '.join(_ARRAYS)} of one shape (n_local, k), "
                f"received {shapes}; pass what RecycleSpace.arrays() returned on this rank"
            )
        U, C, T = (np.asfortranarray(arrays[name], dtype=np.float64) for name in _ARRAYS)
        if not all(np.isfinite(array).all() for array in (U, C, T)):
            raise UserError(
                "recycle space: expected finite arrays, received NaN or infinity; "
                "start from RecycleSpace.empty instead"
            )
        age, settled, normal = (int(number) for number in arrays.get("state", (0, 0, 0)))
        return cls(U, C, T, age, bool(settled), _NORMALS[normal])

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """Return this rank's arrays by name, to store or to send to another process.

        Besides U, C and T of shape (n_local, k) there is ``state`` of shape (3,): age, settled and
        the number of the normalisation. Without it the space is normalised anew.
        """
        state = np.array([self.age, self.settled, _NORMALS.index(self.normal)], dtype=np.float64)
        return {"U": self.U, "C": self.C, "T": self.T, "state": state}

    @property
    def size(self) -> int:
        """Number of basis vectors k."""
        return int(self.U.shape[1])

    @property
    def n_local(self) -> int:
        """Number of rows on this rank."""
        return int(self.U.shape[0])
