"""Levels of the views over arrival deciles: ours, and the published one beside it.

The rates are those of Meyer et al. (2023), 10.1145/3581784.3607083, scaled down by 5: items come
at the rate p, and the training visits c items per second.
"""

import numpy as np
import pytest

from infra.errors import UserError
from surrogates.bias import Bias
from surrogates.draws import End, Wait
from surrogates.reservoirs.levelled import Levelled, Patience
from surrogates.reservoirs.published import Published
from surrogates.reservoirs.reservoir import Reservoir

# Items, capacity, threshold, p / c, and the views for which c is just enough.
GPU = (5000, 1200, 200, 113 / 160, 1.6)
LAPTOP = (2000, 500, 100, 100 / 1900, 20.0)
STEADY = (400, 2000, 50, 0.5, 4.0)  # everything fits


def simulate(reservoir: Reservoir, items: int, production: float, seed: int) -> tuple[Bias, int]:
    """Return the bias and how many batches of 10 were drawn; refused items come later."""
    rng, offered, credit, batches = np.random.default_rng(seed), 0, 0.0, 0
    while True:
        credit = min(credit + 10 * production, 200.0)
        while offered < items and credit >= 1 and reservoir.offer(rng) is not None:
            offered, credit = offered + 1, credit - 1
        if offered == items:
            reservoir.close()
        drawn = reservoir.draw(10, rng)
        if isinstance(drawn, End):
            return reservoir.bias(), batches
        batches += not isinstance(drawn, Wait)


@pytest.mark.parametrize(
    ("case", "ratio", "cv"), [(GPU, 2.4, 0.65), (LAPTOP, 10.3, 0.90)], ids=["gpu", "laptop"]
)
def test_the_published_reservoir_favours_early_items_as_reported(
    case: tuple[int, int, int, float, float], ratio: float, cv: float
) -> None:
    items, capacity, threshold, production, _ = case
    bias, _ = simulate(Published(capacity, threshold), items, production, 0)
    assert bias.ratio == pytest.approx(ratio, rel=0.25)
    assert bias.cv == pytest.approx(cv, rel=0.15)
    assert bias.never_seen == 0


def test_the_published_reservoir_gives_the_published_number_of_batches() -> None:
    # 3 999 batches of 10 at full size (reckoned; the paper's figure shows about 3 850).
    _, batches = simulate(Published(1200, 200), 5000, 113 / 160, 0)
    assert batches == pytest.approx(3999 / 5, rel=0.02)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("case", [GPU, LAPTOP, STEADY], ids=["gpu", "laptop", "steady"])
def test_views_are_level_over_arrival_deciles(
    case: tuple[int, int, int, float, float], seed: int
) -> None:
    items, capacity, threshold, production, views = case
    reservoir = Levelled(capacity, threshold, views_per_item=views, expected=items)
    bias, _ = simulate(reservoir, items, production, seed)
    assert bias.ratio <= 1.1  # the target is 1.3
    assert bias.cv <= 0.35
    assert bias.never_seen == 0
    assert bias.visits / items == pytest.approx(views, rel=0.03)


@pytest.mark.parametrize("production", [0.1, 0.5, 1.0, 2.0, 10.0])
@pytest.mark.parametrize(("items", "capacity"), [(1500, 150), (150, 400)])
@pytest.mark.parametrize("views", [1, 3])
def test_every_item_gets_exactly_its_views_whatever_the_rates_are(
    items: int, capacity: int, views: int, production: float
) -> None:
    reservoir = Levelled(capacity, views_per_item=views, expected=items)
    bias, _ = simulate(reservoir, items, production, 0)
    assert (bias.ratio, bias.cv, bias.most, bias.never_seen) == (1.0, 0.0, views, 0)


@pytest.mark.parametrize("production", [0.1, 0.5, 1.0, 2.0, 10.0])
def test_keeping_up_never_holds_production_back_and_stays_near_level(production: float) -> None:
    items, capacity = 3000, 300
    reservoir = Levelled(capacity, views_per_item=5, expected=items, patience="keep-up")
    bias, _ = simulate(reservoir, items, production, 0)
    assert bias.ratio <= 1.4  # the fill phase is too early to know the rates
    assert bias.never_seen == 0


