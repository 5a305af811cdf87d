"""Equal steps meet all output times and are no longer than asked."""

import numpy as np
import pytest

from infra.errors import UserError
from solvers.settings import TimeSettings
from solvers.transient_steps import equal_steps

TIMES = [
    TimeSettings(end=1.0, frames=1, step=0.3),
    TimeSettings(end=1.0, frames=101, step=0.01),
    TimeSettings(end=1.0, frames=11, step=0.03),
    TimeSettings(start=0.5, end=1.0, frames=6, step=0.1),
    TimeSettings(start=0.05, end=0.35, frames=4, step=0.1),
    TimeSettings(start=1 / 3, end=4 / 3, frames=4, step=1.0),
    TimeSettings(start=0.3, end=0.9, frames=7, step=1e-3),
]


@pytest.mark.parametrize("times", TIMES)
def test_every_output_time_is_a_whole_number_of_steps(times: TimeSettings) -> None:
    steps = equal_steps(times)
    assert times.step is not None
    assert 0 < steps.step <= times.step * (1 + 1e-9)
    np.testing.assert_allclose(np.array(steps.frames) * steps.step, times.times(), atol=1e-12)
    assert list(steps.frames) == sorted(set(steps.frames))
    assert steps.total == steps.frames[-1]


@pytest.mark.parametrize("frames", [2, 11, 100, 1001])
def test_rounding_adds_no_step(frames: int) -> None:
    steps = equal_steps(TimeSettings(end=0.7, frames=frames, step=0.7 / (frames - 1)))
    assert steps.frames == tuple(range(frames))


def test_adaptive_steps_are_refused() -> None:
    with pytest.raises(UserError, match=r"step: expected a fixed step.*cfl = 0.5"):
        equal_steps(TimeSettings(end=1.0, frames=2, cfl=0.5))


def test_a_start_that_no_equal_step_meets_is_refused() -> None:
    with pytest.raises(UserError, match=r"start: expected 0, or a time that is met"):
        equal_steps(TimeSettings(start=0.1234567, end=1.1234567, frames=11, step=0.1))
