"""Laws of reading snapshots: from a store as from arrays, one trajectory at a time, capped."""

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from infra.errors import UserError
from infra.field_space import FieldInfo, FieldSpace
from infra.layout import ArraySpec
from infra.records import DrawRecord
from infra.testing import expected_values, small_layout, timeless_layout, write_all
from infra.zarr_store import ZarrStore, open_store
from rom.array_snapshots import ArraySnapshots
from rom.snapshots import Snapshots
from rom.store_snapshots import StoreSnapshots


def commit(store: ZarrStore, *indices: int) -> None:
    for index in indices:
        with store.sink(store.samples[index]) as sink:
            write_all(sink, store.description)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ZarrStore:
    store = ZarrStore(tmp_path_factory.mktemp("rom") / "dataset")
    store.create(small_layout(n_samples=4))
    commit(store, 0, 1, 3)
    return store


@pytest.fixture
def arrays() -> ArraySnapshots:
    space = FieldSpace((FieldInfo("velocity", "m s-1", 6, "node"),))
    values = np.arange(4 * 3 * 6.0).reshape(4, 3, 6)
    mus = np.array([[0.1, 2.0], [0.2, 2.0], [0.3, 2.0], [0.4, 2.0]])
    return ArraySnapshots(
        space, ("viscosity", "speed"), mus, values, [0.0, 0.5, 1.0],
        units=("m2 s-1", "m s-1"), quantities={"drag": np.ones((4, 3)), "work": np.arange(4.0)},
        quantity_units={"work": "J"},
    ).subset([0, 1, 3])  # fmt: skip


@pytest.fixture(params=["store", "arrays"])
def snapshots(request: pytest.FixtureRequest) -> Snapshots:
    made = request.getfixturevalue(request.param)
    return made if isinstance(made, Snapshots) else StoreSnapshots(made)


class TestEverySource:
    """Conformance: samples 0, 1 and 3 of 4, two parameters, several output times."""

    def test_trajectories_have_the_shapes_that_are_promised(self, snapshots: Snapshots) -> None:
        assert snapshots.indices == (0, 1, 3)
        assert len(snapshots) == 3
        assert snapshots.n_snapshots == 3 * len(snapshots.times)
        for index, trajectory in zip(snapshots.indices, snapshots, strict=True):
            assert trajectory.index == index
            assert trajectory.values.shape == (len(snapshots.times), snapshots.space.n_values)
            assert trajectory.values.dtype == trajectory.mu.dtype == np.float64
            np.testing.assert_array_equal(trajectory.times, snapshots.times)
            np.testing.assert_allclose(trajectory.mu, [0.1 * (index + 1), 2.0])

    def test_parameters_have_names_units_and_the_bounds_of_all_samples(
        self, snapshots: Snapshots
    ) -> None:
        assert snapshots.names == ("viscosity", "speed")
        assert snapshots.units == ("m2 s-1", "m s-1")
        np.testing.assert_allclose(snapshots.bounds, [[0.1, 0.4], [2.0, 2.0]])
        np.testing.assert_allclose(snapshots.mus[:, 0], [0.1, 0.2, 0.4])

    def test_the_matrix_is_all_trajectories_behind_each_other(self, snapshots: Snapshots) -> None:
        expected = np.concatenate([t.values for t in snapshots])
        np.testing.assert_array_equal(snapshots.matrix(), expected)

    def test_a_subset_reads_the_same_in_its_own_order(self, snapshots: Snapshots) -> None:
        part = snapshots.subset([3, 0])
        assert part.indices == (3, 0)
        for index in part.indices:
            expected = snapshots.trajectory(index).values
            np.testing.assert_array_equal(part.trajectory(index).values, expected)
        assert len(snapshots) == 3
        np.testing.assert_array_equal(part.bounds, snapshots.bounds)
        with pytest.raises(UserError, match="one of the samples"):
            part.trajectory(1)

    @pytest.mark.parametrize("wrong", [[2], [], [0, 0]])
    def test_unknown_repeated_or_no_samples_are_refused(
        self, snapshots: Snapshots, wrong: Any
    ) -> None:
        with pytest.raises(UserError, match="computed samples"):
            snapshots.subset(wrong)

    def test_quantities_are_numbers_per_time_or_per_sample(self, snapshots: Snapshots) -> None:
        found = snapshots.quantities(3)
        assert set(found) == set(snapshots.quantity_units)
        assert found["drag"].shape == (len(snapshots.times),)
        for values in found.values():
            assert values.shape in {(1,), (len(snapshots.times),)}
        with pytest.raises(UserError, match="one of the samples"):
            snapshots.quantities(2)

    def test_progress_is_told_after_each_trajectory(self, snapshots: Snapshots) -> None:
        told: list[tuple[int, int]] = []
        for read, _ in enumerate(snapshots.read(progress=lambda *n: told.append(n))):
            assert told == [(i + 1, 3) for i in range(read)]
        snapshots.matrix(progress=lambda *n: told.append(n))
        assert told == [(1, 3), (2, 3), (3, 3)] * 2

    def test_memory_that_does_not_hold_what_is_asked_for_is_refused_before_reading(
        self, snapshots: Snapshots
    ) -> None:
        one = snapshots.trajectory_bytes
        assert len(list(snapshots.read(memory=one))) == 3
        with pytest.raises(UserError, match=f"at least {one} bytes"):
            next(snapshots.read(memory=one - 1))
        assert len(snapshots.matrix(memory=3 * one)) == snapshots.n_snapshots
        with pytest.raises(UserError, match="hierarchical"):
            snapshots.matrix(memory=3 * one - 1)

    def test_they_travel_to_other_processes(self, snapshots: Snapshots) -> None:
        again = pickle.loads(pickle.dumps(snapshots))
        np.testing.assert_array_equal(again.matrix(), snapshots.matrix())


