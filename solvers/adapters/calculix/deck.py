"""Input decks of CalculiX from mesh, law, loads and times: pure text.

Each interval of time is one step that starts with one increment of its whole length, so that
CalculiX integrates the law over the same increments as our models; it cuts them only if its
Newton iterations fail. Loads hold their values at the end of each step.

In linear hexahedra (C3D8) CalculiX takes the mean temperature of the cell's nodes at all points,
where `StructureMesh.at_material_points` interpolates. With temperature gradients the two differ
within a cell until the mesh is fine; tetrahedra agree on every mesh.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np

from infra.errors import UserError
from solvers.adapters.calculix.cards import card, number, rows, set_card
from solvers.adapters.calculix.material import is_viscous, material_cards
from solvers.adapters.external import ExternalCase
from solvers.laws.law import Law
from solvers.loads import Centrifugal
from solvers.mesh import IntArray
from solvers.structure_facets import locate_facets

__all__ = ["deck"]

_ELEMENTS = {"hexahedron": "C3D8", "tetrahedron": "C3D4", "tetrahedron10": "C3D10"}
# CalculiX's number of each of our local facets.
_FACES = {
    "hexahedron": (6, 4, 3, 5, 1, 2),
    "tetrahedron": (1, 2, 4, 3),
    "tetrahedron10": (1, 2, 4, 3),
}
# More than any step needs; the last increment of a step is written in any case.
_MANY = 100_000
_SMALLEST_SHARE = 1e-4


def deck(case: ExternalCase, tolerance: float) -> str:
    """Return the text of the deck of a case.

    Parameters
    ----------
    case : what is computed
    tolerance : largest residual force as a part of the mean force, and largest correction of the
        displacement as a part of its increment, where Newton's method stops

    Raises
    ------
    UserError
        If CalculiX cannot express the law, or two pressures act on one facet.
    """
    parts = _Parts(case)
    lines = [*_model(case), *_sets(parts)]
    for start, end in zip(case.times[:-1], case.times[1:], strict=True):
        lines += _step(parts, (float(start), float(end)), tolerance)
    return "\n".join(lines) + "\n"


@final
@dataclass(frozen=True, eq=False)
class _Parts:
    """A case with the sets that its loads need."""

    case: ExternalCase

    @cached_property
    def nodes(self) -> list[IntArray]:
        """Nodes of each condition without those that a later one of its component holds."""
        later: dict[int, IntArray] = {}
        left = []
        for entry in reversed(self.case.loads.prescribed):
            nodes = np.unique(self.case.mesh.nodes[entry.region]).astype(np.int64)
            taken = later.get(entry.component, np.zeros(0, dtype=np.int64))
            left.append(np.setdiff1d(nodes, taken))
            later[entry.component] = np.union1d(taken, nodes)
        return left[::-1]

    @cached_property
    def faces(self) -> list[dict[int, IntArray]]:
        """For each pressure CalculiX's face numbers and the cells that have such a face there."""
        mesh, found = self.case.mesh, []
        owners: list[IntArray] = []
        for pressure in self.case.loads.pressures:
            cells, places = locate_facets(
                mesh.kind, mesh.cells, mesh.facets[pressure.region], pressure.region
            )
            owners.append(cells * len(_FACES[mesh.kind]) + places)
            numbers = np.array(_FACES[mesh.kind])[places]
            found.append({int(face): cells[numbers == face] for face in np.unique(numbers)})
        _require_single_pressures(owners)
        return found


def _model(case: ExternalCase) -> Iterator[str]:
    mesh, law = case.mesh, case.law
    yield card("NODE", NSET="NALL")
    for index, point in enumerate(mesh.points, start=1):
        yield ",".join([str(index), *(number(x) for x in point)])
    yield card("ELEMENT", TYPE=_ELEMENTS[mesh.kind], ELSET="EALL")
    yield from rows(np.column_stack([np.arange(mesh.n_cells), mesh.cells]) + 1)
    rotation = case.loads.centrifugal
    yield from material_cards(law, None if rotation is None else rotation.density)
    yield card("SOLID SECTION", ELSET="EALL", MATERIAL="LAW")
    # Thermal strains count from the initial temperature, which is therefore the reference one.
    yield card("INITIAL CONDITIONS", TYPE="TEMPERATURE")
    yield f"NALL,{number(law.reference_temperature)}"


def _sets(parts: _Parts) -> Iterator[str]:
    for index, nodes in enumerate(parts.nodes):
        if len(nodes):
            yield from set_card("NSET", f"N{index}", nodes.tolist())
    for index, faces in enumerate(parts.faces):
        for face, cells in faces.items():
            yield from set_card("ELSET", f"P{index}F{face}", cells.tolist())


def _step(parts: _Parts, span: tuple[float, float], tolerance: float) -> Iterator[str]:
    case, end = parts.case, span[1]
    yield card("STEP", INC=_MANY)
    yield from _procedure(case.law, end - span[0])
    yield card("CONTROLS", PARAMETERS="FIELD")
    # The fifth entry holds where convergence is slow; the others are CalculiX's own.
    yield ",".join([*(number(tolerance) for _ in range(2)), "", "", number(tolerance)])
    yield from _conditions(parts, end)
    yield from _forces(parts, end)
    if case.loads.temperature is not None:
        yield "*TEMPERATURE"
        for index, warm in enumerate(case.loads.temperature.at(end), start=1):
            yield f"{index},{number(warm)}"
    yield card("NODE PRINT", NSET="NALL", FREQUENCY=_MANY)
    yield "U"
    yield card("EL PRINT", ELSET="EALL", FREQUENCY=_MANY)
    yield "S"
    yield card("NODE FILE", FREQUENCY=_MANY)
    yield "U"
    yield "*END STEP"


def _procedure(law: Law, span: float) -> list[str]:
    # The creep tolerance would otherwise choose the increments: it is set out of reach.
    name = card("VISCO", CETOL="1.e10") if is_viscous(law) else "*STATIC"
    return [name, ",".join(number(x) for x in (span, span, _SMALLEST_SHARE * span, span))]


def _conditions(parts: _Parts, t: float) -> Iterator[str]:
    yield "*BOUNDARY"
    for index, entry in enumerate(parts.case.loads.prescribed):
        if len(parts.nodes[index]):
            axis = entry.component + 1
            yield f"N{index},{axis},{axis},{number(entry.at(t))}"


def _forces(parts: _Parts, t: float) -> Iterator[str]:
    loads = parts.case.loads
    if loads.pressures or loads.centrifugal is not None:
        yield "*DLOAD"
    for index, pressure in enumerate(loads.pressures):
        for face in parts.faces[index]:
            yield f"P{index}F{face},P{face},{number(pressure.at(t))}"
    if loads.centrifugal is not None:
        yield _centrifugal(loads.centrifugal, t)


def _centrifugal(load: Centrifugal, t: float) -> str:
    axis = np.asarray(load.axis) / np.linalg.norm(load.axis)
    values = (load.amplitude(t) * load.speed**2, *load.point, *axis)
    return ",".join(["EALL", "CENTRIF", *(number(value) for value in values)])


def _require_single_pressures(facets: list[IntArray]) -> None:
    together = np.concatenate([*facets, np.zeros(0, dtype=np.int64)])
    common = len(together) - len(np.unique(together))
    if common:
        raise UserError(
            "CalculiX keeps one pressure per facet: expected pressures on regions without common "
            f"facets, received {common} facets with more than one; add up these pressures or "
            "split the regions"
        )
