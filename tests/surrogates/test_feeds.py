"""Laws of the feeds."""

import io
import json
import threading
import tracemalloc
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from infra.errors import StoreError, UserError
from infra.streaming.frames import Hello, StreamSpec, Verdict
from infra.streaming.memory import MemoryLink
from surrogates.array_feed import ArrayFeed
from surrogates.arrivals import HeldOut
from surrogates.assembly import Direct, Pairs
from surrogates.batch import Batch
from surrogates.draws import End, Wait
from surrogates.feed import Feed
from surrogates.inbox import arrival_bytes
from surrogates.intake import Intake, IntakeLimits
from surrogates.journal import Journal
from surrogates.online_feed import OnlineFeed
from surrogates.pool import Pool, PoolShape
from surrogates.replay_feed import ReplayFeed
from surrogates.reservoirs.levelled import Levelled
from surrogates.states import State
from surrogates.testing import small_design, small_frame, small_spec, small_values

SPEC = small_spec(n_samples=8, n_frames=6, n_values=5)
VALIDATION = (2, 7)
TRAINED = [sample for sample in range(8) if sample not in VALIDATION]


def stored(state: State) -> State:
    """Return a state as a checkpoint gives it back: arrays as npz, the rest as JSON."""
    arrays = {name: entry for name, entry in state.items() if isinstance(entry, np.ndarray)}
    text = json.dumps({name: entry for name, entry in state.items() if name not in arrays})
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    file.seek(0)
    return {**dict(np.load(file, allow_pickle=False)), **json.loads(text)}


@dataclass
class Bench:
    """Trainers on one folder, one after the other, with a link to clients."""

    folder: Path
    frames: int = 1
    capacity: int = 20
    threshold: int = 3
    views: float = 2.0
    keep: bool = True
    keep_partial: bool = True
    segment_bytes: int = 1 << 20
    spec: StreamSpec = SPEC
    validation: tuple[int, ...] = VALIDATION
    memory: int = 1 << 20
    link: MemoryLink = field(init=False)

    def __post_init__(self) -> None:
        self.link = MemoryLink(self.spec)

    def journal(self, name: str, *, keep: bool) -> Journal:
        size = self.segment_bytes
        folder, study, n = self.folder / name, self.spec.study, self.spec.n_values
        return Journal(folder, study, n, keep=keep, segment_bytes=size)

    def intake(self) -> Intake:
        return Intake(
            self.link.source(),
            small_design(self.spec, self.validation),
            self.journal("training", keep=self.keep),
            self.journal("held-out", keep=True),
            limits=IntakeLimits(self.memory),
            keep_partial=self.keep_partial,
        )

    def parts(self) -> tuple[Direct | Pairs, Levelled, Pool, np.random.Generator]:
        assembler = Direct() if self.frames == 1 else Pairs(self.spec.n_frames)
        n_items = (self.spec.n_samples - len(self.validation)) * (
            self.spec.n_frames + 1 - self.frames
        )
        reservoir = Levelled(
            self.capacity, self.threshold, views_per_item=self.views, expected=n_items
        )
        pool = Pool(PoolShape(self.capacity, 2, self.frames, self.spec.n_values))
        return assembler, reservoir, pool, np.random.default_rng(5)

    def online(self) -> OnlineFeed:
        return OnlineFeed(self.intake(), *self.parts())

    def replay(self) -> ReplayFeed:
        times = small_design(self.spec).times
        return ReplayFeed(self.journal("training", keep=True), times, *self.parts())


def names(batch: Batch) -> list[tuple[int, int]]:
    """Return sample and step of every target, read from its values."""
    return [divmod(int(value), 1000) for value in batch.target[:, 0]]


def finish(feed: Feed, n: int = 4) -> list[Batch]:
    """Draw to the end; whoever waits here waits for ever."""
    batches = []
    for _ in range(100_000):
        feed.admit()
        batch = feed.draw(n)
        if isinstance(batch, End):
            return batches
        if isinstance(batch, Wait):
            feed.wait(10.0)
            continue
        batches.append(batch)
    raise AssertionError("The feed does not come to an end.")


def ingest(feed: OnlineFeed, sample: int, steps: range) -> None:
    for step in steps:
        verdict, _ = feed.intake.ingest(small_frame(feed_spec(feed), sample, step))
        assert verdict is Verdict.ACCEPTED


def feed_spec(feed: OnlineFeed) -> StreamSpec:
    design = feed.intake.design
    return small_spec(len(design.samples), design.n_frames, design.n_values)


