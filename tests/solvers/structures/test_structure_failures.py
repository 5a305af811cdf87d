"""Steps that cannot be solved are cut; at last the run stops, by name, with its state saved."""

import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from solvers.backend import MPI
from solvers.laws.law import Law
from solvers.loads import Amplitude, LoadCase, Prescribed, Pressure
from solvers.structures.errors import LoadStepError
from solvers.structures.model import StructureModel
from solvers.structures.settings import StructureSettings
from solvers.structures.state_files import History, load_state

RAMP = Amplitude((0.0, 1.0), (0.0, 1.0))
HELD = (Prescribed("x0", 0), Prescribed("y0", 1), Prescribed("z0", 2))


@pytest.fixture(scope="module")
def laws() -> SimpleNamespace:
    """Give the laws of the file beside this one."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("structure_laws.py"))))


def pulled(strain: float) -> LoadCase:
    return LoadCase((*HELD, Prescribed("x1", 0, strain, RAMP)))


def test_a_law_that_fails_cuts_the_step_and_the_result_is_the_same(
    box: Callable[..., Any], law: Callable[..., Law], laws: SimpleNamespace
) -> None:
    mesh, elastic = box(), law("thermoelastic")
    found = []
    for one in (elastic, laws.Brittle(elastic.elasticity, elastic, 3e-4)):
        model = StructureModel(mesh, one, pulled(1e-3), MPI.COMM_SELF)
        found.append(model.advance(model.initial_state(0.0), 1.0))
        model.destroy()
    (smooth, easy), (cut, hard) = found
    assert (easy.cuts, easy.increments) == (0, 1)
    assert hard.cuts >= 2
    assert hard.increments >= 4
    np.testing.assert_allclose(cut.displacement, smooth.displacement, atol=1e-12)
    assert cut.time == 1.0


def test_a_law_that_never_succeeds_stops_the_run_where_it_was(
    box: Callable[..., Any], law: Callable[..., Law], laws: SimpleNamespace
) -> None:
    few = StructureSettings(max_cuts=3)
    elastic = law("thermoelastic")
    broken = laws.Brittle(elastic.elasticity, elastic, 1e-9)
    model = StructureModel(box(), broken, pulled(1e-3), MPI.COMM_SELF, few)
    with pytest.raises(LoadStepError, match=r"halved 3 times.*the strain changes too much") as seen:
        model.advance(model.initial_state(0.0), 1.0)
    assert seen.value.state.time == 0.0
    assert seen.value.reason == "load-step"


def test_a_load_beyond_collapse_stops_near_it_with_the_state_saved(
    box: Callable[..., Any], law: Callable[..., Law], tmp_path: Path
) -> None:
    # Without hardening a bar carries its yield stress, 200 MPa, and not a bit more.
    loads = LoadCase(HELD, (Pressure("x1", -1000.0, RAMP),))
    perfect = law("linear-hardening", hardening=0.0)
    model = StructureModel(
        box(), perfect, loads, MPI.COMM_SELF, StructureSettings(max_iterations=8)
    )
    history, path = History(), tmp_path / "rescue.npz"
    with pytest.raises(LoadStepError, match=r"saved in .*rescue\.npz") as seen:
        model.run(np.linspace(0.0, 1.0, 11), history, rescue=path)
    assert seen.value.saved == path
    saved = load_state(path)
    assert saved.time == pytest.approx(0.2, abs=1e-3)
    np.testing.assert_allclose(saved.stress[:, 0], 1000.0 * saved.time, rtol=1e-6)
    assert history.times[-1] <= saved.time
    # The state is a whole one: another load case can go on from it.
    down = Amplitude((saved.time, 1.0), (saved.time, 0.0))
    other = LoadCase(HELD, (Pressure("x1", -1000.0, down),))
    after = History()
    again = StructureModel(box(), perfect, other, MPI.COMM_SELF)
    again.run([saved.time, 0.5, 1.0], after, start=saved)
    assert np.abs(after.state(-1).stress).max() < 1e-5


def test_the_line_search_solves_what_full_steps_do_not(
    box: Callable[..., Any], law: Callable[..., Law], laws: SimpleNamespace
) -> None:
    # From three times the strain of saturation back to nothing.
    one = laws.Saturating(law("thermoelastic", poisson=0.0).elasticity, 1e-3)
    wave = Amplitude((0.0, 1.0, 2.0), (0.0, 1.0, 0.0))
    pull = Pressure("x1", -0.94 * 2e5 * 1e-3, wave)
    start, ends = None, {}
    for search in ("energy", "none"):
        settings = StructureSettings(line_search=search, max_cuts=0)
        model = StructureModel(box(), one, LoadCase(HELD, (pull,)), MPI.COMM_SELF, settings)
        if start is None:
            start = model.advance(model.initial_state(0.0), 1.0)[0]
            assert start.displacement[:, 0].max() > 2e-3
        try:
            ends[search] = model.advance(start, 2.0)[0]
        except LoadStepError as error:
            ends[search] = error.state
        model.destroy()
    assert np.abs(ends["energy"].displacement).max() < 1e-9
    assert ends["none"].time == 1.0, "full steps diverge"
