"""Laws of the deadline of one iteration: never without a budget, soon where there is no hope."""

import itertools
from types import SimpleNamespace
from typing import Any

import pytest

from solvers.sequence import deadline
from solvers.sequence.deadline import Deadline

COMM = SimpleNamespace(size=1)
GOAL = 1e-8


def clocked(monkeypatch: pytest.MonkeyPatch, step: float) -> None:
    """Let each look at the clock take `step` seconds."""
    ticks = itertools.count()
    monkeypatch.setattr(deadline, "time", SimpleNamespace(perf_counter=lambda: step * next(ticks)))


def looks_until_given_up(one: Deadline, rate: float, **goal: Any) -> int | None:
    """Return the number of looks at which it passes, of 100; the residual falls by `rate` each."""
    for look in range(100):
        if one.passed(4 * look, rate**look, **goal):
            return look
    return None


def test_without_a_budget_there_is_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    clocked(monkeypatch, 1.0)
    assert looks_until_given_up(Deadline(COMM, None), 1.0, goal=GOAL) is None


def test_a_budget_ends_the_iteration(monkeypatch: pytest.MonkeyPatch) -> None:
    clocked(monkeypatch, 0.1)
    assert looks_until_given_up(Deadline(COMM, 1.0), 1.0) in (10, 11)


@pytest.mark.parametrize(
    ("share", "soonest", "latest"), [(1.05, 95, 100), (0.9, 80, 101), (0.5, 60, 70), (0.2, 19, 25)]
)
def test_what_is_far_behind_its_clock_is_given_up_early(
    monkeypatch: pytest.MonkeyPatch, share: float, soonest: int, latest: int
) -> None:
    """`share` is the part of the way that the budget of 100 looks would suffice for."""
    clocked(monkeypatch, 0.01)
    rate = GOAL ** (share / 100)
    ended = looks_until_given_up(Deadline(COMM, 1.0), rate, goal=GOAL)
    assert soonest <= (100 if ended is None else ended) <= latest


def test_a_slow_beginning_is_not_held_against_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Caches are cold at first: the first iterations take two fifths of the budget."""
    times = [0.0, *(0.4 + 0.01 * look for look in range(100))]
    ticks = iter(times)
    monkeypatch.setattr(deadline, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    one = Deadline(COMM, 1.0)
    assert not any(one.passed(4 * look, GOAL ** (look / 50), GOAL) for look in range(50))


def test_an_iteration_that_gains_speed_is_not_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clocked(monkeypatch, 0.01)
    one = Deadline(COMM, 1.0)
    # The way is the square of the time from a third of it on, as conjugate gradients may go.
    ways = [max(t / 2.5, t * t) for t in (look / 95 for look in range(96))]
    assert not any(one.passed(4 * i, GOAL**way, GOAL) for i, way in enumerate(ways))
