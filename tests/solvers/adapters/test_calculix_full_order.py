"""Two independent codes on one problem: the full-order model and CalculiX on the notched plate."""

from pathlib import Path

import numpy as np
import pytest

from solvers.adapters.calculix.run import CalculiX
from solvers.adapters.external import ExternalCase, ExternalHistory
from solvers.backend import MPI
from solvers.laws.description import law_from
from solvers.laws.mandel import von_mises
from solvers.problems.structures.notched_plate import NotchedPlate, NotchedPlateSettings
from solvers.structures.model import StructureModel


@pytest.fixture(scope="module")
def case() -> ExternalCase:
    settings = NotchedPlateSettings(
        law="linear-hardening", around=8, away=6, through=1, cycles=1, increments=8
    )
    problem = NotchedPlate(settings)
    made = problem.case(dict(problem.defaults))
    return ExternalCase(made.mesh, law_from(made.law), made.loads, np.asarray(made.times))


@pytest.fixture(scope="module")
def ours(case: ExternalCase) -> ExternalHistory:
    model = StructureModel(case.mesh, case.law, case.loads, MPI.COMM_SELF)
    state = model.initial_state(float(case.times[0]))
    states = [state]
    for t in case.times[1:]:
        state, _ = model.advance(state, float(t))
        states.append(state)
    displacement = np.zeros((len(states), case.mesh.n_nodes, 3))
    stress = np.zeros((len(states), case.mesh.n_material_points, 6))
    for frame, state in enumerate(states):
        displacement[frame, model.share.nodes] = state.displacement
        stress[frame, model.share.points] = state.stress
    model.destroy()
    return ExternalHistory(case.times, displacement, stress)


def test_both_codes_find_the_same_cycle(
    ccx: str, case: ExternalCase, ours: ExternalHistory, tmp_path: Path
) -> None:
    theirs = CalculiX(ccx).solve(case, tmp_path)
    assert ours.stress is not None
    assert theirs.stress is not None
    assert theirs.displacement == pytest.approx(
        ours.displacement, abs=1e-5 * np.abs(ours.displacement).max()
    )
    assert theirs.stress == pytest.approx(ours.stress, abs=1e-5 * np.abs(ours.stress).max())
    peaks = von_mises(ours.stress).max(axis=1), von_mises(theirs.stress).max(axis=1)
    assert peaks[1] == pytest.approx(peaks[0], rel=1e-5)
    # It yields at the notch, so that this says something about the law.
    elastic = case.law.elasticity.moduli(np.full(1, 600.0))
    assert elastic.shear[0] * 1e-4 < np.abs(ours.stress).max()
