"""Fields on the whole mesh from a reduced state, when they are asked for."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from rom.structures.model import ReducedStructure
from rom.structures.reduced_loads import ReducedLoads
from rom.structures.state import ReducedState
from solvers.laws.mandel import von_mises

__all__ = ["Reconstructed", "displacement", "reconstruct", "values_at_points", "von_mises_stress"]

type _Floats = NDArray[np.float64]

# Only grows, from zero: a sum of modes need not.
_GROWING = "accumulated_plasticity"


@final
@dataclass(frozen=True, eq=False)
class Reconstructed:
    """A field at all material points.

    Attributes
    ----------
    values
        (G, c) in the mesh's numbering.
    residual
        R of the fit (`rom.gappy`), dimensionless.
    """

    values: _Floats
    residual: float


def displacement(model: ReducedStructure, loads: ReducedLoads, state: ReducedState) -> _Floats:
    """Return the displacement, (N, 3), mm."""
    return model.displacement(state.q, loads.lift(state.time))


def values_at_points(model: ReducedStructure, state: ReducedState, name: str) -> _Floats:
    """Return a field at the model's points, (m, c), as the law gave it."""
    return state.stress if name == "stress" else state.internal[:, model.column(name)]


def reconstruct(
    model: ReducedStructure, state: ReducedState, name: str, previous: _Floats | None = None
) -> Reconstructed:
    """Return a field at all material points.

    Accumulated plasticity is never negative, and never below what it was before.

    Parameters
    ----------
    model, state
        The reduced structure and where it is.
    name
        ``stress`` or an internal variable.
    previous
        The same field at an earlier time, (G, c); used for accumulated plasticity alone.

    Raises
    ------
    UserError
        If the model was not built for this field.
    """
    values, residual = model.dual(name).lift(values_at_points(model, state, name))
    if name == _GROWING:
        values = np.maximum(values, 0.0 if previous is None else previous)
    return Reconstructed(values, residual)


def von_mises_stress(model: ReducedStructure, state: ReducedState) -> _Floats:
    """Return the von Mises stress at all material points, (G,), MPa."""
    return von_mises(reconstruct(model, state, "stress").values)
