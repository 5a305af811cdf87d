"""Chunks as tasks side by side, a limited number of which Prefect knows at a time."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from prefect.futures import PrefectWrappedFuture

from flows.chunks import Problem, problem_of
from flows.plan import Chunk

__all__ = ["run_all"]

# Seconds between looks.
_LOOK = 0.25
# Tasks that wait for a free place: enough to fill all places that get free between two looks.
_AHEAD = 64


def run_all(
    chunks: Sequence[Chunk],
    submit: Callable[[Chunk], PrefectWrappedFuture[Any, Any]],
    places: int,
    look: Callable[[bool], None],
) -> list[Problem]:
    """Have all chunks computed, and return what went wrong, in their order.

    Prefect's own `wait` leaves a callback at each future whenever it looks: in a study of hours
    with thousands of chunks they would fill the memory. And what a task costs grows with the
    number of those that are open, so that no more are opened than there is need of.

    Parameters
    ----------
    chunks : of the study, each with a number of its own
    submit : makes a task of one; what it returns ends with the task
    places : number of chunks that are computed at once
    look : called every quarter of a second and at the end, with whether anything is left; shows
        progress
    """
    waiting, problems, looked = deque(chunks), dict[int, Problem](), time.monotonic()
    open_: list[tuple[int, PrefectWrappedFuture[Any, Any]]] = []
    while waiting or open_:
        while waiting and len(open_) < places + _AHEAD:
            chunk = waiting.popleft()
            open_.append((chunk.number, submit(chunk)))
        open_[0][1].wait(_LOOK)
        ended = {number for number, future in open_ if future.wrapped_future.done()}
        for number, future in open_:
            if number in ended and (problem := problem_of(future)):
                problems[number] = problem
        open_ = [(number, future) for number, future in open_ if number not in ended]
        pending = bool(waiting or open_)
        if not pending or time.monotonic() - looked >= _LOOK:
            look(pending)
            looked = time.monotonic()
    return [problems[number] for number in sorted(problems)]
