"""Laws of inner products: exact integrals, symmetry, positivity, clear refusals."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from infra.errors import UserError
from infra.field_space import FieldInfo, FieldSpace
from rom.array_snapshots import ArraySnapshots
from rom.field_product import field_product
from rom.field_scales import field_scales
from rom.finite_elements import Simplices
from rom.products import Diagonal, Euclidean, InnerProduct, SparseProduct

DIMENSIONS = (1, 2, 3)


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_the_mass_matrix_integrates_products_of_linear_functions_exactly(
    random_mesh: Any, dimension: int
) -> None:
    points, cells = random_mesh(dimension, 40)
    u = np.concatenate([np.ones((len(points), 1)), points], axis=1)
    # The integrals of 1, x_i, x_i^2 and x_i x_j over the unit cube.
    exact = np.full((dimension + 1, dimension + 1), 0.25)
    np.fill_diagonal(exact, 1 / 3)
    exact[0], exact[:, 0] = 0.5, 0.5
    exact[0, 0] = 1.0
    product = SparseProduct(Simplices(points, cells).mass)
    np.testing.assert_allclose(product.gram(u), exact, rtol=1e-12)


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_the_stiffness_matrix_gives_the_energy_of_linear_functions_exactly(
    random_mesh: Any, dimension: int
) -> None:
    mesh = Simplices(*random_mesh(dimension, 40))
    slope = np.arange(1.0, dimension + 1)
    u = 7.0 + mesh.points @ slope
    assert u @ (mesh.stiffness @ u) == pytest.approx(slope @ slope, rel=1e-10)
    np.testing.assert_allclose(mesh.stiffness @ np.ones(len(u)), 0.0, atol=1e-10)


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_the_orientation_of_cells_does_not_matter(random_mesh: Any, dimension: int) -> None:
    points, cells = random_mesh(dimension, 15)
    one, other = Simplices(points, cells), Simplices(points, np.ascontiguousarray(cells[:, ::-1]))
    assert abs(one.mass - other.mass).max() < 1e-15
    assert abs(one.stiffness - other.stiffness).max() < 1e-11 * abs(one.stiffness).max()


@pytest.mark.parametrize(("kind", "exact"), [("mass", 0.25), ("h1", 0.25 + np.pi**2 / 2)])
def test_norms_of_a_smooth_function_converge_with_order_two(
    square_mesh: Any, kind: Any, exact: float
) -> None:
    errors = []
    for cells in (8, 16, 32):
        points, triangles = square_mesh(cells)
        info = FieldInfo("u", "1", len(points), "vertex")
        space = FieldSpace((info,), {"vertex": points}, {"vertex": triangles})
        u = np.sin(np.pi * points).prod(axis=1)[:, None]
        errors.append(abs(field_product(space, kind).norms(u)[0] ** 2 - exact))
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(orders, 2.0, atol=0.1)


def test_a_cell_without_volume_and_a_point_without_cell_are_refused() -> None:
    points = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [2.0, 0.0]])
    with pytest.raises(UserError, match="1 without"):
        Simplices(points, np.array([[0, 1, 2], [0, 1, 3]]))
    with pytest.raises(UserError, match="1 of 4 points"):
        Simplices(points, np.array([[0, 1, 2]]))


def products(spd: Any, space: FieldSpace) -> dict[str, InnerProduct]:
    n = space.n_values
    return {
        "euclidean": Euclidean(n),
        "diagonal": Diagonal(np.linspace(1.0, 2.0, n)),
        "sparse": spd(n),
        "mass": field_product(space, "mass", {"temperature": 10.0, "fraction": 0.1}),
        "h1": field_product(space, "h1", length=0.5),
        "fields": field_product(space, "euclidean", {"temperature": 3.0, "fraction": 0.5}),
    }


@pytest.mark.parametrize("name", ["euclidean", "diagonal", "sparse", "mass", "h1", "fields"])
class TestEveryProduct:
    """Conformance of all products."""

    @pytest.fixture
    def product(self, name: str, spd: Any, two_fields: Any) -> InnerProduct:
        return products(spd, two_fields(4))[name]

    def test_it_is_symmetric_and_positive(self, product: InnerProduct, rng: Any) -> None:
        u = rng.standard_normal((product.n, 7))
        gram = product.gram(u)
        np.testing.assert_array_equal(gram, gram.T)
        assert np.linalg.eigvalsh(gram).min() > 0

    def test_gram_norms_and_apply_agree(self, product: InnerProduct, rng: Any) -> None:
        u, v = rng.standard_normal((product.n, 70)), rng.standard_normal((product.n, 3))
        direct = u.T @ product.apply(v)
        size = np.abs(direct).max()
        np.testing.assert_allclose(product.gram(u, v), direct, atol=1e-12 * size)
        np.testing.assert_allclose(product.gram(v, u), direct.T, atol=1e-12 * size)
        np.testing.assert_allclose(product.norms(u) ** 2, np.diag(product.gram(u)), rtol=1e-12)

    def test_weights_are_the_diagonal_or_none(self, product: InnerProduct) -> None:
        if product.weights is not None:
            matrix = np.diag(product.weights)
            np.testing.assert_allclose(product.apply(np.eye(product.n)), matrix, rtol=1e-15)

    def test_fields_of_another_size_are_refused(self, product: InnerProduct) -> None:
        for call in (product.apply, product.gram, product.norms):
            with pytest.raises(UserError, match=f"fields of {product.n} values"):
                call(np.ones((product.n + 1, 2)))

    def test_arguments_are_not_changed(self, product: InnerProduct, rng: Any) -> None:
        u = rng.standard_normal((product.n, 3))
        before = u.copy()
        product.gram(u, u[:, :1])
        product.norms(u)
        np.testing.assert_array_equal(u, before)


@given(n=st.integers(1, 30), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_the_norm_is_a_norm(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, n))
    product = SparseProduct(A @ A.T + 0.1 * np.eye(n))
    u, v = rng.standard_normal((2, n, 1))
    left, right, both = (product.norms(w)[0] for w in (u, v, u + v))
    assert both <= (left + right) * (1 + 1e-12)
    assert abs(product.gram(u, v)[0, 0]) <= left * right * (1 + 1e-12)
    np.testing.assert_allclose(product.norms(-3 * u), 3 * left)


@pytest.mark.parametrize(
    "matrix",
    [
        np.ones((2, 3)),
        np.array([[1.0, 0.5], [0.0, 1.0]]),
        np.diag([1.0, 0.0]),
        np.array([[1.0, np.nan], [np.nan, 1.0]]),
    ],
    ids=["rectangular", "unsymmetric", "semi-definite", "NaN"],
)
def test_a_matrix_that_is_no_inner_product_is_refused(matrix: Any) -> None:
    with pytest.raises(UserError, match="Expected a s"):
        SparseProduct(csr_array(matrix))


def test_an_indefinite_matrix_is_refused_when_a_norm_shows_it() -> None:
    product = SparseProduct(np.array([[1.0, 2.0], [2.0, 1.0]]))
    with pytest.raises(UserError, match="positive definite"):
        product.norms(np.array([[1.0], [-1.0]]))


def test_weights_must_be_positive() -> None:
    with pytest.raises(UserError, match="positive finite weights"):
        Diagonal([1.0, 0.0])


def test_fields_do_not_mix_and_scales_are_units(two_fields: Any, rng: Any) -> None:
    space = two_fields(3)
    half = space.n_values // 2
    u = rng.standard_normal((space.n_values, 2))
    u[half:, 0] = u[:half, 1] = 0.0
    plain = field_product(space)
    scaled = field_product(space, scales={"fraction": 0.1, "temperature": 10.0})
    assert plain.gram(u)[0, 1] == 0.0
    np.testing.assert_allclose(scaled.norms(u), plain.norms(u) / [10.0, 0.1])


def test_a_product_is_made_again_from_its_description(two_fields: Any, rng: Any) -> None:
    space = two_fields(3)
    product = field_product(space, "h1", {"fraction": 0.1, "temperature": 10.0}, 0.5)
    again = field_product(space, **product.describe())  # type: ignore[arg-type]
    u = rng.standard_normal((space.n_values, 2))
    np.testing.assert_array_equal(again.gram(u), product.gram(u))


def test_quadratic_nodes_have_the_product_of_the_linear_triangles_through_them(
    square_mesh: Any,
) -> None:
    # As flows store them: vertices first, then midpoints of edges; four triangles to a cell.
    points, cells = square_mesh(3)
    edges = np.sort(cells[:, [[0, 1], [1, 2], [2, 0]]], axis=2).reshape(-1, 2)
    unique, number = np.unique(edges, axis=0, return_inverse=True)
    middles = len(points) + number.reshape(-1, 3)
    (a, b, c), (ab, bc, ca) = cells.T, middles.T
    faces = np.concatenate(
        [np.stack(t, axis=1) for t in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))]
    )
    nodes = np.concatenate([points, points[unique].mean(axis=1)])
    fields = (
        FieldInfo("velocity_x", "m s-1", len(nodes), "node"),
        FieldInfo("pressure", "m2 s-2", len(points), "vertex"),
    )
    space = FieldSpace(fields, {"node": nodes, "vertex": points}, {"node": faces, "vertex": cells})
    product = field_product(space, scales={"velocity_x": 2.0, "pressure": 1.0})
    u = np.concatenate([nodes[:, 0], 3 * np.ones(len(points))])[:, None]
    # The integral of x^2 / 4 and of 9 over the unit square.
    assert product.gram(u)[0, 0] == pytest.approx(1 / 12 + 9, rel=1e-13)


def test_a_location_without_cells_has_only_the_euclidean_product() -> None:
    space = FieldSpace((FieldInfo("k", "m2", 5, "cell"),))
    assert field_product(space, "euclidean").n == 5
    for kind in ("mass", "h1"):
        with pytest.raises(UserError, match=r"cells over `cell`.*euclidean"):
            field_product(space, kind)  # type: ignore[arg-type]


def test_unknown_kinds_and_bad_scales_are_refused(two_fields: Any) -> None:
    space = two_fields(2)
    with pytest.raises(UserError, match="mass, h1 or euclidean"):
        field_product(space, "l2")  # type: ignore[arg-type]
    wrong: list[dict[str, float]] = [{"temperature": 1.0}, {"temperature": 0.0, "fraction": 1.0}]
    for scales in wrong:
        with pytest.raises(UserError, match="positive scale"):
            field_product(space, scales=scales)
    with pytest.raises(UserError, match="positive length"):
        field_product(space, "h1", length=-1.0)


@pytest.fixture
def study() -> Callable[..., ArraySnapshots]:
    """Give a study of a vector and a scalar with chosen sizes."""

    def make(rng: np.random.Generator, sizes: tuple[float, ...] = (3.0, 4.0, 1e5)) -> Any:
        names = (("v_x", "m s-1"), ("v_y", "m s-1"), ("p", "Pa"))
        space = FieldSpace(tuple(FieldInfo(name, unit, 50, "node") for name, unit in names))
        values = rng.standard_normal((40, 5, 150)) * np.repeat(sizes, 50) + 1e6
        return ArraySnapshots(space, ("a",), np.arange(40.0)[:, None], values, np.arange(5.0))

    return make


def test_scales_are_root_mean_squares_that_components_of_a_vector_share(
    study: Any, rng: Any
) -> None:
    scales = field_scales(study(rng))
    assert scales["v_x"] == scales["v_y"] == pytest.approx(np.sqrt(12.5), rel=0.02)
    assert scales["p"] == pytest.approx(1e5, rel=0.02)


def test_scales_are_those_of_all_frames_at_once(study: Any, rng: Any) -> None:
    snapshots = study(rng)
    p = snapshots.matrix()[:, 100:]
    centred = p - p.mean(axis=0)
    assert field_scales(snapshots)["p"] == pytest.approx(np.sqrt((centred**2).mean()), rel=1e-9)
    plain = field_scales(snapshots, centre=False)["p"]
    assert plain == pytest.approx(np.sqrt((p**2).mean()), rel=1e-9)


def test_a_constant_field_has_a_scale_too(study: Any, rng: Any) -> None:
    assert field_scales(study(rng, (0.0, 0.0, 1.0)))["v_x"] == pytest.approx(1e6)
    space = FieldSpace((FieldInfo("u", "1", 2, "node"),))
    zero = ArraySnapshots(space, ("a",), [[0.0], [1.0]], np.zeros((2, 2)))
    assert field_scales(zero) == {"u": 1.0}
