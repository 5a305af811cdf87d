"""Laws of the time steps: they meet the output times, grow slowly and respect the limit."""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from solvers.bdf import MAX_RATIO
from solvers.errors import StepError
from solvers.settings import TimeSettings
from solvers.stepping import StepControl

# Reproducible, and indifferent to how loaded the machine is.
LAW = settings(deadline=None, derandomize=True, max_examples=50)

RATES = st.floats(1.0, 100.0)
FRAMES = st.integers(2, 12)
# From far closer than a step to most of the time.
STARTS = st.one_of(st.just(0.0), st.floats(-5.0, -0.05).map(lambda power: 10.0**power))
CHOICES = st.one_of(
    st.fixed_dictionaries({"step": st.floats(1e-2, 1.0)}),
    st.fixed_dictionaries({"cfl": st.floats(0.1, 2.0)}),
)


def walk(times: TimeSettings, rate: Callable[[float], float]) -> list[list[float]]:
    """Return the steps of every output interval, driven as the model drives the control."""
    control, time, previous, known = StepControl(times), 0.0, None, rate(0.0)
    intervals = []
    for target in times.times().tolist():
        steps: list[float] = []
        while time < target:
            previous = control.next_step(time, target, previous, known)
            steps.append(previous)
            time += previous
            known = rate(time)
            if time > target - 1e-9 * previous:
                time = target
        intervals.append(steps)
    return intervals


@LAW
@given(CHOICES, FRAMES, STARTS, RATES)
def test_steps_add_up_to_every_output_time(
    choice: dict[str, float], frames: int, start: float, rate: float
) -> None:
    times = TimeSettings(start=start, end=1.0, frames=frames, **choice)
    reached = np.cumsum([math.fsum(steps) for steps in walk(times, lambda _: rate)])
    np.testing.assert_allclose(reached, times.times(), atol=1e-12)


@LAW
@given(CHOICES, FRAMES, STARTS, RATES, st.floats(0.0, 0.9), st.floats(0.1, 30.0))
def test_no_step_grows_by_more_than_the_largest_ratio(
    choice: dict[str, float],
    frames: int,
    start: float,
    rate: float,
    amplitude: float,
    frequency: float,
) -> None:
    times = TimeSettings(start=start, end=1.0, frames=frames, **choice)

    def varying(time: float) -> float:
        return rate * (1 + amplitude * math.sin(frequency * time))

    steps = [step for interval in walk(times, varying) for step in interval]
    assert all(new <= MAX_RATIO * old * (1 + 1e-9) for old, new in pairwise(steps))


@LAW
@given(FRAMES, STARTS, RATES, st.floats(0.1, 2.0))
def test_adaptive_steps_never_exceed_the_courant_number_of_a_constant_rate(
    frames: int, start: float, rate: float, cfl: float
) -> None:
    times = TimeSettings(start=start, end=1.0, frames=frames, cfl=cfl)
    steps = [step for interval in walk(times, lambda _: rate) for step in interval]
    assert max(steps) * rate <= cfl * (1 + 1e-9)


@LAW
@given(FRAMES, STARTS, st.floats(1e-2, 1.0))
def test_fixed_steps_never_exceed_the_step_asked_for(
    frames: int, start: float, step: float
) -> None:
    times = TimeSettings(start=start, end=1.0, frames=frames, step=step)
    steps = [one for interval in walk(times, lambda _: 1.0) for one in interval]
    assert max(steps) <= step * (1 + 1e-9)


@LAW
@given(st.integers(1, 40), st.integers(1, 12))
def test_a_step_that_divides_the_output_interval_is_used_as_it_is(
    per_frame: int, frames: int
) -> None:
    times = TimeSettings(end=0.7, frames=frames + 1, step=0.7 / frames / per_frame)
    _, *intervals = walk(times, lambda _: 1.0)
    assert [len(steps) for steps in intervals] == [per_frame] * frames
    np.testing.assert_allclose(np.concatenate(intervals), times.step, rtol=1e-9)


@LAW
@given(st.floats(0.1, 2.0), RATES)
def test_a_constant_rate_gives_constant_steps_once_the_first_ones_have_grown(
    cfl: float, rate: float
) -> None:
    times = TimeSettings(end=3.0, frames=31, cfl=cfl)
    intervals = walk(times, lambda _: rate)
    settled = [step for steps in intervals[20:] for step in steps]
    np.testing.assert_allclose(settled, settled[0], rtol=1e-6)


