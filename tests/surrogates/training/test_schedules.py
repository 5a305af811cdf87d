import itertools

import pytest

from surrogates.schedules import Constant, Cosine, Halving, Warmup, make_schedule
from surrogates.settings import ScheduleSettings


@pytest.mark.parametrize(
    "schedule", [Constant(), Halving(10), Cosine(100, 0.1), Warmup(10, Cosine(100))]
)
def test_factor_lies_between_zero_and_one(schedule):
    assert all(0.0 <= schedule.factor(units) <= 1.0 for units in range(300))


@pytest.mark.parametrize("schedule", [Constant(), Halving(7), Cosine(50, 0.2)])
def test_factor_begins_at_one_and_never_rises(schedule):
    factors = [schedule.factor(units) for units in range(120)]
    assert factors[0] == 1.0
    assert all(a >= b for a, b in itertools.pairwise(factors))


def test_halving_halves_after_each_period():
    assert [Halving(3).factor(u) for u in (0, 2, 3, 5, 6, 9)] == [1, 1, 0.5, 0.5, 0.25, 0.125]


def test_cosine_is_half_way_in_the_middle_and_stays_at_its_floor():
    cosine = Cosine(100, 0.2)
    assert cosine.factor(50) == pytest.approx(0.6)
    assert cosine.factor(100) == cosine.factor(1e6) == pytest.approx(0.2)


def test_warmup_rises_in_equal_steps_to_the_schedule():
    rising = Warmup(4, Halving(2))
    assert [rising.factor(u) for u in range(7)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1, 0.5])


@pytest.mark.parametrize("kind", ["constant", "halving", "cosine"])
def test_schedule_on_samples_is_that_on_steps_with_the_batch_counted(kind):
    every = 5 if kind == "halving" else None
    by_steps = make_schedule(ScheduleSettings(kind=kind, every=every, warmup=2), 40, 8)
    times = None if every is None else every * 8
    settings = ScheduleSettings(kind=kind, every=times, warmup=16, unit="samples")
    by_samples = make_schedule(settings, 40, 8)
    for step in range(2, 60):
        assert by_samples.factor(8 * step) == pytest.approx(by_steps.factor(step))


def test_cosine_reaches_its_floor_at_the_planned_end():
    schedule = make_schedule(ScheduleSettings(kind="cosine", warmup=10, floor=0.05), 100, 4)
    assert schedule.factor(100) == pytest.approx(0.05)
    assert schedule.factor(99) > 0.05
