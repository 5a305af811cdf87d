import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from infra.description import DatasetDescription, difference
from infra.errors import StoreError, UserError
from infra.layout import ArraySpec, Layout, StaticArray, required_bytes
from infra.records import Sample
from infra.testing import small_layout


def changed(**entries: object) -> Layout:
    return dataclasses.replace(small_layout(), **entries)  # type: ignore[arg-type]


def with_array(**entries: object) -> Layout:
    arrays = small_layout().arrays
    first = dataclasses.replace(arrays[0], **entries)  # type: ignore[arg-type]
    return changed(arrays=(first, *arrays[1:]))


def with_static(values: np.ndarray) -> Layout:
    mesh, *others = small_layout().static
    others[0] = dataclasses.replace(others[0], values=values)
    return changed(static=(mesh, *others))


def with_sample(**entries: object) -> Layout:
    first, *others = small_layout().samples
    changes = dataclasses.replace(first, **entries)  # type: ignore[arg-type]
    return changed(samples=(changes, *others))


CHANGES: dict[str, Callable[[], Layout]] = {
    "title": lambda: changed(title="Another"),
    "times.3": lambda: changed(times=np.array([0.0, 1 / 3, 2 / 3, 1.5])),
    "dims.wall": lambda: changed(dims={**small_layout().dims, "wall": 3}),
    "attrs.problem": lambda: changed(attrs={"problem": "other"}),
    "arrays.velocity.dtype": lambda: with_array(dtype="float32"),
    "arrays.velocity.units": lambda: with_array(units="cm s-1"),
    "arrays (order)": lambda: changed(arrays=small_layout().arrays[::-1]),
    "arrays.velocity": lambda: changed(arrays=small_layout().arrays[1:]),
    "arrays.velocity.dims.2": lambda: with_array(dims=("sample", "time", "face")),
    "static.node_x.sha256": lambda: with_static(np.arange(6.0)),
    "static.node_x.dtype": lambda: with_static(np.arange(6)),
    "samples.0.mu.speed": lambda: with_sample(mu={"viscosity": 0.1, "speed": 2.5}),
    "samples.0.seed": lambda: with_sample(seed=5),
}


@pytest.mark.parametrize("entry", CHANGES)
def test_a_changed_entry_changes_the_digest_and_is_named(entry: str) -> None:
    old, new = small_layout().description, CHANGES[entry]().description
    assert old.digest != new.digest
    found = difference(old, new)
    assert found is not None
    assert found[0] == entry


def test_equal_layouts_have_equal_digests() -> None:
    assert small_layout().digest() == small_layout().digest()
    assert difference(small_layout().description, small_layout().description) is None


def test_the_digest_does_not_depend_on_number_types_or_the_order_of_mappings() -> None:
    mu = {"speed": 2, "viscosity": np.float64(0.1)}
    same = with_sample(mu=mu, index=np.int64(0))
    assert same.digest() == small_layout().digest()


def test_a_description_survives_json_exactly() -> None:
    described = small_layout(n_frames=7).description
    assert DatasetDescription.from_json(described.to_json()) == described


def test_a_damaged_description_is_refused() -> None:
    with pytest.raises(StoreError, match=r"layout\.json"):
        DatasetDescription.from_json('{"name": "x"}')


FAULTS: dict[str, tuple[Callable[[], Layout], str]] = {
    "unknown dimension": (lambda: with_array(dims=("sample", "time", "cell")), "cell"),
    "sample not first": (lambda: with_array(dims=("time", "sample")), "Order them so"),
    "time not second": (lambda: with_array(dims=("sample", "node", "time")), "Order them so"),
    "type": (lambda: with_array(dtype="complex128"), "complex128"),
    "duplicate": (lambda: with_array(name="pressure"), "more than once: pressure"),
    "reserved": (lambda: with_array(name="status"), "status"),
    "name": (lambda: with_array(name="a b"), "letters"),
    "attributes": (lambda: with_array(attrs={"x": float("nan")}), "JSON"),
    "static shape": (lambda: with_static(np.zeros(5)), r"\(6,\)"),
    "no samples": (lambda: changed(samples=()), "at least one sample"),
    "index": (lambda: with_sample(index=1), "0 to 2"),
    "mu": (lambda: with_sample(mu={"speed": 1.0}), "every parameter"),
    "infinite mu": (lambda: with_sample(mu={"speed": 1.0, "viscosity": np.inf}), "finite"),
    "seed": (lambda: with_sample(seed=-1), "seed"),
    "times": (lambda: changed(times=np.array([0.0, 0.0])), "increasing"),
    "frames without times": (lambda: changed(times=np.array([])), "no output times"),
    "size": (lambda: changed(dims={"node": 0, "face": 2, "corner": 3}), "at least 1"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_contradiction_is_refused_with_what_was_expected(fault: str) -> None:
    make, message = FAULTS[fault]
    with pytest.raises(UserError, match=message):
        make()


def test_static_arrays_are_equal_by_value_whatever_their_memory_order() -> None:
    values = np.arange(6).reshape(2, 3)
    arrays = [
        StaticArray("a", ("face", "corner"), stored, "1", "a")
        for stored in (values, np.asfortranarray(values), values.astype(">i8"))
    ]
    assert len({array.describe().sha256 for array in arrays}) == 1


def test_required_bytes_exceed_the_raw_values_and_grow_with_samples() -> None:
    raw = 4 * 6 * (8 + 4)  # velocity and pressure of one sample
    few, many = required_bytes(small_layout(3)), required_bytes(small_layout(103))
    assert few > 3 * raw
    assert many - few > 100 * raw


def test_kinds_of_arrays_follow_from_their_dimensions() -> None:
    described = small_layout().description
    shapes = {spec.name: described.frame_shape(spec) for spec in described.arrays}
    assert shapes["velocity"] == (6,)
    assert shapes["drag"] == ()
    assert shapes["position"] == (6,)
    assert described.specs["drag"].series
    assert not ArraySpec("x", ("sample",), "1", "x").streamed
    assert Sample(0, {}, 0) not in described.samples
