"""Laws of hierarchical POD: its bound, its independence of order, its memory, and enrichment."""

import pickle
import tracemalloc
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.errors import UserError
from infra.field_space import FieldInfo, FieldSpace
from rom.array_snapshots import ArraySnapshots
from rom.basis import Basis, pod
from rom.compressed import Compression
from rom.field_product import field_product
from rom.hierarchical import HierarchicalPod, hierarchical_pod
from rom.products import Euclidean, SparseProduct

SHAPES: tuple[Any, ...] = ("incremental", "tree")


def relative_error(basis: Basis, rows: Any) -> float:
    """Return the root mean square error over that of the centre alone."""
    centred = rows if basis.centre is None else rows - basis.centre
    errors = basis.projection_error(rows, relative=False)
    return float(np.linalg.norm(errors) / np.linalg.norm(basis.product.norms(centred.T)))


@given(
    seed=st.integers(0, 2**32 - 1),
    tolerance=st.floats(1e-6, 0.5),
    centre=st.booleans(),
    shape=st.sampled_from(SHAPES),
    sizes=st.lists(st.integers(1, 6), min_size=2, max_size=9),
)
@settings(max_examples=40, deadline=None)
def test_the_error_is_within_the_bound_and_the_bound_within_the_tolerance(
    seed: int, tolerance: float, centre: bool, shape: Any, sizes: list[int]
) -> None:
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((20, 20))
    product = SparseProduct(A @ A.T / 20 + 0.1 * np.eye(20))
    decay = 0.3 ** np.arange(20)
    blocks = [(rng.standard_normal((k, 20)) + rng.standard_normal(20)) * decay for k in sizes]
    compression = Compression(product, tolerance, centre=centre)
    hierarchical = HierarchicalPod(compression, len(sizes) if shape == "tree" else None)
    for block in blocks:
        hierarchical.add(block)
    basis, report = hierarchical.basis()
    rows = np.concatenate(blocks)
    # Squares of what is discarded are known up to round-off of the whole energy.
    rounding = 20 * np.finfo(float).eps
    assert relative_error(basis, rows) ** 2 <= report.bound**2 * (1 + 1e-6) + rounding
    assert report.bound <= tolerance * (1 + 1e-9)
    np.testing.assert_allclose(product.gram(basis.modes), np.eye(basis.rank), atol=1e-10)
    if centre:
        np.testing.assert_allclose(basis.centre, rows.mean(axis=0), atol=1e-13)
    centred = rows - rows.mean(axis=0) if centre else rows
    assert report.energy == pytest.approx((product.norms(centred.T) ** 2).sum())
    assert report.n_snapshots == basis.n_snapshots == len(rows)
    assert report.n_leaves == len(sizes)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("tolerance", [1e-2, 1e-4, 1e-8])
