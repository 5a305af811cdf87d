"""Laws of all reservoirs; a new one adds a line to the table."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from infra.errors import StoreError, UserError
from surrogates.draws import End, Wait
from surrogates.reservoirs.fifo import Fifo
from surrogates.reservoirs.firo import Firo
from surrogates.reservoirs.levelled import Levelled
from surrogates.reservoirs.published import Published
from surrogates.reservoirs.reservoir import Reservoir

type Make = Callable[[int, int], Reservoir]

KINDS: dict[str, Make] = {
    "fifo": lambda capacity, _: Fifo(capacity),
    "firo": Firo,
    "firo, two passes": lambda c, t: Firo(c, t, passes=2),
    "published": Published,
    "levelled": Levelled,
    "levelled, views 2.5": lambda c, t: Levelled(c, t, views_per_item=2.5),
    "levelled, expected": lambda c, t: Levelled(c, t, views_per_item=3, expected=57),
    "levelled, keep up": lambda c, t: Levelled(c, t, views_per_item=4, patience="keep-up"),
}

# Items, capacity, threshold, batch.
SIZES = [
    (57, 20, 5, 8),
    (57, 200, 5, 8),  # fewer items than slots
    (57, 20, 5, 64),  # a batch that is larger than the reservoir
    (5, 20, 2, 8),  # and larger than all items
    (30, 100, 70, 8),  # a threshold that is never reached
    (57, 20, 20, 8),  # or that fills the reservoir
    (57, 20, 500, 8),
    (9, 1, 0, 4),
    (9, 1, 3, 1),
    (0, 5, 2, 4),
    (1, 5, 2, 4),
]


@pytest.fixture(params=KINDS.values(), ids=KINDS.keys())
def make(request: pytest.FixtureRequest) -> Make:
    made: Make = request.param
    return made


@dataclass
class Run:
    """A simulated training: how many items were offered, which items were in which batch."""

    reservoir: Reservoir
    items: int
    batch: int
    rng: np.random.Generator
    offered: int = 0
    batches: list[list[int]] = field(default_factory=list)
    slots: list[list[int]] = field(default_factory=list)
    credit: float = 0.0

    def step(self, production: float) -> bool:
        """Offer items at a rate per batch, then draw; return whether it goes on."""
        self.credit = min(self.credit + production * self.batch, 1e3)
        while self.offered < self.items and self.credit >= 1:
            if self.reservoir.offer(self.rng) is None:
                break
            self.offered += 1
            self.credit -= 1
        if self.offered == self.items:
            self.reservoir.close()
        drawn = self.reservoir.draw(self.batch, self.rng)
        if isinstance(drawn, End):
            return False
        if not isinstance(drawn, Wait):
            self.batches.append(self.reservoir.items(drawn).tolist())
            self.slots.append(drawn.tolist())
        return True

    def to_the_end(self, production: float = 1.0) -> None:
        limit = 1000 + 100 * int(self.items / min(production, 1.0))
        for _ in range(limit):
            if not self.step(production):
                return
        raise AssertionError("The run does not come to an end.")


@pytest.mark.parametrize("production", [0.1, 1.0, 10.0])
@pytest.mark.parametrize(("items", "capacity", "threshold", "batch"), SIZES)
def test_every_item_is_drawn_and_the_run_ends(
    make: Make, items: int, capacity: int, threshold: int, batch: int, production: float
) -> None:
    run = Run(make(capacity, threshold), items, batch, np.random.default_rng(1))
    run.to_the_end(production)
    drawn = [item for batch in run.batches for item in batch]
    assert set(drawn) == set(range(items))
    bias = run.reservoir.bias()
    assert (bias.items, bias.visits, bias.never_seen) == (items, len(drawn), 0)
    np.testing.assert_array_equal(
        run.reservoir.visits.counts, np.bincount(drawn, minlength=items) if drawn else []
    )


@pytest.mark.parametrize(("items", "capacity", "threshold", "batch"), SIZES)
def test_an_item_that_was_not_drawn_is_never_replaced(
    make: Make, items: int, capacity: int, threshold: int, batch: int
) -> None:
    reservoir, rng = make(capacity, threshold), np.random.default_rng(2)
    there: dict[int, int] = {}
    unseen: set[int] = set()
    for number in range(items):
        while (slot := reservoir.offer(rng)) is None:
            drawn = reservoir.draw(batch, rng)
            assert not isinstance(drawn, Wait | End), "without room there must be a batch"
            unseen -= set(reservoir.items(drawn).tolist())
        assert there.get(slot) not in unseen
        there[slot] = number
        unseen.add(number)


def test_the_end_is_final_and_only_after_the_close(make: Make) -> None:
    reservoir, rng = make(10, 0), np.random.default_rng(3)
    assert isinstance(reservoir.draw(4, rng), Wait)
    reservoir.offer(rng)
    reservoir.close()
    reservoir.close()
    while not isinstance(reservoir.draw(4, rng), End):
        pass
    assert isinstance(reservoir.draw(1, rng), End)
    with pytest.raises(StoreError, match="end of reception"):
        reservoir.offer(rng)


def test_after_the_close_a_draw_never_waits(make: Make) -> None:
    reservoir, rng = make(50, 40), np.random.default_rng(4)
    for _ in range(30):
        reservoir.offer(rng)
    reservoir.close()
    while not isinstance(drawn := reservoir.draw(7, rng), End):
        assert not isinstance(drawn, Wait)
        assert 1 <= len(drawn) <= 7


def test_a_draw_that_waits_changes_nothing(make: Make) -> None:
    reservoir, rng = make(50, 49), np.random.default_rng(5)
    for _ in range(3):
        reservoir.offer(rng)
    before, numbers = reservoir.state(), rng.bit_generator.state
    assert isinstance(reservoir.draw(8, rng), Wait)
    assert rng.bit_generator.state == numbers
    np.testing.assert_equal(reservoir.state(), before)


def test_an_offer_without_room_changes_nothing(make: Make) -> None:
    reservoir, rng = make(6, 0), np.random.default_rng(6)
    for _ in range(6):
        assert reservoir.room
        assert reservoir.offer(rng) is not None
    assert reservoir.room == 0
    before, numbers = reservoir.state(), rng.bit_generator.state
    assert reservoir.offer(rng) is None
    assert rng.bit_generator.state == numbers
    np.testing.assert_equal(reservoir.state(), before)


def test_as_many_items_as_there_is_room_can_be_offered(make: Make) -> None:
    run = Run(make(20, 3), 1000, 4, np.random.default_rng(7))
    for _ in range(30):
        run.step(1.5)
        room = run.reservoir.room
        for _ in range(room):
            assert run.reservoir.offer(run.rng) is not None
        assert run.reservoir.offer(run.rng) is None


def test_a_batch_holds_no_item_twice(make: Make) -> None:
    run = Run(make(40, 5), 200, 16, np.random.default_rng(8))
    run.to_the_end()
    if not run.reservoir.repeats:
        assert all(len(set(batch)) == len(batch) for batch in run.batches)


def test_equal_seeds_give_equal_draws(make: Make) -> None:
    runs = [Run(make(20, 5), 100, 8, np.random.default_rng(9)) for _ in range(2)]
    for run in runs:
        run.to_the_end(0.7)
    assert runs[0].batches == runs[1].batches
    assert runs[0].slots == runs[1].slots


@pytest.mark.parametrize("interruption", [1, 7, 20])
def test_a_restored_run_goes_on_as_if_uninterrupted(make: Make, interruption: int) -> None:
    whole = Run(make(20, 5), 100, 8, np.random.default_rng(10))
    whole.to_the_end(1.3)
    first = Run(make(20, 5), 100, 8, np.random.default_rng(10))
    for _ in range(interruption):
        first.step(1.3)
    second = Run(make(20, 5), 100, 8, first.rng, first.offered, first.batches, first.slots)
    second.credit = first.credit
    second.reservoir.restore(first.reservoir.state())
    second.to_the_end(1.3)
    assert second.batches == whole.batches
    assert second.slots == whole.slots
    assert second.reservoir.bias() == whole.reservoir.bias()


def test_a_state_of_another_reservoir_is_refused(make: Make) -> None:
    with pytest.raises(UserError, match="capacity 5"):
        make(5, 0).restore(make(6, 0).state())


def test_arguments_out_of_range_are_refused(make: Make) -> None:
    with pytest.raises(UserError, match="capacity >= 1"):
        make(0, 0)
    with pytest.raises(UserError, match="at least 1 item"):
        make(5, 0).draw(0, np.random.default_rng(0))


def test_a_state_of_another_kind_is_refused() -> None:
    with pytest.raises(UserError, match="received Fifo"):
        Firo(5).restore(Fifo(5).state())


def test_a_threshold_below_zero_is_refused() -> None:
    with pytest.raises(UserError, match="threshold >= 0"):
        Published(5, -1)


def test_fifo_keeps_the_order_of_arrival() -> None:
    run = Run(Fifo(20), 50, 8, np.random.default_rng(0))
    run.to_the_end()
    assert [item for batch in run.batches for item in batch] == list(range(50))


def test_firo_draws_every_item_as_often_as_it_passes() -> None:
    run = Run(Firo(20, 5, passes=3), 50, 8, np.random.default_rng(0))
    run.to_the_end()
    assert run.reservoir.visits.counts.tolist() == [3] * 50


@pytest.mark.parametrize("passes", [0, -1])
def test_firo_needs_a_pass(passes: int) -> None:
    with pytest.raises(UserError, match="passes >= 1"):
        Firo(5, passes=passes)


def test_firo_draws_uniformly_from_its_stock() -> None:
    rng, counts = np.random.default_rng(0), np.zeros(10)
    for _ in range(3000):
        reservoir = Firo(10)
        for _ in range(10):
            reservoir.offer(rng)
        drawn = reservoir.draw(2, rng)
        assert isinstance(drawn, np.ndarray)
        counts[reservoir.items(drawn)] += 1
    assert np.abs(counts / 600 - 1).max() < 0.15  # 4 standard deviations
