r"""The inner product of a dataset's fields: block diagonal, one block per field, units removed.

.. math::
   \langle u, v \rangle = \sum_f s_f^{-2} \, u_f^T M_f v_f, \qquad
   M_f = \text{mass, mass} + \ell^2 \, \text{stiffness, or identity}

with a scale s_f in the units of field f, so that fields of different units can be added. The
matrices are those of linear elements on the cells of the field's location. Quadratic fields of
flows are stored on vertices and edge midpoints, with four linear triangles to a cell
(``face_nodes``): their product is that of the piecewise linear function through all nodes.
Where parameters deform the mesh, it is the product on the reference mesh.
"""

from collections.abc import Mapping
from typing import Literal, cast, final, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from infra.errors import UserError
from infra.field_space import FieldSpace
from infra.records import Json
from rom.finite_elements import Simplices
from rom.products import InnerProduct
from rom.reduction import Reducer

__all__ = ["FieldProduct", "ProductKind", "field_product"]

type _Floats = NDArray[np.float64]
type ProductKind = Literal["mass", "h1", "euclidean"]


@final
class FieldProduct(InnerProduct):
    """See the module. Made by `field_product`.

    Parameters
    ----------
    space
        The fields.
    kind, scales, length
        As in `field_product`.
    matrices
        M_f by location; None for the identity.
    reducer
        As in `InnerProduct`.
    """

    def __init__(
        self,
        space: FieldSpace,
        kind: ProductKind,
        scales: Mapping[str, float],
        length: float,
        matrices: Mapping[str, csr_array | None],
        reducer: Reducer | None = None,
    ) -> None:
        super().__init__(space.n_values, reducer)
        self._kind, self._scales, self._length = kind, dict(scales), length
        self._blocks = [
            (space.slices[info.name], matrices[info.location], scales[info.name] ** -2)
            for info in space.fields
        ]

    @property
    def scales(self) -> Mapping[str, float]:
        """The scale of each field, in its units."""
        return dict(self._scales)

    @property
    def weights(self) -> _Floats | None:
        """The diagonal, shape (n,), for the kind ``euclidean``; None else."""
        if self._kind != "euclidean":
            return None
        sizes = [place.stop - place.start for place, _, _ in self._blocks]
        return np.repeat([weight for _, _, weight in self._blocks], sizes)

    def describe(self) -> dict[str, Json]:
        """Return kind, scales and length, for JSON: the arguments of `field_product`."""
        scales = cast(dict[str, Json], dict(self._scales))
        return {"kind": self._kind, "scales": scales, "length": self._length}

    def _apply(self, u: _Floats) -> _Floats:
        result = np.empty_like(u)
        for place, matrix, weight in self._blocks:
            result[place] = u[place] if matrix is None else np.asarray(matrix @ u[place])
            result[place] *= weight
        return result


def field_product(
    space: FieldSpace,
    kind: ProductKind = "mass",
    scales: Mapping[str, float] | None = None,
    length: float = 1.0,
    reducer: Reducer | None = None,
) -> FieldProduct:
    """Return the inner product of the fields of a space, see the module.

    Parameters
    ----------
    space
        Fields, points and cells.
    kind
        ``mass`` (L2), ``h1`` (values and gradients) or ``euclidean`` (each value counts 1).
    scales
        One positive number per field, in its units; `rom.field_scales.field_scales` measures
        them. None: all are 1, which is right for one field, or fields of the same units.
    length
        The length by which gradients are multiplied in ``h1``, m.
    reducer
        The processes that share the fields; `space` then holds the cells of this process.

    Returns
    -------
    FieldProduct
        The product.

    Raises
    ------
    UserError
        If cells are missing for ``mass`` or ``h1``, the mesh is damaged, or a scale or the
        length is not positive.
    """
    if kind not in get_args(ProductKind.__value__):
        raise UserError(f"Expected the product mass, h1 or euclidean; received {kind!r}.")
    names = [info.name for info in space.fields]
    given = dict.fromkeys(names, 1.0) if scales is None else dict(scales)
    numbers = [*given.values(), length]
    if set(given) != set(names) or not all(np.isfinite(s) and s > 0 for s in numbers):
        raise UserError(
            f"Expected a positive length and a positive scale for each of {names}; received "
            f"{length} and {given}."
        )
    matrices = {name: _matrix(space, name, kind, length) for name in space.locations}
    ordered = {name: float(given[name]) for name in names}
    return FieldProduct(space, kind, ordered, length, matrices, reducer)


def _matrix(space: FieldSpace, location: str, kind: ProductKind, length: float) -> csr_array | None:
    if kind == "euclidean":
        return None
    if location not in space.cells:
        fields = [info.name for info in space.fields if info.location == location]
        raise UserError(
            f"Expected cells over `{location}`, which carries {fields}, for the product {kind!r}; "
            f"the dataset has those over {sorted(space.cells) or 'none'}. Use the product "
            "'euclidean', leave these fields out, or store the cells."
        )
    mesh = Simplices(space.points[location], space.cells[location])
    return mesh.mass if kind == "mass" else mesh.mass + length**2 * mesh.stiffness
