"""The parity cube: what was seen is reproduced, and further cycles are foretold.

A run of all cycles on DOLFINx is the judge. Errors are relative in L2; accumulated plasticity
below a hundredth of its largest norm counts relative to that, since it starts from zero.
"""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from rom.products import SparseProduct
from rom.structures.held_out import relative_error
from rom.structures.mass import mass_matrix
from rom.structures.model import ReducedStructure
from rom.structures.offline import build_structure
from rom.structures.online import run
from rom.structures.reconstruction import displacement, reconstruct
from rom.structures.settings import StructureSettings
from rom.structures.trajectory import Trajectory
from solvers.backend import MPI
from solvers.laws.description import law_from
from solvers.problems.structures.cube import Cube, CubeSettings
from solvers.structures.model import StructureModel
from solvers.structures.state_files import History

# The plastic strain goes on in all cycles: four of them tell what the fifth is like.
CYCLES, SEEN, STEPS = 5, 4, 10
TIGHT = StructureSettings(
    displacement_tolerance=1e-7,
    stress_tolerance=1e-6,
    cubature_tolerance=1e-6,
    dual_tolerance=1e-7,
)
P = "accumulated_plasticity"


@dataclass(frozen=True)
class Parity:
    """The model of the first cycles, and the errors (T,) of all steps of all cycles."""

    model: ReducedStructure
    displacement: NDArray[np.float64]
    plasticity: NDArray[np.float64]
    amounts: NDArray[np.float64]


@pytest.fixture(scope="module")
def parity() -> Parity:
    case = Cube(CubeSettings(cells=3, cycles=CYCLES, increments=STEPS)).case()
    law, truth = law_from(case.law), History()
    full = StructureModel(case.mesh, law, case.loads, MPI.COMM_SELF)
    full.run(case.times, truth)
    full.destroy()
    seen = slice(SEEN * STEPS + 1)
    u, p = truth.displacement, truth.internal[:, :, law.column(P)]
    training = Trajectory(case.times[seen], u[seen], case.loads)
    model, _ = build_structure(case.mesh, law, [training], TIGHT)
    length, volumes = SparseProduct(mass_matrix(case.mesh)), case.mesh.material_weights
    amounts = np.sqrt(np.einsum("tkc,tkc,k->t", p, p, volumes))
    loads, previous = model.loads(case.loads), None
    moved, flowed = [], []
    for i, (state, _) in enumerate(run(model, loads, model.start(), case.times[1:]), start=1):
        pair = np.stack([displacement(model, loads, state) - u[i], u[i]]).reshape(2, -1)
        away, size = length.norms(pair.T)
        moved.append(away / size)
        previous = reconstruct(model, state, P, previous).values
        flowed.append(relative_error(previous, p[i], volumes, float(amounts.max())))
    return Parity(model, np.array(moved), np.array(flowed), amounts)


def test_the_reproduced_case_has_the_displacement_and_plasticity_of_the_full_order_run(
    parity: Parity,
) -> None:
    seen = slice(SEEN * STEPS)
    assert parity.displacement[seen].max() < 1e-4
    assert parity.plasticity[seen].max() < 1e-4


def test_a_further_cycle_is_foretold(parity: Parity) -> None:
    later = slice(SEEN * STEPS, None)
    assert parity.displacement[later].max() < 1e-4
    assert parity.plasticity[later].max() < 1e-3


def test_the_law_is_asked_at_a_part_of_the_points_only(parity: Parity) -> None:
    model = parity.model
    assert len(model.places) < model.mesh.n_material_points
    assert (model.weights > 0.0).all()


def test_the_further_cycle_is_worth_foretelling(parity: Parity) -> None:
    """It would not be, if the structure had come to rest."""
    assert parity.amounts[-1] > 1.1 * parity.amounts[SEEN * STEPS]
