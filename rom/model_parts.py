"""The numbers of a reduced model, without behaviour."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from infra.field_space import FieldSpace
from rom.quantity_model import QuantityModel
from rom.regions import Region
from rom.regression.time_regressor import TimeRegressor
from rom.trust.indicator import ErrorIndicator
from rom.trust.statistic import Offset

__all__ = ["ModelParts"]

type _Floats = NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class ModelParts:
    """See the module.

    Attributes
    ----------
    space
        Where the values of a frame live.
    modes, centre
        Of the basis, (n, r) and (n,) or None, 32 or 64 bits.
    singular_values
        All that were computed, descending.
    offset
        Of the centre, for norms.
    regressor
        Of the coefficients.
    quantities
        Of interest.
    points
        Training points in unit coordinates, (m, d).
    coefficients
        Of the training, (m, T, r).
    indicator
        Of the error.
    regions
        Named parts of the mesh.
    """

    space: FieldSpace
    modes: NDArray[np.floating]
    centre: NDArray[np.floating] | None
    singular_values: _Floats
    offset: Offset
    regressor: TimeRegressor
    quantities: QuantityModel
    points: _Floats
    coefficients: _Floats
    indicator: ErrorIndicator
    regions: Mapping[str, Region]
