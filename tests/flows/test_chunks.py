"""A chunk as a task: only crashes are tried again, and no job outlives its flow."""

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from flows.chunks import REFUSED, STORAGE, ChunkCrashedError, Gate, run_chunk
from flows.plan import Chunk, prepare


def run(chunk: Chunk, gate: Gate) -> Any:
    """Run the task's function as it is, without a server."""
    return run_chunk.fn(chunk.number, chunk, 2, gate)


@pytest.fixture
def chunk(folder: Any) -> Chunk:
    made: Chunk = prepare(folder.study(slow=True)).chunks[0]
    return made


def test_an_open_gate_lets_everybody_in_and_a_closed_one_nobody() -> None:
    gate = Gate()
    with gate.job() as first, gate.job() as second:
        assert first
        assert second
    gate.close()
    with gate.job() as late:
        assert not late
    gate.close()  # once more does no harm


def test_a_copy_for_another_process_is_open() -> None:
    gate = Gate()
    gate.close()
    with pickle.loads(pickle.dumps(gate)).job() as entered:
        assert entered


def test_closing_waits_until_all_are_out() -> None:
    gate, inside, leave, log = Gate(), threading.Event(), threading.Event(), []

    def job() -> None:
        with gate.job():
            inside.set()
            leave.wait()
            log.append("out")

    with ThreadPoolExecutor() as pool:
        pool.submit(job)
        inside.wait()
        closing = pool.submit(gate.close)
        assert not closing.done()
        leave.set()
        closing.result()
        assert log == ["out"]


@pytest.mark.mpi
def test_closing_ends_the_jobs_that_run_and_no_other_one_starts(
    chunk: Chunk, folder: Any, until: Any
) -> None:
    gate = Gate()
    with ThreadPoolExecutor() as pool:
        running = pool.submit(run, chunk, gate)
        until(lambda: "started" in chunk.log.read_text(), "the first sample")
        gate.close()
        with pytest.raises(ChunkCrashedError, match="Committed samples are kept"):
            running.result()
    until(lambda: not folder.jobs(), "the end of all ranks")
    state = run(chunk, gate)
    assert state.is_failed()
    assert "was not started" in state.message


@pytest.mark.mpi
def test_a_wrong_input_and_an_unusable_disk_are_no_crashes(chunk: Chunk) -> None:
    root = chunk.job.parents[1]
    (root / "data.zarr").rename(root / "gone")
    state = run(chunk, Gate())
    assert (state.name, state.is_failed()) == (STORAGE, True)
    assert "Expected a dataset" in state.message
    chunk.job.write_text("{")
    state = run(chunk, Gate())
    assert (state.name, state.is_failed()) == (REFUSED, True)
    assert "expected a chunk" in state.message
