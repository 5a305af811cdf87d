"""Laws of the samplers on the box of a parameter space."""

import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import qmc

from infra.errors import UserError
from infra.records import Sample, from_json, to_json
from solvers.parameters import Parameter, ParameterSpace
from solvers.samplers.grid import GridSampler
from solvers.sampling import (
    METHODS,
    GaussianRandomFieldSampler,
    Sampler,
    SobolSampler,
    make_sampler,
)

VISCOSITY = Parameter("viscosity", 1e-4, 1e-1, "m2 s-1", "kinematic viscosity", scale="log")
RADIUS = Parameter("radius", 0.5, 2.0, "m", "radius of the cylinder")
DENSITY = Parameter("density", 1.2, 1.2, "kg m-3", "density of the fluid")
SPACE = ParameterSpace((VISCOSITY, DENSITY, RADIUS))
UNIT = ParameterSpace(tuple(Parameter(f"u{i}", 0.0, 1.0, "1", "") for i in range(3)))
FIXED = ParameterSpace((DENSITY,))

EXTENDABLE = ["sobol", "uniform"]
RANDOM = [*EXTENDABLE, "latin-hypercube"]


def units(sampler: Sampler, n: int) -> NDArray[np.float64]:
    """Return the suggestions in the unit cube, where a stratum's edges are exact."""
    return UNIT.to_unit(UNIT.array([sample.mu for sample in sampler.suggest(n)]))


@pytest.mark.parametrize("method", METHODS)
class TestEverySampler:
    def test_points_lie_inside_the_box(self, method: str) -> None:
        for sample in make_sampler(method, SPACE, 1).suggest(64):
            SPACE.check(sample.mu)

    def test_samples_are_numbered_from_zero(self, method: str) -> None:
        samples = make_sampler(method, SPACE, 1).suggest(9)
        assert [sample.index for sample in samples] == list(range(9))

    def test_the_same_seed_gives_the_same_samples(self, method: str) -> None:
        sampler = make_sampler(method, SPACE, 7)
        assert sampler.suggest(16) == sampler.suggest(16)
        assert sampler.suggest(16) == make_sampler(method, SPACE, 7).suggest(16)

    def test_another_seed_gives_other_seeds(self, method: str) -> None:
        one, other = (make_sampler(method, SPACE, seed).suggest(16) for seed in (1, 2))
        assert {s.seed for s in one}.isdisjoint(s.seed for s in other)

    def test_the_seed_of_a_sample_does_not_depend_on_their_number(self, method: str) -> None:
        few, many = (make_sampler(method, SPACE, 3).suggest(n) for n in (4, 25))
        assert [s.seed for s in few] == [s.seed for s in many[:4]]

    def test_samples_have_distinct_seeds(self, method: str) -> None:
        assert len({s.seed for s in make_sampler(method, SPACE, 3).suggest(1024)}) == 1024

    def test_seeds_are_exact_in_every_json_reader(self, method: str) -> None:
        assert all(0 <= s.seed < 2**53 for s in make_sampler(method, SPACE, 3).suggest(100))

    def test_samples_survive_their_record(self, method: str) -> None:
        for sample in make_sampler(method, SPACE, 5).suggest(4):
            assert from_json(Sample, to_json(sample)) == sample

    def test_what_was_learnt_does_not_move_a_fixed_design(self, method: str) -> None:
        sampler = make_sampler(method, SPACE, 5)
        before = sampler.suggest(9)
        sampler.ingest(before, [{"drag": 1.0}] * 9)
        assert sampler.suggest(9) == before

    def test_no_samples_are_an_empty_list(self, method: str) -> None:
        assert make_sampler(method, SPACE, 0).suggest(0) == []

    @pytest.mark.parametrize("space", [FIXED, ParameterSpace(())])
    def test_without_free_parameters_there_is_one_mu(
        self, method: str, space: ParameterSpace
    ) -> None:
        n = 1 if method == "grid" else 5
        samples = make_sampler(method, space, 2).suggest(n)
        assert [sample.mu for sample in samples] == [space.mu([])] * n
        assert len({sample.seed for sample in samples}) == n

    @pytest.mark.parametrize(("n", "seed"), [(-1, 0), (4, -1)])
    def test_negative_numbers_are_refused(self, method: str, n: int, seed: int) -> None:
        with pytest.raises(UserError, match=f"n = {n}, seed = {seed}"):
            make_sampler(method, SPACE, seed).suggest(n)


@pytest.mark.parametrize("method", RANDOM)
def test_another_seed_gives_another_design(method: str) -> None:
    one, other = (units(make_sampler(method, UNIT, seed), 16) for seed in (1, 2))
    assert not np.isin(one, other).any()


@pytest.mark.parametrize("method", EXTENDABLE)
@pytest.mark.parametrize("space", [SPACE, UNIT])
@pytest.mark.parametrize("n", [1, 2, 3, 16, 17, 100])
def test_a_longer_run_starts_with_the_shorter_one(
    method: str, space: ParameterSpace, n: int
) -> None:
    sampler = make_sampler(method, space, 11)
    assert sampler.suggest(200)[:n] == sampler.suggest(n)


@pytest.mark.parametrize("n", [1, 2, 7, 64])
def test_a_latin_hypercube_has_one_point_per_stratum(n: int) -> None:
    strata = np.floor(units(make_sampler("latin-hypercube", UNIT, 4), n) * n).astype(int)
    for column in strata.T:
        assert sorted(column) == list(range(n))


