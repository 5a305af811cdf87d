import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from infra.errors import StoreError
from infra.statistics import dataset_statistics, merge, statistics_of
from infra.testing import expected_values
from infra.zarr_store import ZarrStore


def test_merged_parts_equal_the_whole() -> None:
    values = np.random.default_rng(1).normal(3.0, 2.0, (40, 5))
    for cut in (1, 17, 39):
        merged = merge(statistics_of(values[:cut]), statistics_of(values[cut:])).to_dict()
        assert merged == pytest.approx(statistics_of(values).to_dict(), rel=1e-13)


def test_merging_is_symmetric_and_associative() -> None:
    a, b, c = map(statistics_of, np.random.default_rng(2).normal(size=(3, 30)))
    assert merge(a, b).to_dict() == pytest.approx(merge(b, a).to_dict(), rel=1e-13)
    left, right = merge(merge(a, b), c), merge(a, merge(b, c))
    assert left.to_dict() == pytest.approx(right.to_dict(), rel=1e-13)


def test_statistics_are_those_of_numpy() -> None:
    values = np.random.default_rng(3).normal(-1.0, 5.0, (3, 4, 5))
    assert statistics_of(values).to_dict() == pytest.approx(
        {
            "count": 60,
            "mean": values.mean(),
            "std": values.std(),
            "min": values.min(),
            "max": values.max(),
            "rms": np.sqrt(np.mean(values**2)),
        }
    )


def test_a_large_mean_does_not_cancel_the_deviation() -> None:
    values = 1e9 + np.tile([-1.0, 1.0], 500)
    merged = merge(statistics_of(values[:300]), statistics_of(values[300:]))
    assert merged.std == pytest.approx(1.0, rel=1e-9)


def test_numbers_that_do_not_exist_hide_none_that_do() -> None:
    values = np.array([np.nan, 1.0, np.nan, 4.0, 7.0])
    expected = statistics_of(values[[1, 3, 4]]).to_dict()
    assert expected["count"] == 3
    assert statistics_of(values).to_dict() == expected
    for cut in (1, 2, 3):
        merged = merge(statistics_of(values[:cut]), statistics_of(values[cut:]))
        assert merged.to_dict() == pytest.approx(expected)
    none = merge(statistics_of(values[:1]), statistics_of(values[2:3])).to_dict()
    assert none.pop("count") == 0
    assert all(np.isnan(value) for value in none.values())


def test_the_statistics_of_a_dataset_are_over_committed_samples_only(
    store: ZarrStore, commit: Callable[[int], None]
) -> None:
    with pytest.raises(StoreError, match="received none"):
        dataset_statistics(store)
    commit(0)
    commit(2)
    found = dataset_statistics(store)
    assert set(found) == set(store.description.specs)
    for name, spec in store.description.specs.items():
        samples = [store.samples[0], store.samples[2]]
        values = [expected_values(store.description, spec, sample) for sample in samples]
        assert found[name].to_dict() == pytest.approx(statistics_of(np.stack(values)).to_dict())


def test_records_without_statistics_are_read_and_give_the_same(
    store: ZarrStore, commit: Callable[[int], None], root: Path
) -> None:
    commit(0)
    commit(1)
    kept = dataset_statistics(store)
    for path in (root / "commits").glob("*.json"):  # as earlier versions wrote them
        record = json.loads(path.read_text())
        assert record.pop("statistics").keys() == store.description.specs.keys()
        path.write_text(json.dumps(record))
    read = dataset_statistics(store)
    for name, found in read.items():
        assert found.to_dict() == pytest.approx(kept[name].to_dict(), nan_ok=True)