def test_a_frame_is_the_fields_of_the_stream_behind_each_other(store: ZarrStore) -> None:
    snapshots, description = StoreSnapshots(store), store.description
    assert list(snapshots.space.slices) == ["velocity", "pressure"]
    sample = store.samples[3]
    expected = [
        expected_values(description, description.specs[name], sample)
        for name in ("velocity", "pressure")
    ]
    values = snapshots.trajectory(3).values
    np.testing.assert_array_equal(values, np.concatenate(expected, axis=1))
    np.testing.assert_array_equal(snapshots.times, store.times)
    assert snapshots.space.cells["node"].shape == (2, 3)


def test_chosen_fields_keep_their_mesh_and_values(store: ZarrStore) -> None:
    whole, part = StoreSnapshots(store), StoreSnapshots(store, [3, 1], ["pressure"])
    assert part.indices == (3, 1)
    place = whole.space.slices["pressure"]
    expected = whole.trajectory(1).values[:, place]
    np.testing.assert_array_equal(part.trajectory(1).values, expected)
    np.testing.assert_array_equal(part.space.points["node"], whole.space.points["node"])
    for wrong in ([], ["density"]):
        with pytest.raises(UserError, match="at least one of the fields"):
            StoreSnapshots(store, fields=wrong)


def test_quantities_of_a_store_are_its_floating_numbers(store: ZarrStore) -> None:
    snapshots = StoreSnapshots(store)
    assert snapshots.quantity_units == {"drag": "1"}  # iterations are whole numbers
    expected = store.read(1, "drag")
    np.testing.assert_array_equal(snapshots.quantities(1)["drag"], expected)


def test_samples_that_are_not_committed_are_refused(store: ZarrStore, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"\[2\] are not computed"):
        StoreSnapshots(store, [1, 2])
    empty = ZarrStore(tmp_path / "empty")
    empty.create(small_layout())
    with pytest.raises(UserError, match="at least one of the 0 computed samples"):
        StoreSnapshots(empty)


