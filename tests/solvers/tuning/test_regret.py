"""Laws of the regret curves."""

import numpy as np
import pytest

from infra.errors import UserError
from solvers.tuning.regret import Run, regret_curves


def test_the_best_fixed_arm_has_no_regret() -> None:
    table = np.array([[2.0, 1.0], [2.0, 1.5], [1.0, 1.0]])
    curves = regret_curves([Run(t, 1, table[t, 1]) for t in range(3)], table)
    assert curves.best == 1
    np.testing.assert_array_equal(curves.regret, 0)
    np.testing.assert_array_equal(curves.share, 0)
    np.testing.assert_allclose(curves.default, [0.5, 2.5 / 4, 3.5 / 5])


def test_aborted_runs_count() -> None:
    table = np.ones((2, 2))
    runs = [Run(1, 0, 1.0), Run(0, 1, 0.5), Run(0, 0, 1.0)]
    np.testing.assert_allclose(regret_curves(runs, table).total, [1.5, 2.5])
    np.testing.assert_allclose(regret_curves(runs, table).share, [0.5, 0.25])


def test_an_arm_that_fails_somewhere_is_never_the_best() -> None:
    table = np.array([[2.0, 0.1], [2.0, np.inf]])
    assert regret_curves([Run(0, 0, 2.0), Run(1, 0, 2.0)], table).best == 0


@pytest.mark.parametrize(
    ("times", "table", "message"),
    [
        ([0], np.ones((2, 2)), "runs for each of the systems"),
        ([0, 1, 2], np.ones((2, 2)), "runs for each of the systems"),
        ([0], np.ones(2), "positive costs of shape"),
        ([0], np.array([[0.0]]), "positive costs of shape"),
        ([0], np.array([[np.inf, 1.0]]), "default arm that solves all"),
    ],
)
def test_other_logs_and_tables_are_refused(
    times: list[int], table: np.ndarray, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        regret_curves([Run(t, 0, 1.0) for t in times], table)
