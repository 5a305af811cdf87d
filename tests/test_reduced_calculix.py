"""Nonintrusive: a reduced structure from the displacements of CalculiX, and nothing else of it.

The notched plate hardens linearly under cycles of tension at one temperature. Three amplitudes are
computed by the real program; another amplitude, and another history, are foretold. Errors are
relative in the Euclidean norm of all nodal displacements, the largest over time: small ones near
zero load count in full.
"""

import shutil
from collections.abc import Callable

import numpy as np
import pytest

from rom.structures.model import ReducedStructure
from rom.structures.offline import build_structure
from rom.structures.online import run
from rom.structures.reconstruction import displacement
from rom.structures.settings import StructureSettings
from rom.structures.trajectory import Trajectory
from solvers.adapters.calculix.run import CalculiX
from solvers.adapters.external import ExternalCase
from solvers.laws.description import law_from
from solvers.problems.structures.notched_plate import NotchedPlate, NotchedPlateSettings

SEEN, UNSEEN = (100.0, 125.0, 150.0), ((140.0, -1.0), (130.0, -0.5))
LOOSE = StructureSettings(stress_tolerance=1e-4, cubature_tolerance=1e-4, dual_tolerance=1e-3)

type Compute = Callable[[float, float], Trajectory]


@pytest.fixture(scope="module")
def plate() -> NotchedPlate:
    settings = NotchedPlateSettings(
        law="linear-hardening", around=6, away=5, through=1, cycles=1, increments=12
    )
    return NotchedPlate(settings)


@pytest.fixture(scope="module")
def compute(plate: NotchedPlate, tmp_path_factory: pytest.TempPathFactory) -> Compute:
    """Give a function that runs CalculiX for a highest stress and a ratio."""
    program = shutil.which("ccx")
    if program is None:
        pytest.fail("expected the program ccx, received none; install Debian's calculix-ccx")
    mesh = plate.mesh()

    def solve(stress: float, ratio: float) -> Trajectory:
        made = plate.case({"stress": stress, "ratio": ratio}, mesh)
        case = ExternalCase(mesh, law_from(made.law), made.loads, made.times)
        found = CalculiX(program).solve(case, tmp_path_factory.mktemp("ccx"))
        # Displacements alone: stresses are left behind here.
        return Trajectory(found.times, found.displacement, made.loads)

    return solve


@pytest.fixture(scope="module")
def training(compute: Compute) -> list[Trajectory]:
    return [compute(stress, -1.0) for stress in SEEN]


@pytest.fixture(scope="module")
def model(plate: NotchedPlate, training: list[Trajectory]) -> ReducedStructure:
    made = plate.case()
    return build_structure(made.mesh, law_from(made.law), training, LOOSE)[0]


@pytest.mark.parametrize(("stress", "ratio"), UNSEEN)
def test_calculix_is_foretold_within_two_percent(
    model: ReducedStructure, compute: Compute, stress: float, ratio: float
) -> None:
    theirs = compute(stress, ratio)
    loads = model.loads(theirs.loads)
    states = run(model, loads, model.start(), theirs.times[1:])
    found = np.array([displacement(model, loads, state) for state, _ in states])
    errors = relative(found, theirs.displacement[1:])
    assert errors.max() < 0.02, errors


@pytest.mark.parametrize(("stress", "ratio"), UNSEEN)
def test_what_was_seen_is_no_answer_to_these_loads(
    training: list[Trajectory], compute: Compute, stress: float, ratio: float
) -> None:
    """Scaling a run that was seen, as if nothing flowed, is five times as far away."""
    theirs = compute(stress, ratio)
    for amplitude, seen in zip(SEEN, training, strict=True):
        scaled = seen.displacement[1:] * stress / amplitude
        assert relative(scaled, theirs.displacement[1:]).max() > 0.1


def test_the_law_is_asked_at_a_quarter_of_the_points(model: ReducedStructure) -> None:
    assert len(model.places) <= model.mesh.n_material_points / 4


def relative(found: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Return the errors (T,) of displacements (T, N, 3)."""
    return np.asarray(
        np.linalg.norm(found - exact, axis=(1, 2)) / np.linalg.norm(exact, axis=(1, 2))
    )