def test_it_is_nearly_as_good_as_pod_of_everything(
    pulses: Any, shape: Any, tolerance: float
) -> None:
    study = pulses(8, 10)
    product, rows = field_product(study.space), study.matrix()
    basis, _ = hierarchical_pod(study, product, tolerance, shape=shape)
    best = pod(rows, product, tolerance=tolerance)
    # The number of modes is at most that of the whole at 0.95 of the tolerance.
    assert basis.rank <= pod(rows, product, tolerance=0.95 * tolerance).rank
    rank = min(best.rank, basis.rank)
    error = relative_error(basis.truncated(rank), rows)
    assert error <= 1.05 * relative_error(best.truncated(rank), rows)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_order_of_trajectories_changes_it_within_the_tolerance(
    pulses: Any, rng: Any, shape: Any
) -> None:
    study, tolerance = pulses(9, 6), 1e-3
    product, rows = field_product(study.space), study.matrix()
    exact = pod(rows, product).singular_values
    found = []
    for _ in range(3):
        mixed = study.subset(int(i) for i in rng.permutation(9))
        basis, report = hierarchical_pod(mixed, product, tolerance, shape=shape, rows=6)
        assert relative_error(basis, rows) <= tolerance
        np.testing.assert_allclose(basis.centre, rows.mean(axis=0), rtol=1e-12)
        # What was left out before the root is all that singular values can lose.
        loss = exact[: basis.rank] ** 2 - basis.singular_values[: basis.rank] ** 2
        assert loss.min() >= -1e-12 * report.energy
        assert loss.max() <= tolerance**2 * report.energy * (1 - 0.95**2)
        found.append(basis)
    ranks = [basis.rank for basis in found]
    assert max(ranks) - min(ranks) <= 1
    for one, other in pairwise(found):
        # Leading modes are the same but for what the tolerance leaves open.
        overlap = product.gram(one.modes[:, :3], other.modes[:, :3])
        np.testing.assert_allclose(np.linalg.svd(overlap)[1], 1.0, atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_no_block_and_no_memory_is_as_large_as_all_snapshots(shape: Any) -> None:
    n, n_samples, n_times = 1500, 40, 20
    x, times = np.linspace(0.0, 1.0, n), np.linspace(0.0, 1.0, n_times)
    values = np.array(
        [[np.sin(3 * x + (2 + a) * t) * np.exp(-a * x) for t in times]
         for a in np.linspace(0.0, 1.0, n_samples)]
    )  # fmt: skip
    space = FieldSpace((FieldInfo("u", "1", n, "node"),))
    mus = np.linspace(0.0, 1.0, n_samples)[:, None]
    study = ArraySnapshots(space, ("a",), mus, values, times)
    product = Euclidean(n)

    def peak(make: Any) -> tuple[int, Any]:
        tracemalloc.start()
        made = make()
        memory = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return memory, made

    limit = study.trajectory_bytes
    small, (_, report) = peak(
        lambda: hierarchical_pod(study, product, 1e-4, shape=shape, memory=limit)
    )
    large, _ = peak(lambda: pod(study.matrix(), product, tolerance=1e-4))
    assert report.largest <= 3 * n_times
    assert report.largest * 10 <= report.n_snapshots
    assert small <= 0.2 * large


def test_short_trajectories_are_put_together_and_progress_is_told(pulses: Any) -> None:
    study = pulses(10, 4)
    product, told = field_product(study.space), []
    _, report = hierarchical_pod(
        study, product, 1e-3, rows=12, progress=lambda *n: told.append(n)
    )  # fmt: skip
    assert told == [(3, 10), (6, 10), (9, 10), (10, 10)]
    assert report.n_leaves == 4
    limit = study.trajectory_bytes
    _, report = hierarchical_pod(study, product, 1e-3, rows=12, memory=2 * limit)
    assert report.n_leaves == 5
    with pytest.raises(UserError, match=f"at least {limit} bytes"):
        hierarchical_pod(study, product, 1e-3, memory=limit - 1)


def test_the_mapper_may_give_leaves_in_any_order(pulses: Any) -> None:
    study = pulses(6, 5)
    product, rows = field_product(study.space), study.matrix()

    def backwards(leaf: Any, groups: Any) -> Any:
        # As other processes would: everything travels.
        return [pickle.loads(pickle.dumps(leaf))(group) for group in reversed(list(groups))]

    basis, report = hierarchical_pod(study, product, 1e-5, rows=5, mapper=backwards)
    assert report.n_leaves == 6
    assert relative_error(basis, rows) <= 1e-5


def test_trajectories_can_be_added_to_a_finished_basis(pulses: Any) -> None:
    study = pulses(8, 5)
    product = field_product(study.space)
    for leaves in (None, 8):
        growing = HierarchicalPod(Compression(product, 1e-4), leaves)
        ranks = []
        for done, trajectory in enumerate(study, 1):
            growing.add(trajectory.values)
            basis, report = growing.basis()
            ranks.append(basis.rank)
            assert report.n_leaves == done
            assert relative_error(basis, study.matrix()[: 5 * done]) <= 1e-4
        assert ranks[-1] > ranks[0]


def test_a_number_of_modes_holds_and_the_report_tells_what_it_costs(pulses: Any) -> None:
    study = pulses(6, 5)
    product, rows = field_product(study.space), study.matrix()
    basis, report = hierarchical_pod(study, product, 1e-6, rank=3)
    assert basis.rank == 3
    assert relative_error(basis, rows) <= report.bound * (1 + 1e-9)
    assert report.bound > 1e-3


def test_steady_studies_are_compressed_too(two_fields: Any, rng: Any) -> None:
    space = two_fields(5)
    mixing = rng.standard_normal((6, space.n_values))
    mus = rng.random((40, 6))
    study = ArraySnapshots(space, tuple("abcdef"), mus, mus @ mixing + 20.0)
    basis, report = hierarchical_pod(study, field_product(space), 1e-6, rows=8)
    assert basis.rank == 6
    assert report.n_leaves == 5
    # One snapshot a leaf: all that differs is between the leaves.
    single, report = hierarchical_pod(study, field_product(space), 1e-6, rows=1)
    assert single.rank == 6
    assert report.n_leaves == 40
    np.testing.assert_allclose(
        single.singular_values[:6], basis.singular_values[:6], rtol=1e-6
    )  # fmt: skip


def test_snapshots_are_not_changed(rng: Any) -> None:
    rows = rng.standard_normal((6, 30))
    before = rows.copy()
    for centre in (True, False):
        hierarchical = HierarchicalPod(Compression(Euclidean(30), 0.1, centre=centre))
        hierarchical.add(rows)
        hierarchical.add(rows)
        hierarchical.basis()
    np.testing.assert_array_equal(rows, before)


@pytest.mark.parametrize("shape", SHAPES)
class TestBadInput:
    """Every mistake is named."""

    def study(self, values: Any) -> ArraySnapshots:
        space = FieldSpace((FieldInfo("u", "1", values.shape[2], "node"),))
        times = np.arange(float(values.shape[1]))
        return ArraySnapshots(space, ("a",), np.zeros((len(values), 1)), values, times)

    def test_constant_and_zero_snapshots(self, shape: Any) -> None:
        constant = self.study(np.tile(300.0 * np.sin(np.arange(30.0)), (4, 3, 1)))
        with pytest.raises(UserError, match="snapshots that differ"):
            hierarchical_pod(constant, Euclidean(30), 1e-3, shape=shape, rows=3)
        basis, _ = hierarchical_pod(constant, Euclidean(30), 1e-3, centre=False, shape=shape)
        assert basis.rank == 1
        zero = self.study(np.zeros((4, 3, 30)))
        with pytest.raises(UserError, match="all are zero"):
            hierarchical_pod(zero, Euclidean(30), 1e-3, centre=False, shape=shape, rows=3)

    def test_trajectories_that_stand_still_differ_from_each_other(
        self, shape: Any, rng: Any
    ) -> None:
        still = self.study(np.repeat(rng.standard_normal((4, 1, 30)), 3, axis=1))
        basis, _ = hierarchical_pod(still, Euclidean(30), 1e-3, shape=shape, rows=3)
        assert basis.rank == 3

    def test_too_few_snapshots(self, shape: Any, rng: Any) -> None:
        study = self.study(rng.standard_normal((2, 3, 30)))
        with pytest.raises(UserError, match="at least 7 snapshots"):
            hierarchical_pod(study, Euclidean(30), 1e-3, rank=6, shape=shape)
        one = self.study(rng.standard_normal((1, 1, 30)))
        with pytest.raises(UserError, match="at least 2 snapshots"):
            hierarchical_pod(one, Euclidean(30), 1e-3, shape=shape)

    @pytest.mark.parametrize(
        "arguments", [{"tolerance": 0.0}, {"tolerance": 1.0}, {"tolerance": 0.1, "share": 1.0}]
    )
    def test_numbers_out_of_their_range(self, shape: Any, arguments: Any, rng: Any) -> None:
        study = self.study(rng.standard_normal((2, 3, 30)))
        with pytest.raises(UserError, match="between 0 and 1"):
            hierarchical_pod(study, Euclidean(30), shape=shape, **arguments)


def test_nothing_was_taken_in_yet() -> None:
    with pytest.raises(UserError, match="received 0"):
        HierarchicalPod(Compression(Euclidean(3), 0.1)).basis()


def test_values_that_do_not_fit_or_are_not_finite_are_refused_and_change_nothing(rng: Any) -> None:
    hierarchical = HierarchicalPod(Compression(Euclidean(30), 0.1))
    hierarchical.add(rng.standard_normal((5, 30)))
    before = hierarchical.basis()[0].modes
    with pytest.raises(UserError, match="fields of 30 values"):
        hierarchical.add(rng.standard_normal((5, 31)))
    bad = rng.standard_normal((5, 30))
    bad[2, 2] = np.nan
    with pytest.raises(UserError, match="NaN or infinite"):
        hierarchical.add(bad)
    np.testing.assert_array_equal(hierarchical.basis()[0].modes, before)