@LAW
@given(st.floats(0.1, 2.0), RATES)
def test_a_settled_step_is_kept_while_its_courant_number_stays_in_the_band(
    cfl: float, rate: float
) -> None:
    control = StepControl(TimeSettings(end=1.0, frames=2, cfl=cfl))
    kept = 0.8 * cfl / rate
    for courant in (0.71 * cfl, 0.99 * cfl):
        found = control.next_step(0.0, 50 * kept, kept, courant / kept)
        assert found == pytest.approx(kept, rel=1e-9)


@LAW
@given(st.floats(0.1, 2.0), RATES)
def test_a_step_above_the_target_shrinks_at_once_below_it(cfl: float, rate: float) -> None:
    control = StepControl(TimeSettings(end=1.0, frames=2, cfl=cfl))
    too_long = 3 * cfl / rate
    found = control.next_step(0.0, 100 * too_long, too_long, rate)
    assert 0.5 * cfl <= found * rate <= cfl


@LAW
@given(st.floats(0.1, 2.0), RATES)
def test_the_first_adaptive_step_is_small_because_it_is_of_first_order(
    cfl: float, rate: float
) -> None:
    control = StepControl(TimeSettings(end=1.0, frames=2, cfl=cfl))
    assert control.next_step(0.0, 1.0, None, rate) * rate <= 0.1 * cfl * (1 + 1e-9)


def test_a_fluid_at_rest_is_stepped_by_a_small_part_of_the_first_interval() -> None:
    control = StepControl(TimeSettings(end=1.0, frames=2, cfl=0.5))
    assert control.next_step(0.0, 1.0, None, 0.0) == pytest.approx(1e-3)


@pytest.mark.parametrize("frames", [2, 20_002, 400_001])
def test_a_fluid_at_rest_starts_above_the_smallest_step_however_close_the_frames(
    frames: int,
) -> None:
    times = TimeSettings(end=1.0, frames=frames, cfl=0.5)
    first = times.times()[1]
    assert 1e-7 < StepControl(times).next_step(0.0, first, None, 0.0) <= 1e-3 * 1.0


def test_a_vanishing_adaptive_step_is_refused_with_advice() -> None:
    control = StepControl(TimeSettings(end=1.0, frames=2, cfl=0.5))
    with pytest.raises(StepError, match=r"expected at least 1e-07 of the end time.*time\.cfl"):
        control.next_step(0.5, 1.0, 1e-3, 1e9)


@pytest.mark.parametrize(
    ("choice", "advice"), [({"step": 0.1}, "time.step"), ({"cfl": 0.5}, "time.cfl")]
)
@pytest.mark.parametrize("courant", [2.1, math.inf, math.nan])
def test_a_courant_number_above_the_limit_is_refused_with_advice(
    choice: dict[str, float], advice: str, courant: float
) -> None:
    control = StepControl(TimeSettings(end=1.0, frames=2, **choice))
    control.check(0.5, 2.0)
    with pytest.raises(StepError, match=rf"expected at most 2 .*Reduce {advice}") as caught:
        control.check(0.5, courant)
    assert caught.value.reason == "time-step"


@pytest.mark.parametrize(
    "wrong",
    [
        {"step": 0.1, "cfl": 0.5},
        {},
        {"cfl": 3.0, "courant_limit": 2.0},
        {"step": 0.1, "start": 2.0},
        {"step": 0.1, "start": 1.0},
        {"step": 0.1, "start": 1e-7},
        {"step": 0.1, "frames": 1_000_000},
        {"step": -0.1},
        {"step": math.nan},
        {"step": 1e-10},
        {"step": 0.1, "stop": 1.0},
    ],
)
def test_contradicting_time_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=r"expected|greater|finite|extra"):
        TimeSettings.model_validate({"end": 1.0, "frames": 3, **wrong})


def test_a_single_frame_is_the_end() -> None:
    assert TimeSettings(end=2.0, frames=1, cfl=0.5).times().tolist() == [2.0]
    with pytest.raises(ValidationError, match="no start with a single frame"):
        TimeSettings(end=2.0, start=1.0, frames=1, cfl=0.5)
