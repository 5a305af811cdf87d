"""Chunks side by side: each once, not too many open, and what went wrong in their order."""

from concurrent.futures import Future
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prefect.futures import PrefectConcurrentFuture
from prefect.states import Completed, Failed

from flows.chunks import Problem
from flows.plan import Chunk
from flows.tasks import run_all

AHEAD = 64


def chunks_of(count: int) -> list[Chunk]:
    place = Path("nowhere")
    return [Chunk(number, place, place, (number,)) for number in range(count)]


class Tasks:
    """Tasks that end whenever somebody looks, the last ones first."""

    def __init__(self, failing: frozenset[int] = frozenset()) -> None:
        self.failing = failing
        self.open: dict[int, Future[Any]] = {}
        self.most, self.submitted = 0, list[int]()

    def submit(self, chunk: Chunk) -> PrefectConcurrentFuture[Any]:
        self.submitted.append(chunk.number)
        self.open[chunk.number] = future = Future[Any]()
        self.most = max(self.most, len(self.open))
        return PrefectConcurrentFuture(uuid4(), future)

    def look(self, pending: bool) -> None:
        self.pending = pending
        for number in sorted(self.open, reverse=True)[:200]:
            failed = Failed(name="Refused", message=f"chunk {number} is wrong")
            self.open.pop(number).set_result(failed if number in self.failing else Completed())


@pytest.mark.parametrize("count", [1, 3, AHEAD + 2, 500])
def test_every_chunk_is_computed_once_with_a_limited_number_of_open_tasks(count: int) -> None:
    tasks = Tasks()
    assert run_all(chunks_of(count), tasks.submit, 2, tasks.look) == []
    assert tasks.submitted == list(range(count))
    assert tasks.most == min(count, AHEAD + 2)
    assert not tasks.pending


def test_what_went_wrong_is_told_in_the_order_of_the_chunks() -> None:
    tasks = Tasks(failing=frozenset({3, 70, 190}))
    found = run_all(chunks_of(200), tasks.submit, 2, tasks.look)
    assert found == [Problem("Refused", f"chunk {number} is wrong") for number in (3, 70, 190)]


def test_an_interrupt_while_it_is_looked_at_passes() -> None:
    tasks = Tasks()

    def look(_pending: bool) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_all(chunks_of(5), tasks.submit, 2, look)
