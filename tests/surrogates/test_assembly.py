"""Laws of the assemblers."""

from itertools import permutations

import numpy as np
import pytest

from infra.errors import UserError
from surrogates.assembly import Direct, Item, Pairs
from surrogates.states import number
from surrogates.testing import small_arrival, small_spec, small_values

SPEC = small_spec(n_samples=3, n_frames=4)


def steps_of(items: list[Item]) -> set[tuple[int, int, int]]:
    """Return sample and steps of pairs, read from the values."""
    names = [[divmod(int(frame[0]), 1000) for frame in item.frames] for item in items]
    assert all(first[0] == second[0] for first, second in names)
    return {(first[0], first[1], second[1]) for first, second in names}


def test_direct_makes_one_item_of_each_frame() -> None:
    (item,) = Direct().add(small_arrival(SPEC, 7, 2, 3))
    assert item.number == 7
    np.testing.assert_allclose(item.inputs, [3.0, 0.3])
    assert item.inputs.dtype == np.float32
    (frame,) = item.frames
    np.testing.assert_array_equal(frame, small_values(SPEC, 2, 3))


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_every_pair_of_neighbours_comes_once_whatever_the_order(order: tuple[int, ...]) -> None:
    pairs, items = Pairs(4), []
    for place, step in enumerate(order):
        for sample in (0, 2):
            items += pairs.add(small_arrival(SPEC, place, sample, step))
    assert len(items) == 6
    assert steps_of(items) == {(s, k, k + 1) for s in (0, 2) for k in range(3)}
    assert len(np.asarray(pairs.state()["numbers"])) == 0


def test_a_pair_has_the_time_of_its_first_frame_and_the_number_of_its_last_arrival() -> None:
    pairs = Pairs(4)
    assert pairs.add(small_arrival(SPEC, 0, 1, 2)) == []
    (item,) = pairs.add(small_arrival(SPEC, 1, 1, 1))
    np.testing.assert_allclose(item.inputs, [2.0, 0.1])
    assert item.number == 1


def test_in_order_one_frame_of_each_sample_is_kept() -> None:
    pairs = Pairs(4)
    for step in range(3):
        for sample in range(3):
            pairs.add(small_arrival(SPEC, 3 * step + sample, sample, step))
        kept = np.asarray(pairs.state()["numbers"])
        assert sorted(kept.tolist()) == [3 * step + sample for sample in range(3)]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 0, 2, 1), (1, 3, 0, 2)])
@pytest.mark.parametrize("interruption", range(4))
def test_restored_pairs_go_on_as_if_uninterrupted(
    order: tuple[int, ...], interruption: int
) -> None:
    arrivals = [small_arrival(SPEC, place, 1, step) for place, step in enumerate(order)]
    first, second = Pairs(4), Pairs(4)
    items = [item for arrival in arrivals[:interruption] for item in first.add(arrival)]
    second.restore(first.state(), lambda number: arrivals[number])
    items += [item for arrival in arrivals[interruption:] for item in second.add(arrival)]
    assert len(items) == 3
    assert steps_of(items) == {(1, k, k + 1) for k in range(3)}


def test_a_forgotten_sample_is_not_kept() -> None:
    pairs = Pairs(4)
    pairs.add(small_arrival(SPEC, 0, 1, 2))
    pairs.add(small_arrival(SPEC, 1, 2, 2))
    pairs.forget(1)
    pairs.forget(7)
    assert np.asarray(pairs.state()["numbers"]).tolist() == [1]


def test_pairs_need_two_output_times() -> None:
    with pytest.raises(UserError, match="at least 2 output times"):
        Pairs(1)


def test_the_state_of_direct_is_empty() -> None:
    state = Direct().state()
    Direct().restore(state, lambda _: small_arrival(SPEC, 0, 0, 0))
    assert len(np.asarray(state["numbers"])) == 0
    assert number({"a": 3}, "a") == 3
