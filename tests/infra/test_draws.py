"""Samples that are drawn after their dataset was created: durable, once, and the same for all."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr

from infra.catalog import parameter_rows
from infra.description import DatasetDescription
from infra.errors import StoreError
from infra.layout import Layout
from infra.records import DrawRecord, Sample, from_json, to_json
from infra.testing import example_failure, small_layout, write_all
from infra.zarr_store import ZarrStore, open_store

N, KNOWN = 6, 2


def layout() -> Layout:
    """Return the small layout of six samples, of which the first two are known."""
    whole = small_layout(N)
    later = (replace(s, mu={}) if s.index >= KNOWN else s for s in whole.samples)
    return replace(whole, samples=tuple(later))


def record(first: int, last: int, speed: float = 3.0) -> DrawRecord:
    samples = layout().samples[first:last]
    drawn = (replace(s, mu={"viscosity": 0.01 * s.index, "speed": speed}) for s in samples)
    return DrawRecord(tuple(drawn), {first: 0})


@pytest.fixture
def store(root: Path) -> ZarrStore:
    made = ZarrStore(root)
    made.create(layout())
    return made


def test_a_record_comes_back_from_json_as_it_was() -> None:
    assert from_json(DrawRecord, to_json(record(2, 4))) == record(2, 4)


def test_draws_are_seen_by_every_reader_and_change_no_digest(store: ZarrStore, root: Path) -> None:
    other, digest = open_store(root), store.description.digest
    store.draw(record(2, 4))
    for reader in (store, other, open_store(root)):
        assert reader.samples[2:4] == record(2, 4).samples
        assert reader.samples[:2] == layout().samples[:2]
        assert reader.sample(3) == record(2, 4).samples[1]
        assert reader.description.undrawn == {4, 5}
        assert reader.description.digest == digest
        assert reader.draws() == (record(2, 4),)
    assert DatasetDescription.from_json(store.description.to_json()).undrawn == {2, 3, 4, 5}
    store.create(layout())  # the same study finds its dataset again


def test_a_dataset_without_open_samples_has_nothing_of_it(root: Path) -> None:
    store = ZarrStore(root)
    store.create(small_layout())
    assert not store.paths.draws.exists()
    assert "later" not in store.paths.layout.read_text()
    assert (store.draws(), store.description.undrawn) == ((), frozenset())
    assert store.description.drawn == store.samples


def test_a_sample_that_is_not_drawn_cannot_be_computed_and_that_is_said(store: ZarrStore) -> None:
    for ask in (store.sample, lambda i: store.sink(store.samples[i])):
        with pytest.raises(StoreError, match=r"drawn; received 4"):
            ask(4)
    with pytest.raises(StoreError, match="drawn; received 2"):
        store.fail(example_failure(store.samples[2]))


def test_a_drawn_sample_is_computed_and_committed_as_any_other(store: ZarrStore) -> None:
    store.draw(record(2, 4))
    with store.sink(store.sample(3)) as sink:
        assert write_all(sink, store.description)
    assert store.committed() == {3}
    assert store.record(3).sample == record(2, 4).samples[1]


def test_who_draws_first_wins(store: ZarrStore, root: Path) -> None:
    other = open_store(root)
    store.draw(record(2, 4))
    other.draw(record(2, 4))  # the same again is no news
    with pytest.raises(StoreError, match="as it was drawn"):
        other.draw(record(2, 4, speed=9.0))
    with pytest.raises(StoreError, match="as it was drawn"):
        other.draw(record(3, 5, speed=9.0))  # one of them is new: all or none
    other.draw(record(3, 6))
    assert [tuple(s.index for s in r.samples) for r in store.draws()] == [(2, 3), (4, 5)]
    assert store.samples == (*layout().samples[:2], *record(2, 6).samples)


@pytest.mark.parametrize(
    "wrong",
    [
        Sample(7, {"viscosity": 1.0, "speed": 1.0}, 0),
        Sample(3, {"viscosity": 1.0, "speed": 1.0}, 0),
        Sample(3, {"viscosity": 1.0}, 2**53 - 3),
        Sample(3, {"viscosity": np.nan, "speed": 1.0}, 2**53 - 3),
        Sample(3, {}, 2**53 - 3),
        Sample(0, {"viscosity": 7.0, "speed": 2.0}, 2**53),
    ],
    ids=["index", "seed", "name", "nan", "empty", "known"],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(
    store: ZarrStore, wrong: Sample
) -> None:
    with pytest.raises(StoreError, match="Expected"):
        store.draw(DrawRecord((*record(2, 3).samples, wrong), {}))
    assert store.draws() == ()


def test_the_columns_show_what_is_drawn_and_nothing_else(store: ZarrStore) -> None:
    def column(name: str) -> np.ndarray:
        return np.asarray(zarr.open_array(store.paths.data, path=name, mode="r")[...])

    np.testing.assert_array_equal(column("speed"), [2.0, 2.0, *[np.nan] * 4])
    store.draw(record(2, 4))
    np.testing.assert_array_equal(column("speed"), [2.0, 2.0, 3.0, 3.0, np.nan, np.nan])
    speeds = [row["speed"] for row in parameter_rows(store)]
    assert speeds == [2.0, 2.0, 3.0, 3.0, "", ""]


def test_columns_that_a_killed_writer_left_are_made_good(store: ZarrStore, root: Path) -> None:
    store.draw(record(2, 4))
    array = zarr.open_array(store.paths.data, path="viscosity", mode="r+")
    array[...] = np.nan  # the record was durable before
    open_store(root).finalise()
    np.testing.assert_array_equal(array[:4], [s.mu["viscosity"] for s in store.samples[:4]])


def test_an_unfinished_record_is_not_seen_and_is_cleared_away(
    store: ZarrStore, root: Path, commit: Callable[[int], None]
) -> None:
    store.paths.staged_draw("killed").write_text(to_json(record(2, 4))[:40])
    commit(0)
    assert open_store(root).description.undrawn == {2, 3, 4, 5}
    store.finalise()
    assert not store.paths.staged_draw("killed").exists()
