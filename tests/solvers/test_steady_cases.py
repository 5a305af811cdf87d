"""What each steady problem promises: its physics, its data, its exact solutions."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from scipy.special import hankel1

from infra.errors import UserError
from solvers.chunk import make_problem
from solvers.mesh import FloatArray, ReferenceMesh
from solvers.problem import Problem
from solvers.problems import problem_class
from solvers.sampling import SobolSampler
from solvers.steady_case import SteadyCase, TransportEquation
from solvers.transport_elements import TransportElements

type Solve = Callable[[ReferenceMesh, SteadyCase], FloatArray]


def study_mus(problem: Problem, n: int) -> list[dict[str, float]]:
    """Return the samples of a study that names no parameter."""
    names = problem.random_parameters
    fixed = {name: value for name, value in problem.defaults.items() if name not in names}
    space = problem.space().restrict(fixed)
    return [dict(sample.mu) for sample in SobolSampler(space, 1).suggest(n)]


def case_of(problem: Problem, mu: Mapping[str, float], mesh: ReferenceMesh) -> SteadyCase:
    case = problem.case(mu, mesh)
    assert isinstance(case, SteadyCase)
    return case


class TestDarcy:
    @pytest.mark.parametrize("name", ["darcy", "darcy-fv"])
    @pytest.mark.parametrize("kind", ["log-normal", "two-valued"])
    @pytest.mark.parametrize("dimension", [2, 3])
    def test_the_pressure_is_positive_inside(
        self, name: str, kind: str, dimension: int, solution: Solve
    ) -> None:
        settings = {"dimension": dimension, "cells": 6, "modes": 10, "kind": kind}
        problem = make_problem(name, settings)
        mesh, inner = problem.reference_mesh(), slice(None)
        if name == "darcy":
            inner = ((mesh.points > 0) & (mesh.points < 1)).all(axis=1)
        for mu in study_mus(problem, 3):
            found = solution(mesh, case_of(problem, {**mu, "contrast": 1e3}, mesh))[:, 0]
            assert found[inner].min() > 0

    @pytest.mark.parametrize("name", ["darcy", "darcy-fv"])
    def test_the_permeability_has_the_contrast(self, name: str) -> None:
        for kind in ("log-normal", "two-valued"):
            problem = make_problem(name, {"cells": 8, "modes": 12, "kind": kind})
            mesh = problem.reference_mesh()
            for mu in study_mus(problem, 4):
                values = case_of(problem, mu, mesh).coefficients[0].values
                assert values.max() / values.min() == pytest.approx(mu["contrast"])
                if kind == "two-valued":
                    assert set(np.unique(values)) == {1.0, mu["contrast"]}

    def test_both_discretisations_have_one_permeability(self) -> None:
        elements, volumes = (
            make_problem(name, {"cells": 6, "modes": 8, "kind": "two-valued"})
            for name in ("darcy", "darcy-fv")
        )
        mu = study_mus(volumes, 1)[0]
        fine, grid = elements.reference_mesh(), volumes.reference_mesh()
        of_cells = case_of(elements, mu, fine).coefficients[0].values
        of_volumes = case_of(volumes, mu, grid).coefficients[0].values
        centres = fine.points[fine.cells].mean(axis=1)
        nearest = ((centres[:, None] - grid.points[None]) ** 2).sum(axis=2).argmin(axis=1)
        assert (of_cells == of_volumes[nearest]).mean() > 0.8

    def test_all_fluid_leaves_through_the_boundary(self, solution: Solve) -> None:
        problem = make_problem("darcy", {"cells": 16, "modes": 1})
        mesh = problem.reference_mesh()
        # A uniform medium has four equal sides.
        case = case_of(problem, {**problem.defaults, "contrast": 1.0}, mesh)
        found = solution(mesh, case)
        quantities = {q.name: q.evaluate(found) for q in case.quantities}
        # Corner nodes belong to two sides: a reaction at a side counts theirs as a whole.
        assert quantities["outflow_right"] == pytest.approx(0.25, abs=0.01)
        assert quantities["mean_pressure"] == pytest.approx(0.0351443, rel=0.02)

    def test_a_field_without_variation_is_refused(self) -> None:
        problem = make_problem("darcy", {"cells": 4, "modes": 3})
        with pytest.raises(UserError, match="that is not zero"):
            problem.check({"contrast": 2.0, "xi_0": 0.0, "xi_1": 0.0, "xi_2": 0.0})

    def test_features_have_the_distance_of_the_fields(self) -> None:
        problem = make_problem("darcy", {"cells": 4, "modes": 6})
        base = dict(problem.defaults)
        near, far = {**base, "xi_5": 0.5}, {**base, "xi_1": 0.5}
        features = problem.features([base, near, far])
        assert features is not None
        one, other = (np.linalg.norm(features[i] - features[0]) for i in (1, 2))
        assert one < other


class TestThermal:
    def test_temperatures_stay_between_those_of_the_boundary(self, solution: Solve) -> None:
        problem = make_problem("thermal", {"cells": 16})
        mesh = problem.reference_mesh()
        mu = {**problem.defaults, "temperature_left": 280.0, "temperature_right": 300.0}
        found = solution(mesh, case_of(problem, mu, mesh))
        assert found.min() == pytest.approx(280.0, abs=1e-9)
        assert found.max() == pytest.approx(353.15, abs=1e-9)

    def test_heat_is_conserved(self, solution: Solve) -> None:
        problem = make_problem("thermal", {"cells": 16})
        mesh = problem.reference_mesh()
        mu = {**problem.defaults, "flux_top": 30.0, "temperature_hole": 293.15}
        case = case_of(problem, mu, mesh)
        found = solution(mesh, case)
        equation, functionals = case.equation, TransportElements.of(mesh.points[mesh.cells])
        assert isinstance(equation, TransportEquation)
        products = np.einsum("nij,nj->ni", functionals.stiffness, found[mesh.cells, 0])
        reaction = np.bincount(mesh.cells.ravel(), products.ravel())
        held = np.unique(
            mesh.facets[np.isin(mesh.tags, [mesh.names[p] for p in ("left", "right", "hole")])]
        )
        top = np.setdiff1d(mesh.facets[mesh.tags == mesh.names["top"]], held)
        inner = np.setdiff1d(np.arange(mesh.n_vertices), np.concatenate([held, top]))
        np.testing.assert_allclose(reaction[inner], 0.0, atol=1e-10)
        # All that flows in at the top flows out where temperatures are held; 30 W/m in all.
        assert reaction.sum() == pytest.approx(0.0, abs=1e-9)
        assert reaction[top].sum() == pytest.approx(30.0 * (1 - 1 / 16), rel=1e-9)

    def test_the_hole_is_round(self) -> None:
        problem = make_problem("thermal", {"cells": 32})
        mesh = problem.reference_mesh()
        hole = mesh.facets[mesh.tags == mesh.names["hole"]]
        np.testing.assert_allclose(np.linalg.norm(mesh.points[hole], axis=2), 0.2, rtol=1e-14)


class TestPoisson:
    def test_harmonic_boundary_polynomials_are_the_solution(self, solution: Solve) -> None:
        problem = make_problem("poisson", {"cells": 12, "degree": 2})
        mesh = problem.reference_mesh()
        # T1(x) T1(y) is harmonic, and so are T0 and T1.
        chosen = {"source_0": 0.0, "boundary_0": 0.5, "boundary_2": 0.25, "boundary_4": 1.0}
        mu = {**problem.defaults, **chosen}
        found = solution(mesh, case_of(problem, mu, mesh))[:, 0]
        exact = problem.polynomial("boundary", mu, mesh.points)  # type: ignore[attr-defined]
        np.testing.assert_allclose(found, exact, atol=2e-3)


class TestHelmholtz:
    def test_at_least_ten_wavelengths_fit_into_the_default(self) -> None:
        problem = make_problem("helmholtz", {})
        assert problem.defaults["wavenumber"] / (2 * np.pi) > 10.0
        mesh = problem.reference_mesh()
        per_side = np.sqrt(mesh.n_vertices) - 1
        assert per_side / (problem.space().bounds[0, 1] / (2 * np.pi)) >= 10.0

    def test_the_wave_of_a_point_has_the_amplitude_of_the_free_space(self, solution: Solve) -> None:
        settings = {"highest_wavenumber": 30.0, "points_per_wavelength": 16, "modes": 2}
        problem = make_problem("helmholtz", settings)
        mesh, k = problem.reference_mesh(), 25.0
        mu = {**problem.defaults, "wavenumber": k, "amplitude": 0.0, "source_x": 0.5}
        found = solution(mesh, case_of(problem, mu, mesh))
        distance = np.linalg.norm(mesh.points - 0.5, axis=1)
        ring = (distance > 0.2) & (distance < 0.35)
        # A Gaussian radiates as a point does, weaker by exp(-(k s)^2 / 2), k s = pi / 2.
        expected = np.abs(0.25 * hankel1(0, k * distance[ring])) * np.exp(-(np.pi**2) / 8)
        modulus = np.linalg.norm(found[ring], axis=1)
        # The boundary of first order reflects what arrives at an angle.
        assert np.sqrt(((modulus / expected - 1) ** 2).mean()) < 0.15

    def test_the_speed_is_one_at_the_boundary_and_positive(self) -> None:
        problem = make_problem("helmholtz", {"highest_wavenumber": 20.0, "modes": 8})
        mesh = problem.reference_mesh()
        for mu in study_mus(problem, 4):
            speed = case_of(problem, {**mu, "amplitude": 0.3}, mesh).coefficients[0].values
            assert speed.min() > 0
            edge = (np.abs(mesh.points[mesh.cells].mean(axis=1) - 0.5) > 0.49).any(axis=1)
            np.testing.assert_allclose(speed[edge], 1.0, atol=0.2)


class TestConvectionDiffusion:
    @pytest.fixture
    def windy(self) -> Problem:
        return make_problem("convection-diffusion", {"cells": 16, "modes": 12})

    def test_the_wind_has_no_divergence_and_stays_inside(self, windy: Problem) -> None:
        mesh = windy.reference_mesh()
        elements = TransportElements.of(mesh.points[mesh.cells])
        for mu in study_mus(windy, 3):
            wind = windy.wind(mu, mesh)  # type: ignore[attr-defined]
            assert np.linalg.norm(wind, axis=1).max() == pytest.approx(1.0)
            # No test function sees a source, those of the boundary neither.
            flow = np.einsum("n,nid,nd->ni", elements.measure, elements.gradients, wind)
            np.testing.assert_allclose(np.bincount(mesh.cells.ravel(), flow.ravel()), 0, atol=1e-14)

    def test_temperatures_stay_near_those_of_the_walls(
        self, windy: Problem, solution: Solve
    ) -> None:
        mesh = windy.reference_mesh()
        for mu in study_mus(windy, 3):
            found = solution(mesh, case_of(windy, {**mu, "diffusivity": 1e-3}, mesh))
            assert found.min() > -0.15
            assert found.max() < 1.15

    def test_heat_flows_faster_with_wind(self, windy: Problem, solution: Solve) -> None:
        mesh, flows = windy.reference_mesh(), []
        for diffusivity in (1.0, 0.05):
            mu = {**windy.defaults, "diffusivity": diffusivity}
            case = case_of(windy, mu, mesh)
            found = solution(mesh, case)
            flow = {q.name: q.evaluate(found) for q in case.quantities}["heat_flow"]
            flows.append(flow / diffusivity)
        assert flows[0] == pytest.approx(1.0, rel=0.05)
        assert flows[1] > 1.1


class TestPublished:
    def test_they_say_that_they_are_neither_darcy_nor_helmholtz(self) -> None:
        assert "not Darcy" in problem_class("skr-darcy").title
        assert "no waves" in problem_class("skr-helmholtz").title
        for name in ("skr-darcy", "skr-helmholtz"):
            assert "only for comparing solvers" in problem_class(name).equations

    def test_solutions_of_the_first_change_sign_for_a_positive_source(
        self, solution: Solve
    ) -> None:
        problem = make_problem("skr-darcy", {"cells": 60})
        mesh = problem.reference_mesh()
        found = [solution(mesh, case_of(problem, mu, mesh)) for mu in study_mus(problem, 4)]
        assert min(u.min() for u in found) < 0 < max(u.max() for u in found)

    def test_wave_numbers_hardly_matter_to_the_second(self) -> None:
        problem = make_problem("skr-helmholtz", {"cells": 100, "modes": 4})
        mesh = problem.reference_mesh()
        data = [
            case_of(problem, {**problem.defaults, "wavenumber": k}, mesh).equation.matrix.data  # type: ignore[union-attr]
            for k in (0.0, 1.0)
        ]
        assert 0 < np.abs(data[1] - data[0]).max() / np.abs(data[0]).max() < 1e-4