@pytest.mark.parametrize("n", [1, 2, 64, 256])
def test_a_power_of_two_of_sobol_points_has_one_per_stratum(n: int) -> None:
    strata = np.floor(units(make_sampler("sobol", UNIT, 4), n) * n).astype(int)
    for column in strata.T:
        assert sorted(column) == list(range(n))


@pytest.mark.parametrize("n", [100, 256])
def test_sobol_points_have_a_lower_discrepancy_than_uniform_ones(n: int) -> None:
    sobol, uniform = (
        [qmc.discrepancy(units(make_sampler(method, UNIT, seed), n)) for seed in range(10)]
        for method in ("sobol", "uniform")
    )
    assert max(sobol) < 0.2 * min(uniform)


def test_uniform_points_have_the_moments_of_the_uniform_distribution() -> None:
    n = 10_000
    points = units(make_sampler("uniform", UNIT, 6), n)
    # Five standard errors of the mean 1/2, and of the covariance with diagonal 1/12.
    np.testing.assert_allclose(points.mean(axis=0), 0.5, atol=5 / np.sqrt(12 * n))
    np.testing.assert_allclose(np.cov(points.T), np.eye(3) / 12, atol=5 / 12 / np.sqrt(n))


@pytest.mark.parametrize("method", ["sobol", "latin-hypercube"])
def test_a_log_scale_gives_each_decade_the_same_number(method: str) -> None:
    space = ParameterSpace((Parameter("p", 1e-3, 1e5, "1", "", scale="log"),))
    values = space.array([s.mu for s in make_sampler(method, space, 8).suggest(64)])
    decades = np.floor(np.log10(values[:, 0])).astype(int)
    np.testing.assert_array_equal(np.bincount(decades + 3), [8] * 8)


def test_a_grid_has_every_combination_and_reaches_the_bounds() -> None:
    values = SPACE.array([sample.mu for sample in GridSampler(SPACE, 0).suggest(16)])
    viscosity, radius = (np.unique(np.round(column, 12)) for column in values.T)
    np.testing.assert_allclose(viscosity, [1e-4, 1e-3, 1e-2, 1e-1], rtol=1e-9)
    np.testing.assert_allclose(radius, [0.5, 1.0, 1.5, 2.0], rtol=1e-9)
    assert len(np.unique(np.round(values, 12), axis=0)) == 16
    np.testing.assert_array_equal(values.min(axis=0), [1e-4, 0.5])
    np.testing.assert_array_equal(values.max(axis=0), [1e-1, 2.0])


def test_the_last_parameter_of_a_grid_varies_fastest() -> None:
    points = units(GridSampler(UNIT, 0), 8)
    np.testing.assert_array_equal(points @ [4, 2, 1], np.arange(8))


def test_a_grid_takes_the_levels_of_each_parameter() -> None:
    sampler = GridSampler(SPACE, 0, {"radius": 3, "viscosity": 1})
    mus = [sample.mu for sample in sampler.suggest(3)]
    assert [mu["radius"] for mu in mus] == [0.5, 1.25, 2.0]
    np.testing.assert_allclose([mu["viscosity"] for mu in mus], 10**-2.5, rtol=1e-12)


@pytest.mark.parametrize(("n", "near"), [(2, "n = 1 or n = 8"), (100, "n = 64 or n = 125")])
def test_a_number_that_is_no_power_is_refused_with_its_neighbours(n: int, near: str) -> None:
    with pytest.raises(UserError, match=rf"expected for example {near}, received n = {n}"):
        GridSampler(UNIT, 0).suggest(n)


@pytest.mark.parametrize("k", [1, 2, 5, 10])
def test_every_power_is_a_grid(k: int) -> None:
    assert len(GridSampler(UNIT, 0).suggest(k**3)) == k**3


def test_a_number_that_differs_from_the_levels_is_refused() -> None:
    with pytest.raises(UserError, match="expected n = 6, received n = 5"):
        GridSampler(SPACE, 0, {"radius": 3, "viscosity": 2}).suggest(5)


@pytest.mark.parametrize("levels", [{"radius": 3}, {"radius": 3, "viscosity": 0}, {"x": 1}, {}])
def test_levels_belong_to_exactly_the_free_parameters(levels: dict[str, int]) -> None:
    with pytest.raises(UserError, match=r"levels >= 1 .*\['viscosity', 'radius'\]"):
        GridSampler(SPACE, 0, levels)


def test_a_grid_without_free_parameters_has_one_point() -> None:
    with pytest.raises(UserError, match="expected n = 1, received n = 2"):
        GridSampler(FIXED, 0).suggest(2)


def test_an_unknown_method_is_refused_with_the_valid_names() -> None:
    with pytest.raises(UserError, match="sobol, latin-hypercube, uniform, grid; received 'sobl'"):
        make_sampler("sobl", SPACE, 0)


def test_methods_are_found_by_name() -> None:
    assert make_sampler("sobol", SPACE, 9) == SobolSampler(SPACE, 9)


def test_random_fields_are_samples_too() -> None:
    samples = GaussianRandomFieldSampler(seed=3, modes=4).suggest(5)
    box = make_sampler("uniform", SPACE, 3).suggest(5)
    assert [(s.index, s.seed) for s in samples] == [(s.index, s.seed) for s in box]
    assert from_json(Sample, to_json(samples[0])) == samples[0]


def test_sampling_loads_no_solver() -> None:
    # rom and surrogates import these modules where PETSc and DOLFINx are absent.
    code = (
        "import sys, solvers.sampling, solvers.ordering; "
        "print([m for m in ('dolfinx', 'petsc4py', 'mpi4py', 'zarr') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.stdout.strip(), result.stderr) == ("[]", "")