def same(first: list[Batch], second: list[Batch]) -> bool:
    def data(batch: Batch) -> list[bytes]:
        tensors = (batch.inputs, batch.target, batch.state, batch.weight)
        return [tensor.numpy().tobytes() for tensor in tensors if tensor is not None]

    return [data(batch) for batch in first] == [data(batch) for batch in second]


def script(feed: OnlineFeed, at: int) -> None:
    """What the simulations of the scripted run send before its turn `at`."""
    turns: list[tuple[int, range]] = [
        (sample, range(start, start + 3)) for start in (0, 3) for sample in range(8)
    ]
    for sample, steps in turns[at : at + 1]:
        ingest(feed, sample, steps)


def scripted(feed: OnlineFeed, turns: range) -> list[Batch]:
    batches = []
    for turn in turns:
        script(feed, turn)
        feed.admit()
        batch = feed.draw(4)
        if isinstance(batch, Batch):
            batches.append(batch)
    return batches


@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize("capacity", [1, 3, 20, 100])
@pytest.mark.parametrize("batch", [1, 4, 50])
def test_every_accepted_frame_is_trained_on_its_number_of_times_and_no_other(
    tmp_path: Path, frames: int, capacity: int, batch: int
) -> None:
    bench = Bench(tmp_path, frames=frames, capacity=capacity)
    feed = bench.online()
    for sample in range(8):
        ingest(feed, sample, range(6))
    drawn = [name for b in finish(feed, batch) for name in names(b)]
    expected = [(s, k) for s in TRAINED for k in range(frames - 1, 6)]
    assert sorted(drawn) == sorted(2 * expected)
    assert feed.bias().never_seen == 0
    assert sorted(held.sample for held in feed.held_out()) == [2, 7]
    counts = feed.counts()
    assert (counts.admitted, counts.visited) == (len(expected), len(expected))
    assert counts.visits == len(drawn)
    assert counts.over


@pytest.mark.parametrize("capacity", [1, 2, 7])
def test_pairs_out_of_order_never_block_a_full_reservoir(tmp_path: Path, capacity: int) -> None:
    bench = Bench(tmp_path, frames=2, capacity=capacity, views=1)
    feed = bench.online()
    for sample in range(8):
        for step in (0, 2, 4, 1, 5, 3):  # step 1, 3: two pairs at once
            ingest(feed, sample, range(step, step + 1))
    drawn = sorted(name for batch in finish(feed, 16) for name in names(batch))
    assert drawn == [(sample, step) for sample in TRAINED for step in range(1, 6)]


def test_inputs_and_frames_of_an_item_belong_together(tmp_path: Path) -> None:
    bench = Bench(tmp_path, frames=2)
    feed = bench.online()
    for sample in range(8):
        ingest(feed, sample, range(6))
    for batch in finish(feed):
        assert batch.state is not None
        for (sample, step), inputs, before, after in zip(
            names(batch), batch.inputs, batch.state, batch.target, strict=True
        ):
            np.testing.assert_allclose(inputs, [sample + 1, (step - 1) / 10])
            np.testing.assert_array_equal(before, small_values(SPEC, sample, step - 1))
            np.testing.assert_array_equal(after, small_values(SPEC, sample, step))


def run_clients(bench: Bench) -> list[threading.Thread]:
    def run(samples: range) -> None:
        for sample in samples:
            with bench.link.connect(sample) as stream:
                for step in range(6):
                    stream.send(step, small_values(SPEC, sample, step))

    clients = [threading.Thread(target=run, args=(range(first, 8, 2),)) for first in range(2)]
    for client in clients:
        client.start()
    return clients


@pytest.fixture
def live(tmp_path: Path) -> tuple[Bench, list[Batch], Feed]:
    """A run with clients in threads: how they interleave is up to chance."""
    bench = Bench(tmp_path, frames=2, memory=10 * arrival_bytes(5))
    feed = bench.online()
    feed.intake.start()
    clients = run_clients(bench)
    batches = finish(feed)
    for client in clients:
        client.join(30.0)
        assert not client.is_alive()
    feed.intake.stop()
    return bench, batches, feed


def test_frames_of_live_clients_are_all_trained_on(
    live: tuple[Bench, list[Batch], Feed],
) -> None:
    _, batches, feed = live
    drawn = [name for batch in batches for name in names(batch)]
    assert sorted(drawn) == sorted(2 * [(s, k) for s in TRAINED for k in range(1, 6)])
    assert sorted(held.sample for held in feed.held_out()) == [2, 7]


