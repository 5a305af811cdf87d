"""Snapshots of which only some quantities of interest are looked at."""

from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError
from rom.snapshots import Snapshots, StudyFrame

__all__ = ["ChosenQuantities"]

type _Floats = NDArray[np.float64]


@final
class ChosenQuantities(Snapshots):
    """Other snapshots with fewer quantities: a dataset also holds what its solver reports.

    Parameters
    ----------
    inner : the snapshots
    names : the quantities that are kept

    Raises
    ------
    UserError
        If one of them is unknown.
    """

    def __init__(self, inner: Snapshots, names: Sequence[str]) -> None:
        units = dict(inner.quantity_units)
        unknown = [name for name in names if name not in units]
        if unknown:
            raise UserError(
                f"quantities: expected names out of {', '.join(units) or 'none'}, received "
                f"{', '.join(unknown)}"
            )
        self._inner = inner
        kept = {name: unit for name, unit in units.items() if name in names}
        study = StudyFrame(
            inner.space, inner.names, inner.units, inner.bounds, inner.times, kept
        )  # fmt: skip
        super().__init__(study, inner.indices)

    def _mu(self, index: int) -> _Floats:
        return self._inner.mu(index)

    def _values(self, index: int) -> _Floats:
        return self._inner.trajectory(index).values

    def _quantities(self, index: int) -> dict[str, _Floats]:
        found = self._inner.quantities(index)
        return {name: found[name] for name in self.quantity_units}
