"""Named parts of the mesh, for example boundary parts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError
from infra.field_space import FieldSpace

__all__ = ["Region", "check_regions"]


@final
@dataclass(frozen=True, eq=False)
class Region:
    """Points of one location.

    Attributes
    ----------
    location
        As in `FieldSpace`.
    nodes
        Places in this location, shape (k,).
    """

    location: str
    nodes: NDArray[np.int64]


def check_regions(regions: Mapping[str, Region], space: FieldSpace) -> None:
    """Check that regions fit a space.

    Raises
    ------
    UserError
        If one names another location or places that do not exist.
    """
    sizes = {info.location: info.size for info in space.fields}
    for name, region in regions.items():
        size, nodes = sizes.get(region.location, 0), region.nodes
        if nodes.ndim != 1 or not nodes.size or not 0 <= nodes.min() <= nodes.max() < size:
            raise UserError(
                f"Expected the region {name!r} to have at least one place below {size} in "
                f"`{region.location}`; locations are {sorted(sizes)}."
            )