def test_keeping_up_has_room_unless_everything_is_unseen() -> None:
    reservoir, rng = Levelled(50, 0, views_per_item=5, patience="keep-up"), np.random.default_rng(0)
    for _ in range(50):
        reservoir.offer(rng)
    assert reservoir.room == 0
    drawn = reservoir.draw(8, rng)
    assert isinstance(drawn, np.ndarray)
    assert reservoir.room == 8


def test_holding_has_room_only_for_items_that_had_their_views() -> None:
    reservoir, rng = Levelled(8, 0, views_per_item=2), np.random.default_rng(0)
    for _ in range(8):
        reservoir.offer(rng)
    rooms = [reservoir.room]
    for _ in range(2):
        reservoir.draw(8, rng)
        rooms.append(reservoir.room)
    assert rooms == [0, 0, 8]


def test_views_that_are_not_whole_are_met_in_the_mean() -> None:
    reservoir = Levelled(500, views_per_item=1.5)
    bias, _ = simulate(reservoir, 4000, 1.0, 0)
    assert bias.visits / 4000 == pytest.approx(1.5, abs=0.03)
    assert bias.most == 2


def test_a_fast_trainer_does_not_spend_the_views_of_early_items_at_once() -> None:
    # At half of the reception at most a quarter of all views may be spent: V r (r / N).
    reservoir, rng = Levelled(1000, 0, views_per_item=20, expected=1000), np.random.default_rng(0)
    for received in range(1, 1001):
        reservoir.offer(rng)
        while not isinstance(reservoir.draw(10, rng), Wait):
            pass
        assert reservoir.visits.total <= 20 * received * received / 1000
    early = reservoir.visits.counts[:100].mean()
    assert reservoir.visits.total > 0.97 * 20_000
    assert early == pytest.approx(20, rel=0.05)
    reservoir.close()
    while not isinstance(reservoir.draw(10, rng), End):
        pass
    assert reservoir.visits.counts.tolist() == [20] * 1000


def test_new_items_are_read_among_others_when_reception_sets_the_pace() -> None:
    reservoir, rng = Levelled(4000, 0, views_per_item=10, expected=4000), np.random.default_rng(0)
    shares = []
    for received in range(4000):
        reservoir.offer(rng)
        while not isinstance(drawn := reservoir.draw(16, rng), Wait | End):
            if received > 2000:
                shares.append((reservoir.items(drawn) >= received - 400).mean())
    assert np.mean(shares) < 0.6  # the newest tenth, in the second half of the reception


def test_a_stock_for_mixing_is_kept_back_until_the_end() -> None:
    reservoir, rng = Levelled(500, 100, views_per_item=1), np.random.default_rng(0)
    for _ in range(500):
        reservoir.offer(rng)
    while not isinstance(reservoir.draw(10, rng), Wait):
        pass
    assert reservoir.tickets == pytest.approx(100, abs=10)


def test_tickets_are_the_views_that_are_due() -> None:
    reservoir, rng = Levelled(100, 0, views_per_item=3), np.random.default_rng(0)
    for _ in range(100):
        reservoir.offer(rng)
    for step in range(30):
        assert reservoir.tickets == 300 - 10 * step
        reservoir.draw(10, rng)


def test_views_below_one_are_refused() -> None:
    with pytest.raises(UserError, match="at least 1 view"):
        Levelled(10, views_per_item=0.5)
    with pytest.raises(UserError, match="at least 1 view"):
        Levelled(10, views_per_item=float("nan"))


@pytest.mark.parametrize("patience", ["hold", "keep-up"])
def test_a_closed_reservoir_without_items_ends(patience: Patience) -> None:
    reservoir = Levelled(10, patience=patience)
    reservoir.close()
    assert isinstance(reservoir.draw(3, np.random.default_rng(0)), End)
