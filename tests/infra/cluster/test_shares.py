"""A limit is kept by all arrays together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.cluster.shares import Share, shares

COUNTS = st.lists(st.integers(1, 1000), min_size=1, max_size=12)


def test_without_a_limit_there_is_none() -> None:
    assert shares([1000, 200], None) == [Share(None), Share(None)]


@given(COUNTS, st.integers(1, 3000))
def test_no_more_elements_run_than_may(counts: list[int], throttle: int) -> None:
    found = shares(counts, throttle)
    limits = [share.throttle or 0 for share in found]
    assert len(found) == len(counts)
    assert min(limits) >= 1
    if any(share.waits for share in found):  # one after another
        assert len(counts) > throttle
        assert [share.waits for share in found] == [False] + [True] * (len(counts) - 1)
        assert limits == [throttle] * len(counts)
    else:
        assert sum(limits) == throttle


@pytest.mark.parametrize(
    ("counts", "limits"),
    [((1000, 1000, 1000), (17, 17, 16)), ((1000, 1), (49, 1)), ((5,), (50,))],
)
def test_places_go_where_elements_are(counts: tuple[int, ...], limits: tuple[int, ...]) -> None:
    assert tuple(share.throttle for share in shares(counts, 50)) == limits