def test_a_replay_gives_the_same_batches_bit_for_bit(
    live: tuple[Bench, list[Batch], Feed],
) -> None:
    bench, batches, feed = live
    replay = bench.replay()
    assert same(finish(replay), batches)
    assert replay.bias() == feed.bias()


@pytest.mark.parametrize("interruption", [0, 3, 9])
def test_a_restored_replay_goes_on_as_if_uninterrupted(
    live: tuple[Bench, list[Batch], Feed], interruption: int
) -> None:
    bench, batches, _ = live
    first, second = bench.replay(), bench.replay()
    drawn = []
    for _ in range(interruption):
        first.admit()
        batch = first.draw(4)
        assert isinstance(batch, Batch)
        drawn.append(batch)
    second.restore(stored(first.state()))
    assert same(drawn + finish(second), batches)


@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("interruption", [0, 2, 5, 9, 16])
def test_a_restored_training_goes_on_as_if_uninterrupted(
    tmp_path: Path, frames: int, keep: bool, interruption: int
) -> None:
    whole = Bench(tmp_path / "a", frames=frames).online()
    expected = scripted(whole, range(16)) + finish(whole)
    bench = Bench(tmp_path / "b", frames=frames, keep=keep, segment_bytes=300)
    first = bench.online()
    batches = scripted(first, range(interruption))
    state = stored(first.state())
    first.release(state)
    second = bench.online()
    second.restore(state)
    batches += scripted(second, range(interruption, 16)) + finish(second)
    assert same(batches, expected)
    assert second.bias() == whole.bias()
    if keep:
        assert same(finish(bench.replay()), expected)


def test_frames_accepted_after_the_checkpoint_are_not_lost_with_the_trainer(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path)
    first = bench.online()
    scripted(first, range(5))
    state = stored(first.state())
    scripted(first, range(5, 11))  # these steps are lost, their frames are not
    second = bench.online()
    second.restore(state)
    scripted(second, range(11, 16))
    finish(second)
    bias = second.bias()
    assert (bias.items, bias.visits, bias.never_seen) == (36, 72, 0)
    assert len(second.held_out()) == 2


def test_a_log_of_admissions_that_is_shorter_than_its_checkpoint_is_refused(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path)
    first = bench.online()
    scripted(first, range(5))
    state = stored(first.state())
    (log,) = tmp_path.glob("**/admissions.log")
    log.write_bytes(log.read_bytes()[:-8])
    with pytest.raises(StoreError, match="remove the newest checkpoint"):
        bench.online().restore(state)