def test_given_bounds_hold_and_unknown_ones_are_refused(store: ZarrStore) -> None:
    snapshots = StoreSnapshots(store, bounds={"viscosity": (0.0, 1.0)})
    np.testing.assert_allclose(snapshots.bounds, [[0.0, 1.0], [2.0, 2.0]])
    with pytest.raises(UserError, match=r"\['speeed'\] too"):
        StoreSnapshots(store, bounds={"speeed": (0.0, 1.0)})


def test_samples_that_are_drawn_later_are_read_as_all_others(tmp_path: Path) -> None:
    whole = small_layout(n_samples=5)
    known = (replace(s, mu={} if s.index >= 2 else s.mu) for s in whole.samples)
    store = ZarrStore(tmp_path / "bred")
    store.create(replace(whole, samples=tuple(known)))
    reader = open_store(tmp_path / "bred")
    commit(store, 0, 1)
    np.testing.assert_allclose(StoreSnapshots(reader).bounds, [[0.1, 0.2], [2.0, 2.0]])
    drawn = tuple(replace(s, mu={"viscosity": 0.7, "speed": 3.0}) for s in whole.samples[2:4])
    store.draw(DrawRecord(drawn, {2: 0}))
    commit(store, 3)
    snapshots = StoreSnapshots(reader)
    assert snapshots.indices == (0, 1, 3)
    np.testing.assert_allclose(snapshots.mus, [[0.1, 2.0], [0.2, 2.0], [0.7, 3.0]])
    np.testing.assert_allclose(snapshots.bounds, [[0.1, 0.7], [2.0, 3.0]])


def test_a_steady_study_has_one_frame_at_time_zero(tmp_path: Path) -> None:
    layout = timeless_layout()
    attrs = {"role": "solution"}
    field = ArraySpec("temperature", ("sample", "node"), "K", "temperature", attrs=attrs)
    store = ZarrStore(tmp_path / "steady")
    store.create(replace(layout, arrays=(*layout.arrays, field)))
    for sample in store.samples:
        with store.sink(sample) as sink:
            write_all(sink, store.description)
    snapshots = StoreSnapshots(store)
    assert list(snapshots.space.slices) == ["temperature"]
    np.testing.assert_array_equal(snapshots.times, [0.0])
    expected = store.read(2, "temperature")[None]
    np.testing.assert_array_equal(snapshots.trajectory(2).values, expected)


def test_a_value_that_is_not_finite_is_named_by_sample_and_field() -> None:
    fields = (FieldInfo("u", "1", 2, "node"), FieldInfo("p", "1", 2, "node"))
    values = np.zeros((3, 1, 4))
    values[1, 0, 3] = np.nan
    snapshots = ArraySnapshots(FieldSpace(fields), ("a",), np.zeros((3, 1)), values, [0.0])
    snapshots.trajectory(0)
    with pytest.raises(UserError, match=r"sample 1; \['p'\]"):
        snapshots.matrix()


def test_trajectories_from_arrays_cannot_change_them(arrays: ArraySnapshots) -> None:
    with pytest.raises(ValueError, match="read-only"):
        arrays.trajectory(0).values[0, 0] = 1.0


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"values": np.zeros((2, 3, 5))}, "values"),
        ({"mus": np.zeros((2, 3))}, "mus"),
        ({"times": [0.0, 2.0, 1.0]}, "ascending"),
        ({"units": ["m"]}, "units"),
        ({"quantities": {"drag": np.zeros((2, 4))}}, "drag"),
    ],
)
def test_arrays_that_do_not_fit_are_named(change: Any, named: str) -> None:
    space = FieldSpace((FieldInfo("u", "1", 6, "node"),))
    right = {"mus": np.zeros((2, 2)), "values": np.zeros((2, 3, 6)), "times": [0.0, 1.0, 2.0]}
    ArraySnapshots(space, ("a", "b"), **right)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=named):
        ArraySnapshots(space, ("a", "b"), **(right | change))
