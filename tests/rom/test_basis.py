"""Laws of proper orthogonal decomposition in an inner product."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.errors import UserError
from rom.basis import Basis, pod
from rom.field_product import field_product
from rom.field_scales import field_scales
from rom.products import Diagonal, Euclidean, InnerProduct, SparseProduct
from rom.tsqr import tall_skinny_qr

METHODS: tuple[Any, ...] = ("gram", "qr")


def random_product(n: int, seed: int) -> SparseProduct:
    A = np.random.default_rng(seed).standard_normal((n, n))
    return SparseProduct(A @ A.T / n + 0.01 * np.eye(n))


def projector(basis: Basis) -> Any:
    """Return the projection on the modes, Phi Phi^T M, as a matrix."""
    return basis.modes @ basis.product.apply(basis.modes).T


@given(
    n=st.integers(2, 40),
    k=st.integers(2, 40),
    seed=st.integers(0, 2**32 - 1),
    method=st.sampled_from(METHODS),
    centre=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_modes_are_orthonormal_in_the_product(
    n: int, k: int, seed: int, method: Any, centre: bool
) -> None:
    product = random_product(n, seed)
    rows = np.random.default_rng(seed).standard_normal((k, n))
    basis = pod(rows, product, centre=centre, method=method)
    gram = product.gram(basis.modes)
    np.testing.assert_allclose(gram, np.eye(basis.rank), atol=1e-11)


@pytest.mark.parametrize("method", METHODS)
def test_the_projection_error_is_what_was_left_out(spd: Any, rng: Any, method: Any) -> None:
    # Eckart and Young: no basis does better, this one does exactly so.
    product = spd(60)
    rows = rng.standard_normal((30, 60))
    full = pod(rows, product, centre=False, method=method)
    for r in (1, 5, 20):
        errors = full.truncated(r).projection_error(rows, relative=False)
        left_out = (full.singular_values[r:] ** 2).sum()
        assert (errors**2).sum() == pytest.approx(left_out, rel=1e-10)


@pytest.mark.parametrize("method", METHODS)
def test_data_of_rank_r_need_r_modes_and_are_represented_exactly(
    spd: Any, decaying: Any, method: Any
) -> None:
    product = spd(50)
    sigma = np.linspace(5.0, 1.0, 6)
    rows = decaying(product, 25, sigma)
    basis = pod(rows, product, centre=False, method=method, tolerance=1e-6)
    assert basis.rank == 6
    np.testing.assert_allclose(basis.singular_values[:6], sigma, rtol=1e-10)
    assert basis.projection_error(rows).max() < 1e-11
    # More are not invented where there is only rounding.
    assert pod(rows, product, rank=20, centre=False, method="gram").rank == 6


def test_no_other_basis_of_the_same_size_is_better(spd: Any, decaying: Any, rng: Any) -> None:
    product = spd(40)
    rows = decaying(product, 30, 0.5 ** np.arange(20))
    best = pod(rows, product, rank=4, centre=False)
    error = (best.projection_error(rows, relative=False) ** 2).sum()
    for rival in (
        pod(rows, Euclidean(40), rank=4, centre=False).modes,
        best.modes + 0.05 * rng.standard_normal((40, 4)),
    ):
        Q = rival @ np.linalg.inv(np.linalg.cholesky(product.gram(rival))).T
        other = Basis(Q, best.singular_values, None, product, 30)
        assert (other.projection_error(rows, relative=False) ** 2).sum() > error


def test_small_singular_values_are_right_by_qr_and_lost_by_the_method_of_snapshots(
    spd: Any, decaying: Any
) -> None:
    product = spd(80, condition=100.0)
    sigma = np.logspace(0, -13, 27)
    rows = decaying(product, 40, sigma)
    gram, qr = (pod(rows, product, centre=False, method=m) for m in METHODS)
    np.testing.assert_allclose(qr.singular_values[:27], sigma, rtol=0.02)
    resolved = sigma > 3e-7
    np.testing.assert_allclose(
        gram.singular_values[:27][resolved], sigma[resolved], rtol=0.02
    )  # fmt: skip
    lost = sigma < 1e-9
    assert (np.abs(gram.singular_values[:27] / sigma - 1)[lost] > 0.5).all()
    # It does not offer rounding as modes.
    assert gram.rank <= (sigma > 1e-9).sum()
    assert qr.rank >= 26


@pytest.mark.parametrize("tolerance", [1e-2, 1e-5, 1e-7, 1e-9, 1e-12])
@pytest.mark.parametrize("diagonal", [True, False])
def test_the_automatic_method_meets_every_tolerance_with_the_fewest_modes(
    spd: Any, decaying: Any, tolerance: float, diagonal: bool
) -> None:
    product: Any = spd(80, condition=10.0)
    sigma = np.logspace(0, -14, 29)
    rows = decaying(product, 40, sigma)
    if diagonal:
        product = Diagonal(np.linspace(1.0, 2.0, 80))
        rows = decaying(SparseProduct(np.diag(product.weights)), 40, sigma)
    basis = pod(rows, product, tolerance=tolerance, centre=False)
    errors = basis.projection_error(rows, relative=False)
    total = np.linalg.norm(sigma)
    assert np.linalg.norm(errors) <= tolerance * total * 1.01
    assert np.linalg.norm(sigma[basis.rank - 1 :]) > tolerance * total * 0.99


def test_a_number_of_modes_beyond_the_digits_of_the_gram_matrix_is_reached(
    spd: Any, decaying: Any
) -> None:
    product = spd(80, condition=10.0)
    rows = decaying(product, 40, np.logspace(0, -12, 25))
    assert pod(rows, product, rank=22, centre=False).rank == 22
    assert pod(rows, product, rank=22, centre=False, method="gram").rank < 22


@pytest.mark.parametrize("method", METHODS)
def test_projecting_twice_is_projecting_once(spd: Any, rng: Any, method: Any) -> None:
    product, rows = spd(30), rng.standard_normal((12, 30))
    basis = pod(rows, product, rank=5, method=method)
    once = basis.lift(basis.coefficients(rows))
    np.testing.assert_allclose(basis.lift(basis.coefficients(once)), once, atol=1e-10)
    assert basis.projection_error(once).max() < 1e-11


@pytest.mark.parametrize("method", METHODS)
def test_the_centre_is_the_mean_and_has_the_coefficients_zero(
    spd: Any, rng: Any, method: Any
) -> None:
    product, rows = spd(30), rng.standard_normal((12, 30)) + 100.0
    basis = pod(rows, product, method=method)
    mean = rows.mean(axis=0)
    np.testing.assert_allclose(basis.centre, mean, rtol=1e-14)
    assert np.abs(basis.coefficients(mean[None])).max() < 1e-8
    assert np.abs(basis.coefficients(rows).mean(axis=0)).max() < 1e-8
    assert basis.rank == 11
    assert pod(rows, product, centre=False, method=method).centre is None


@pytest.mark.parametrize("method", METHODS)
def test_a_constant_that_is_added_changes_a_centred_basis_by_nothing(
    spd: Any, rng: Any, method: Any
) -> None:
    product, rows = spd(30), rng.standard_normal((12, 30))
    one, other = (
        pod(r, product, rank=4, method=method) for r in (rows, rows + np.arange(30.0))
    )  # fmt: skip
    np.testing.assert_allclose(other.modes, one.modes, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("centre", [True, False])
def test_the_order_of_snapshots_changes_nothing(
    spd: Any, decaying: Any, rng: Any, method: Any, centre: bool
) -> None:
    product = spd(40)
    rows = decaying(product, 20, 0.5 ** np.arange(12))
    one, other = (
        pod(r, product, rank=6, method=method, centre=centre)
        for r in (rows, rng.permutation(rows))
    )  # fmt: skip
    np.testing.assert_allclose(
        other.singular_values[:6], one.singular_values[:6], rtol=1e-9
    )  # fmt: skip
    np.testing.assert_allclose(other.modes, one.modes, atol=1e-8 * np.abs(one.modes).max())


@pytest.mark.parametrize("diagonal", [True, False])
def test_both_methods_give_the_same_modes_where_both_have_digits(
    spd: Any, decaying: Any, diagonal: bool
) -> None:
    product: InnerProduct = Diagonal(np.linspace(1.0, 3.0, 40)) if diagonal else spd(40)
    rows = decaying(spd(40), 20, 0.5 ** np.arange(12))
    one, other = (pod(rows, product, rank=6, method=m) for m in METHODS)
    np.testing.assert_allclose(other.modes, one.modes, atol=1e-8 * np.abs(one.modes).max())


def test_units_are_removed_by_scales_and_rule_the_basis_without(two_fields: Any, rng: Any) -> None:
    space = two_fields(4)
    half = space.n_values // 2
    rows = rng.standard_normal((20, space.n_values))
    rows[:, half:] *= 0.1
    millis = rows.copy()
    millis[:, :half] *= 1000.0  # the temperature in mK
    plain, metric = (field_product(space) for _ in range(2))
    first = {"temperature": 1.0, "fraction": 0.1}
    second = {"temperature": 1000.0, "fraction": 0.1}
    one = pod(rows, field_product(space, scales=first), rank=5)
    other = pod(millis, field_product(space, scales=second), rank=5)
    back = other.modes.copy()
    back[:half] /= 1000.0
    np.testing.assert_allclose(back, one.modes, atol=1e-9)
    # Without scales the field with the large numbers is all that is seen.
    blind = pod(millis, plain, rank=5)
    seen = np.linalg.norm(metric.norms(np.vstack([blind.modes[:half], np.zeros((half, 5))])))
    assert seen**2 / 5 > 1 - 1e-6
    shares = one.product.gram(np.vstack([one.modes[:half], np.zeros((half, 5))]))
    assert 0.05 < np.trace(shares) / 5 < 0.95


def test_measured_scales_make_fields_equally_important(two_fields: Any, rng: Any) -> None:
    from rom.array_snapshots import ArraySnapshots

    space = two_fields(4)
    half = space.n_values // 2
    values = rng.standard_normal((20, space.n_values)) * np.repeat([300.0, 1e-3], half)
    study = ArraySnapshots(space, ("a",), np.arange(20.0)[:, None], values)
    product = field_product(space, scales=field_scales(study))
    centred = values - values.mean(axis=0)
    parts = [np.where(np.arange(2 * half) < half, centred, 0.0)]
    parts.append(centred - parts[0])
    sizes = [np.linalg.norm(product.norms(part.T)) for part in parts]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.15)


def test_rows_give_the_same_values_as_the_whole_field(spd: Any, rng: Any) -> None:
    product, rows = spd(30), rng.standard_normal((12, 30)) + 3.0
    for centre in (True, False):
        basis = pod(rows, product, rank=4, centre=centre)
        a = basis.coefficients(rows)
        places = np.array([3, 3, 17])
        np.testing.assert_allclose(basis.rows(places).lift(a), basis.lift(a)[:, places])
        np.testing.assert_allclose(basis.rows(slice(4, 9)).lift(a), basis.lift(a)[:, 4:9])


def test_batches_are_the_single_fields(spd: Any, rng: Any) -> None:
    product, rows = spd(30), rng.standard_normal((12, 30))
    basis = pod(rows, product, rank=4)
    a = basis.coefficients(rows)
    for i in range(12):
        np.testing.assert_allclose(basis.coefficients(rows[i : i + 1])[0], a[i], atol=1e-12)
        np.testing.assert_allclose(basis.lift(a[i : i + 1])[0], basis.lift(a)[i], atol=1e-12)


def test_truncated_bases_are_nested_and_keep_all_singular_values(spd: Any, rng: Any) -> None:
    basis = pod(rng.standard_normal((12, 30)), spd(30))
    small = basis.truncated(3)
    np.testing.assert_array_equal(small.modes, basis.modes[:, :3])
    assert small.singular_values is basis.singular_values
    assert small.discarded > basis.discarded
    for rank in (0, basis.rank + 1):
        with pytest.raises(UserError, match="Expected 1 to 11 modes"):
            basis.truncated(rank)


def test_the_relative_error_is_that_of_the_field(spd: Any, rng: Any) -> None:
    product, rows = spd(30), rng.standard_normal((12, 30)) + 5.0
    basis = pod(rows, product, rank=3)
    left = rows - basis.lift(basis.coefficients(rows))
    expected = product.norms(left.T) / product.norms(rows.T)
    np.testing.assert_allclose(basis.projection_error(rows), expected, rtol=1e-9)


def test_a_zero_field_has_no_relative_error_unless_it_is_missed(rng: Any) -> None:
    rows = rng.standard_normal((12, 30)) + 5.0
    zero = np.zeros((1, 30))
    assert pod(rows, rank=3, centre=False).projection_error(zero)[0] == 0.0
    assert pod(rows, rank=3).projection_error(zero)[0] == np.inf


def test_snapshots_are_not_changed(rng: Any) -> None:
    rows = rng.standard_normal((12, 300))
    before = rows.copy()
    for product in (Euclidean(300), Diagonal(np.full(300, 2.0)), random_product(300, 0)):
        for method in METHODS:
            for centre in (True, False):
                pod(rows, product, method=method, centre=centre)
    np.testing.assert_array_equal(rows, before)


def test_blocks_are_the_rows_behind_each_other(rng: Any) -> None:
    rows = rng.standard_normal((12, 30))
    one = pod(rows, rank=4)
    other = pod((rows[start : start + 4] for start in range(0, 12, 4)), rank=4)
    np.testing.assert_array_equal(other.modes, one.modes)
    np.testing.assert_array_equal(pod(list(rows), rank=4).modes, one.modes)


@pytest.mark.parametrize(("n", "k"), [(10, 3), (100, 7), (101, 20), (15, 20), (1, 1)])
def test_tall_skinny_qr_is_a_qr_factorisation(rng: Any, n: int, k: int) -> None:
    A = rng.standard_normal((n, k))
    A[:, k // 2] = A[:, 0]
    Q, R = tall_skinny_qr(A.copy(), rows=10)
    np.testing.assert_allclose(Q @ R, A, atol=1e-13)
    np.testing.assert_allclose(Q.T @ Q, np.eye(Q.shape[1]), atol=1e-13)


@pytest.mark.parametrize("method", METHODS)
def test_snapshots_that_are_the_same_twice_or_zero_do_no_harm(
    spd: Any, rng: Any, method: Any
) -> None:
    product, rows = spd(50), rng.standard_normal((20, 50))
    rows[3], rows[5], rows[7] = rows[2], 0.0, -2 * rows[2]
    basis = pod(rows, product, centre=False, method=method)
    assert basis.rank == 17
    np.testing.assert_allclose(product.gram(basis.modes), np.eye(17), atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("centre", [True, False])
def test_more_snapshots_than_values_give_at_most_as_many_modes_as_values(
    spd: Any, rng: Any, method: Any, centre: bool
) -> None:
    basis = pod(rng.standard_normal((50, 8)), spd(8), centre=centre, method=method)
    assert basis.rank == 8


class TestBadInput:
    """Every mistake is named."""

    @pytest.mark.parametrize("method", [*METHODS, "auto"])
    def test_constant_snapshots(self, method: Any) -> None:
        rows = np.tile(np.sin(np.arange(30.0)) * 300.0, (9, 1))
        with pytest.raises(UserError, match="snapshots that differ"):
            pod(rows, method=method)
        assert pod(rows, method=method, centre=False).rank == 1

    @pytest.mark.parametrize("method", [*METHODS, "auto"])
    def test_zero_snapshots(self, method: Any) -> None:
        with pytest.raises(UserError, match="all are zero"):
            pod(np.zeros((4, 9)), centre=False, method=method)

    def test_too_few_snapshots(self, rng: Any) -> None:
        rows = rng.standard_normal((5, 9))
        with pytest.raises(UserError, match="at least 6 snapshots for 5 modes beside the mean"):
            pod(rows, rank=5)
        assert pod(rows, rank=5, centre=False).rank == 5
        with pytest.raises(UserError, match="at least 2 snapshots"):
            pod(rows[:1])

    def test_values_that_are_not_finite(self, rng: Any) -> None:
        rows = rng.standard_normal((5, 9))
        rows[2, 3], rows[3, 3] = np.nan, np.inf
        with pytest.raises(UserError, match="2 values are NaN or infinite"):
            pod(rows)

    def test_another_size_than_the_product(self, rng: Any) -> None:
        with pytest.raises(UserError, match="fields of 8 values"):
            pod(rng.standard_normal((5, 9)), Euclidean(8))

    def test_shapes_that_are_no_snapshots(self) -> None:
        for wrong in (np.zeros((2, 3, 4)), np.zeros(4), np.zeros((0, 3)), []):
            with pytest.raises(UserError, match="snapshots as rows"):
                pod(wrong)
        with pytest.raises(UserError, match="blocks of snapshots of one size"):
            pod([np.zeros((2, 3)), np.zeros((2, 4))])

    @pytest.mark.parametrize(
        "arguments", [{"tolerance": 1.0}, {"tolerance": -0.1}, {"tolerance": np.nan}, {"rank": 0}]
    )
    def test_numbers_out_of_their_range(self, rng: Any, arguments: Any) -> None:
        with pytest.raises(UserError, match="Expected a tolerance"):
            pod(rng.standard_normal((5, 9)), **arguments)

    def test_an_unknown_method(self, rng: Any) -> None:
        with pytest.raises(UserError, match="auto, gram or qr"):
            pod(rng.standard_normal((5, 9)), method="svd")  # type: ignore[arg-type]
