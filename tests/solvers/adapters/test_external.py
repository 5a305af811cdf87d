"""What the interface of external solvers checks for every code."""

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import pytest

from infra.errors import UserError
from solvers.adapters.external import (
    ExternalCase,
    ExternalHistory,
    ExternalSolver,
    MissingResultError,
    ResultMismatchError,
)
from solvers.laws.description import law_from
from solvers.loads import LoadCase, Prescribed


@final
class ByHand(ExternalSolver):
    """Another code as its user would add it: one reader of a file of plain numbers."""

    name: ClassVar[str] = "by hand"

    def write(self, case: ExternalCase, folder: Path) -> None:
        rows = np.arange(case.mesh.n_nodes * 3.0)
        np.savetxt(folder / "u.txt", np.stack([0.0 * rows, rows]))

    def run(self, folder: Path) -> None:
        del folder

    def read(self, case: ExternalCase, folder: Path) -> ExternalHistory:
        path = folder / "u.txt"
        if not path.is_file():
            raise MissingResultError(f"by hand: expected {path}; there is none")
        values = np.loadtxt(path)
        return ExternalHistory(case.times, values.reshape(len(values), -1, 3))


@pytest.fixture
def case(boxes: Any) -> ExternalCase:
    law = law_from({"kind": "thermoelastic", "coefficients": {"young": 2e5, "poisson": 0.3}})
    loads = LoadCase((Prescribed("x0", 0),))
    return ExternalCase(boxes.box((1, 1, 1)), law, loads, np.array([0.0, 1.0]))


def test_a_new_code_needs_one_reader(case: ExternalCase, tmp_path: Path) -> None:
    history = ByHand().solve(case, tmp_path / "new")
    assert history.displacement.shape == (2, 8, 3)
    assert history.displacement[1, -1, -1] == 23.0


def test_histories_of_another_case_are_refused(case: ExternalCase, tmp_path: Path) -> None:
    solver = ByHand()
    good = solver.solve(case, tmp_path)
    wrong = {
        "displacement: expected shape": replace(good, displacement=good.displacement[:, :5]),
        "displacement: expected finite": replace(good, displacement=good.displacement * np.nan),
        "times: expected shape": replace(good, times=np.arange(3.0)),
        "times: expected": replace(good, times=np.array([0.0, 2.0])),
        "stress: expected shape": replace(good, stress=np.zeros((2, 3, 6))),
    }
    for message, history in wrong.items():
        with pytest.raises(ResultMismatchError, match=f"by hand: {message}"):
            solver.require_fits(case, history)


def test_cases_check_their_loads_and_times(case: ExternalCase) -> None:
    with pytest.raises(UserError, match="ascending finite times"):
        replace(case, times=np.array([0.0, 1.0, 1.0]))
    with pytest.raises(UserError, match="received 'w0'"):
        replace(case, loads=LoadCase((Prescribed("w0", 0),)))
