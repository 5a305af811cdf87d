"""A reduced structure that knows one more high-fidelity state."""

from typing import final

import numpy as np
from numpy.typing import NDArray

from rom.cubature.rule import CubatureRule
from rom.products import SparseProduct
from rom.structures.assembly import Bases, assemble
from rom.structures.dual import DualModes, extended
from rom.structures.full_step import FullState
from rom.structures.mass import mass_matrix
from rom.structures.model import ReducedStructure
from rom.structures.settings import StructureSettings
from rom.structures.state import ReducedState
from solvers.loads import LoadCase

__all__ = ["Extension"]

type _Floats = NDArray[np.float64]


@final
class Extension:
    """Extends models of one mesh.

    Parameters
    ----------
    model
        Any of them: the mesh counts.
    settings
        Tolerances, the same as those of the building.
    """

    def __init__(self, model: ReducedStructure, settings: StructureSettings) -> None:
        self._product = SparseProduct(mass_matrix(model.mesh))
        self._settings = settings

    def extend(
        self, model: ReducedStructure, loads: LoadCase, full: FullState
    ) -> ReducedStructure:  # fmt: skip
        """Return the model that knows `full` too; its first modes are those of `model`.

        What of the displacement no mode can express becomes a mode, if it is more than the
        tolerance; stress and fields go into their bases with all that was known; the cubature goes
        on from the points of before.
        """
        volumes = model.mesh.material_weights
        modes, sigma = self._with_mode(model, self._free(model, loads, full))
        tolerance = self._settings.dual_tolerance
        fields = [
            extended(dual.field, [_field(model, dual.field, full)], volumes, tolerance)
            for dual in model.duals.values()
        ]
        power = extended(model.power, [full.stress], volumes, self._settings.stress_tolerance)
        bases = Bases(model.lifting, modes, sigma, power, tuple(fields))
        start = _rule(model)
        return assemble(
            model.mesh, model.law, bases, self._settings.cubature_tolerance, start
        )[0]  # fmt: skip

    def state(self, model: ReducedStructure, loads: LoadCase, full: FullState) -> ReducedState:
        """Return the reduced state of a full one: its displacement projected, the rest taken."""
        free = self._free(model, loads, full)
        q = self._product.gram(model.modes, free[:, None])[:, 0]
        places = model.places
        return ReducedState(full.time, q, full.stress[places], full.internal[places])

    def _free(self, model: ReducedStructure, loads: LoadCase, full: FullState) -> _Floats:
        """Return the displacement without its prescribed part, (3 N,)."""
        lift = model.lifting.values(loads, full.time) @ model.lifting.fields
        return np.asarray(full.displacement.reshape(-1) - lift)

    def _with_mode(self, model: ReducedStructure, free: _Floats) -> tuple[_Floats, _Floats]:
        rest = free[:, None]
        size = float(self._product.norms(rest)[0])
        for _ in range(2):  # once more, for modes that are orthogonal to rounding
            rest = rest - model.modes @ self._product.gram(model.modes, rest)
        norm = float(self._product.norms(rest)[0])
        if norm <= self._settings.displacement_tolerance * size:
            return model.modes, model.singular_values
        modes = np.column_stack([model.modes, rest / norm])
        # What the building has discarded stays discarded: the card tells it.
        kept, rest_values = np.split(model.singular_values, [model.rank])
        return modes, np.r_[kept, norm, rest_values]


def _field(model: ReducedStructure, field: DualModes, full: FullState) -> _Floats:
    return full.stress if field.name == "stress" else full.internal[:, model.column(field.name)]


def _rule(model: ReducedStructure) -> CubatureRule:
    """Return the rule of a model, to start from."""
    n = model.integration_points
    empty = np.empty(0, np.int64)
    return CubatureRule(model.places[:n], model.weights, empty, np.nan, np.nan, 0, 0)
