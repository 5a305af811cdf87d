"""The laws of the discrete-event simulation behind `benchmarks/scaling.py`."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SAMPLE = 2.0


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("_scaling_engine")


@pytest.fixture
def model(engine: Any) -> Any:  # noqa: ARG001 - it puts the folder on the path
    return importlib.import_module("_scaling_model")


@pytest.fixture
def run(engine: Any, model: Any) -> Callable[..., Any]:
    """Give a function that simulates a way on nodes of their own, with costs by name."""

    def own(events: Any) -> Any:
        return lambda _number: engine.Own(events)

    def simulated(
        way: str, samples: int, chunk: int, nodes: int, *, seed: int = 0, **costs: Any
    ) -> Any:
        given = model.Costs(**{"samples": costs.pop("drawn", (SAMPLE,)), **costs})
        study = model.Study(samples, chunk, frames=10)
        return model.simulate(given, model.WAYS[way], study, nodes, own, seed)

    return simulated


def test_events_happen_in_order_of_time_and_then_of_entry(engine: Any) -> None:
    events, seen = engine.Events(), list[str]()
    for time, name in ((2.0, "c"), (1.0, "a"), (2.0, "d"), (1.5, "b")):
        events.at(time, seen.append, name)
    assert events.run() == 2.0
    assert seen == ["a", "b", "c", "d"]


def test_a_saturated_server_lets_one_through_per_service(engine: Any) -> None:
    server = engine.Server()
    leaves = [server.serve(0.0, 0.25) for _ in range(8)]
    assert np.diff(leaves) == pytest.approx(0.25)
    assert server.busy == pytest.approx(2.0)


def test_nobody_waits_for_a_server_that_is_quicker_than_they_come(engine: Any) -> None:
    server = engine.Server()
    assert [server.serve(t, 0.25) for t in (0.0, 1.0, 2.0)] == [0.25, 1.25, 2.25]
    assert server.waited == 0.0


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_random_arrivals_wait_as_pollaczek_and_khinchine_say(engine: Any, load: float) -> None:
    server, count = engine.Server(), 200_000
    arrivals = np.cumsum(np.random.default_rng(0).exponential(1.0, count)).tolist()
    for time in arrivals:
        server.serve(time, load)
    # Mean wait of the queue M/D/1 with service s and load rho: rho s / (2 (1 - rho)).
    assert server.waited / count == pytest.approx(load * load / (2.0 * (1.0 - load)), rel=0.05)


def test_calls_take_along_what_came_since_the_last_one(engine: Any) -> None:
    calls = engine.Calls(gather=0.5, period=4.0)
    assert [calls.serve(t) for t in (0.0, 0.4, 0.6, 3.0, 4.6, 20.0)] == [
        *(0.5, 0.5, 4.5, 4.5, 8.5, 20.5),
    ]


def test_ticks_see_at_the_next_one_what_came_since_the_last(engine: Any) -> None:
    ticks = engine.Ticks(period=1.0, begin=0.25)
    assert [ticks.serve(t) for t in (0.0, 0.25, 0.5, 1.25, 7.0)] == [0.25, 0.25, 1.25, 1.25, 7.25]
    assert engine.Ticks(period=0.0, begin=0.25).serve(7.0) == 7.0


@pytest.mark.parametrize(
    ("processes", "seconds"), [(1, 6.0), (2, 6.0 / 0.8), (3, 9.0 / 0.8), (4, 12.0 / 0.8)]
)
def test_more_processes_than_cores_share_them(engine: Any, processes: int, seconds: float) -> None:
    events, ends = engine.Events(), list[float]()
    machine = engine.Shared(events, speeds=(1.0, 0.8), cores=2.0)
    for _ in range(processes):
        machine.work(0.0, 6.0, lambda: ends.append(events.now))
    events.run()
    assert ends == pytest.approx([seconds] * processes)


def test_shared_cores_do_all_the_work_that_was_given_to_them(engine: Any) -> None:
    events, ends = engine.Events(), dict[int, float]()
    machine = engine.Shared(events, speeds=(1.0,), cores=1.0)
    for name, (begin, seconds) in enumerate([(0.0, 3.0), (1.0, 1.0), (1.0, 2.0)]):
        machine.work(begin, seconds, lambda n=name: ends.__setitem__(n, events.now))
    events.run()
    # Three share the core from 1 s on; the shortest is through at 4 s, the last one at 6 s.
    assert [ends[n] for n in (1, 0, 2)] == pytest.approx([4.0, 6.0, 6.0])


WAYS = ("flow here", "flow on Slurm", "submitted", "online, flow on Slurm")


@pytest.mark.parametrize("nodes", [1, 4, 64])
def test_free_resources_make_every_node_useful(run: Callable[..., Any], nodes: int) -> None:
    outcome = run("submitted", samples=640, chunk=5, nodes=nodes)
    assert outcome.efficiency == pytest.approx(1.0)
    assert outcome.phase == pytest.approx(640 * SAMPLE / nodes)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("samples", "chunk", "nodes"), [(1, 1, 1), (103, 7, 4), (50, 7, 200)])
def test_every_sample_is_committed_once(
    run: Callable[..., Any], way: str, samples: int, chunk: int, nodes: int
) -> None:
    outcome = run(way, samples, chunk, nodes, startup=1.0, store=0.1, task=0.2, frame=0.01)
    assert outcome.committed == samples
    assert outcome.work == pytest.approx(samples * SAMPLE)
    assert 0.0 < outcome.efficiency <= 1.0


LIMITED = (
    pytest.param("submitted", {"store": 0.1}, "store", 1000 * 0.1, id="store"),
    pytest.param("flow here", {"task": 3.0}, "Prefect", 100 * 3.0, id="flow"),
    pytest.param("submitted", {"controller": 3.0}, "Slurm's controller", 300.0, id="Slurm"),
    pytest.param("online, flow on Slurm", {"frame": 0.02}, "trainer", 1000 * 0.2, id="stream"),
)


@pytest.mark.parametrize(("way", "costs", "name", "seconds"), LIMITED)
def test_what_is_full_sets_the_time(
    run: Callable[..., Any], way: str, costs: dict[str, float], name: str, seconds: float
) -> None:
    outcome = run(way, samples=1000, chunk=10, nodes=100, **costs)
    # The first comes after a sample at most, the last one computes a chunk after it.
    assert seconds <= outcome.phase <= seconds + 11 * SAMPLE + 5.0
    assert outcome.loads()[name] > 1.0
    assert outcome.full_at()[name] < 100


def test_a_load_grows_with_the_nodes(run: Callable[..., Any]) -> None:
    few, many = (run("submitted", 1000, 10, nodes, store=0.001) for nodes in (10, 50))
    assert many.loads()["store"] == pytest.approx(5 * few.loads()["store"])
    assert many.full_at()["store"] == pytest.approx(few.full_at()["store"])
    assert few.full_at()["store"] == pytest.approx(SAMPLE / 0.001)


def test_more_nodes_are_not_slower(run: Callable[..., Any]) -> None:
    costs = {"startup": 3.0, "ending": 0.5, "store": 0.01, "task": 0.1, "controller": 0.05}
    times = [run("flow on Slurm", 1000, 10, n, **costs).phase for n in (1, 2, 5, 10, 50, 100)]
    assert times == sorted(times, reverse=True)


def test_elements_that_wait_in_their_array_start_at_ticks(run: Callable[..., Any]) -> None:
    costs = {"first": 0.5, "controller": 0.1}
    free, ticking = (run("submitted", 8, 2, 1, cadence=c, **costs).phase for c in (0.0, 3.0))
    assert free == pytest.approx(0.5 + 4 * 2 * SAMPLE)  # an idle controller delays nobody
    # Chunks of 4 s: the next one starts 6 s after the one before it.
    assert ticking == pytest.approx(0.5 + 3 * 6.0 + 2 * SAMPLE)


def test_what_is_done_once_counts_fully_on_many_nodes(run: Callable[..., Any]) -> None:
    outcome = run("submitted", 100, 1, 100, prepare=1.0, publish_each=0.01)
    assert outcome.whole == pytest.approx(SAMPLE + 1.0 + 100 * 0.01)
    assert outcome.efficiency == pytest.approx(0.5)


def test_equal_seeds_give_equal_studies(run: Callable[..., Any]) -> None:
    drawn = (0.5, 1.0, 4.0)
    first, second, other = (
        run("submitted", 100, 10, 3, seed=seed, drawn=drawn) for seed in (1, 1, 2)
    )
    assert first == second
    assert first != other