def test_a_trainer_that_dies_before_its_first_checkpoint_loses_no_frame(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    scripted(bench.online(), range(9))
    second = bench.online()
    second.intake.start()
    second.intake.stop()
    scripted(second, range(9, 16))
    finish(second)
    assert (second.bias().items, second.bias().never_seen) == (36, 0)


def test_released_frames_are_no_longer_on_disk(tmp_path: Path) -> None:
    bench = Bench(tmp_path, keep=False, segment_bytes=1, views=1, capacity=100)
    feed = bench.online()
    scripted(feed, range(10))
    before = feed.intake.journal.nbytes
    feed.release(feed.state())
    assert feed.intake.journal.nbytes < before / 10
    scripted(feed, range(10, 16))
    finish(feed)
    assert feed.bias().items == 36


@pytest.mark.parametrize("keep_partial", [True, False])
def test_holes_end_the_run_and_leave_nothing_behind(tmp_path: Path, keep_partial: bool) -> None:
    bench = Bench(tmp_path, frames=2, keep_partial=keep_partial)
    feed = bench.online()
    for sample in range(8):
        ingest(feed, sample, range(4 if sample in (1, 2) else 6))
    for sample in (1, 2):
        feed.intake.close_sample(sample, "crashed")
    drawn = {name for batch in finish(feed) for name in names(batch)}
    whole = {(sample, step) for sample in (0, 3, 4, 5, 6) for step in range(1, 6)}
    partial = {(1, step) for step in range(1, 4)} if keep_partial else set()
    assert drawn == whole | partial
    assert [held.sample for held in feed.held_out()] == [7]
    assert len(np.asarray(feed.state()["admitter.assembler.numbers"])) == 0


def test_a_hole_is_forgotten_also_when_another_was_opened_again(tmp_path: Path) -> None:
    feed = Bench(tmp_path, frames=2).online()
    for sample in (0, 1, 3):
        ingest(feed, sample, range(2))
    feed.intake.close_sample(1, "crashed")
    feed.admit()
    feed.intake.ingest(Hello(1, 5))  # wanted again
    feed.intake.close_sample(3, "crashed")
    feed.admit()
    assert kept(feed) == {0}
    ingest(feed, 1, range(2, 4))
    assert feed.intake.close_sample(1, "crashed again")
    feed.admit()
    feed.admit()
    assert kept(feed) == {0}


def kept(feed: OnlineFeed) -> set[int]:
    """Return the samples of which frames wait for their neighbours."""
    numbers = np.asarray(feed.state()["admitter.assembler.numbers"], np.int64)
    return set(feed.intake.ledger.lines["sample"][numbers].tolist())


def test_a_run_without_any_frame_ends(tmp_path: Path) -> None:
    feed = Bench(tmp_path).online()
    for sample in range(8):
        feed.intake.close_sample(sample, "all clients are dead")
    assert finish(feed) == []
    assert feed.counts().over


def test_parts_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assembler, reservoir, _, rng = bench.parts()
    with pytest.raises(StoreError, match="a pool of 20 items of 1 frames"):
        OnlineFeed(bench.intake(), assembler, reservoir, Pool(PoolShape(20, 2, 2, 5)), rng)


def test_a_state_of_another_feed_is_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with pytest.raises(UserError, match="a feed `online`; received `array`"):
        bench.online().restore(array_feed().state())
    with pytest.raises(UserError, match="a feed `array`; received `online`"):
        array_feed().restore(bench.online().state())


def array_feed(passes: int | None = 3, n_items: int = 10) -> ArrayFeed:
    inputs = np.arange(n_items * 2, dtype=np.float32).reshape(n_items, 2)
    frames = np.arange(n_items * 5, dtype=np.float32).reshape(n_items, 1, 5) * 1000
    held = HeldOut(1, np.ones(1), np.zeros(1), np.ones((1, 5), np.float32))
    return ArrayFeed(inputs, frames, passes, np.random.default_rng(1), held_out=[held])


@pytest.mark.parametrize("n", [1, 4, 10, 64])
def test_an_array_feed_visits_every_item_once_per_pass(n: int) -> None:
    feed = array_feed()
    batches = finish(feed, n)
    drawn = np.concatenate([batch.inputs[:, 0].numpy() // 2 for batch in batches])
    for start in (0, 10, 20):
        assert sorted(drawn[start : start + 10]) == list(range(10))
    assert len(drawn) == 30
    assert not np.array_equal(drawn[:10], drawn[10:20])
    assert isinstance(feed.draw(1), End)
    assert (feed.bias().ratio, feed.bias().visits) == (1.0, 30)
    assert len(feed.held_out()) == 1
    assert feed.held_out() == []


@pytest.mark.parametrize("interruption", range(9))
def test_a_restored_array_feed_goes_on_as_if_uninterrupted(interruption: int) -> None:
    whole, first, second = array_feed(), array_feed(), array_feed()
    drawn = [first.draw(4) for _ in range(interruption)]
    second.restore(stored(first.state()))
    batches = [batch for batch in drawn if isinstance(batch, Batch)] + finish(second)
    assert same(batches, finish(whole))
    assert second.bias() == whole.bias()


def test_an_array_feed_without_passes_goes_on() -> None:
    feed = array_feed(passes=None)
    assert all(isinstance(feed.draw(7), Batch) for _ in range(100))


def test_bad_arguments_of_an_array_feed_are_refused() -> None:
    with pytest.raises(UserError, match="passes >= 1"):
        array_feed(passes=0)
    with pytest.raises(UserError, match="of one N"):
        ArrayFeed(
            np.ones((3, 2), np.float32), np.ones((2, 1, 4), np.float32), 1, np.random.default_rng(0)
        )
    with pytest.raises(UserError, match="at least 1 item"):
        array_feed().draw(0)
    with pytest.raises(UserError, match="feed of 10 items; received one of 4"):
        array_feed().restore(array_feed(n_items=4).state())


def test_memory_grows_by_the_columns_only(tmp_path: Path) -> None:
    spec = small_spec(n_samples=100, n_frames=100, n_values=50)
    bench = Bench(tmp_path, frames=2, views=1, spec=spec, validation=(), capacity=500)
    feed = bench.online()
    run_samples(feed, range(5))
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        run_samples(feed, range(5, 20))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Ledger 28, index of the journal 24, visits 4 bytes; arrays double, and are copied then.
    assert after - before < 1500 * 2 * 56 + 100_000


def run_samples(feed: OnlineFeed, samples: range) -> None:
    for sample in samples:
        for start in range(0, 100, 20):
            ingest(feed, sample, range(start, start + 20))
            feed.admit()
            while not isinstance(feed.draw(10), Wait | End):
                feed.admit()
