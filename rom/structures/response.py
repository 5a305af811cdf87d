"""What people ask of a structure: fields at nodes and quantities over time, of any of its models.

The reduced, the enriched and the full-order model give displacements, stresses and accumulated
plasticity; what is told of them is computed here, the same for all.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from infra.field_space import FieldInfo, FieldSpace
from rom.structures.life import CYCLES, RANGE, LifeSettings, cycles_to_failure, strain_range
from rom.structures.nodal import nodal_means
from rom.structures.tetrahedra import tetrahedra
from solvers.laws.mandel import von_mises
from solvers.structure_mesh import StructureMesh

__all__ = ["LOCATION", "PointFrame", "ResponseMaker", "StructureResponse", "structure_space"]

type _Floats = NDArray[np.float64]

# Name of the points that carry the fields.
LOCATION = "node"
_MOVED = ("displacement_x", "displacement_y", "displacement_z")
_METRES = 1e-3  # per mm


@final
@dataclass(frozen=True, eq=False)
class PointFrame:
    """A structure at one time.

    Attributes
    ----------
    displacement
        (N, 3), mm.
    stress
        (G, 6), Mandel components, MPa.
    plasticity
        Accumulated, (G,); None where the law has none.
    """

    displacement: _Floats
    stress: _Floats
    plasticity: _Floats | None


@final
@dataclass(frozen=True, eq=False)
class StructureResponse:
    """A structure over time.

    Attributes
    ----------
    times
        (T,), s.
    frames
        Fields behind each other as in `structure_space`, (n, T).
    quantities
        By name, (T,).
    """

    times: _Floats
    frames: _Floats
    quantities: Mapping[str, _Floats]


def structure_space(mesh: StructureMesh, *, flows: bool) -> FieldSpace:
    """Return the fields of a structure on its nodes; positions in m, cells are tetrahedra.

    Parameters
    ----------
    mesh
        The mesh.
    flows
        Whether the law has plasticity.
    """
    units = {"von_mises": "MPa"}
    if flows:
        units |= {"accumulated_plasticity": "1", "life_indicator": "1"}
    units |= dict.fromkeys(_MOVED, "mm")
    fields = tuple(FieldInfo(name, unit, mesh.n_nodes, LOCATION) for name, unit in units.items())
    return FieldSpace(fields, {LOCATION: _METRES * mesh.points}, {LOCATION: tetrahedra(mesh)})


@final
class ResponseMaker:
    """Makes the responses of one structure.

    Parameters
    ----------
    mesh
        The mesh.
    flows
        Whether the law has plasticity.
    steps
        Output times of a cycle.
    life
        Coefficients of the material; None: the strain range alone is told.
    """

    def __init__(
        self, mesh: StructureMesh, *, flows: bool, steps: int, life: LifeSettings | None
    ) -> None:
        self._mesh, self._flows, self._steps, self._life = mesh, flows, steps, life

    @property
    def units(self) -> dict[str, str]:
        """Units of the quantities, in their order."""
        names = {"largest_displacement": "mm", "largest_von_mises": "MPa"}
        if self._flows:
            names |= {"largest_plasticity": "1", RANGE: "1"}
            names |= {} if self._life is None else {CYCLES: "1"}
        return names

    def __call__(self, times: _Floats, frames: Iterable[PointFrame]) -> StructureResponse:
        """Return the response of frames at all times."""
        columns: list[_Floats] = []
        rows: list[list[float]] = []
        past: list[_Floats] = []
        for frame in frames:
            equivalent = von_mises(frame.stress)
            values = [self._nodal @ equivalent]
            lengths = np.linalg.norm(frame.displacement, axis=1)
            row = [float(lengths.max()), float(equivalent.max())]
            if frame.plasticity is not None and self._flows:
                past = [*past, frame.plasticity][-self._steps - 1 :]
                ranges = strain_range(frame.plasticity, past[0])
                values += [self._nodal @ frame.plasticity, self._nodal @ ranges]
                row += self._lives(frame.plasticity, ranges)
            columns.append(np.concatenate([*values, frame.displacement.T.reshape(-1)]))
            rows.append(row)
        found = dict(zip(self.units, np.array(rows).T, strict=True))
        return StructureResponse(times, np.stack(columns, axis=1), found)

    def _lives(self, plasticity: _Floats, ranges: _Floats) -> list[float]:
        largest = float(ranges.max())
        numbers = [float(plasticity.max()), largest]
        return numbers if self._life is None else [*numbers, cycles_to_failure(largest, self._life)]

    @cached_property
    def _nodal(self) -> csr_array:
        return nodal_means(self._mesh)
