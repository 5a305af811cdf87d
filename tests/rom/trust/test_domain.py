import numpy as np
from scipy.stats import qmc

from rom.parameter_map import ParameterMap
from rom.trust.domain import TrainedRange
from solvers.parameters import Parameter, ParameterSpace

SPACE = ParameterSpace(
    (
        Parameter("reynolds", 80.0, 200.0, "1", ""),
        Parameter("angle", 0.1, 10.0, "degree", "", scale="log"),
    )
)


def _trained(m: int = 40) -> TrainedRange:
    return TrainedRange(qmc.Sobol(2, rng=np.random.default_rng(0)).random(64)[:m])


def test_training_points_are_in_range_and_their_distance_is_zero() -> None:
    trained = _trained()
    place = trained.place(trained.points)
    assert place.in_range.all()
    assert (place.distance == 0).all()


def test_the_score_separates_inside_from_outside() -> None:
    rng = np.random.default_rng(1)
    trained = _trained()
    inside, outside = rng.random((300, 2)), rng.random((300, 2)) * 1.4 - 0.2
    outside = outside[((outside < 0) | (outside > 1)).any(axis=1)]
    scores = [trained.place(u).score for u in (inside, outside)]
    # The area under the curve is the probability that an outer point has the larger score.
    assert (scores[1][:, np.newaxis] > scores[0]).mean() >= 0.95
    assert trained.place(inside).in_range.mean() > 0.95
    assert not trained.place(outside).in_range.any()


def test_a_hole_in_the_training_set_is_out_of_range() -> None:
    grid = np.stack(np.meshgrid(*[np.linspace(0, 1, 11)] * 2), axis=-1).reshape(-1, 2)
    ring = grid[np.linalg.norm(grid - 0.5, axis=1) > 0.35]
    trained = TrainedRange(ring, 2.0)
    place = trained.place(np.array([[0.5, 0.5], [0.1, 0.1]]))
    assert place.in_range.tolist() == [False, True]
    reasons = trained.reasons(ParameterMap(SPACE), np.array([[140.0, 1.0], [92.0, 0.15]]), place)
    assert "nearest training point" in reasons[0]
    assert reasons[1] == ""


def test_reasons_name_parameter_value_range_and_unit() -> None:
    trained, parameters = _trained(), ParameterMap(SPACE)
    values = np.array([[260.0, 1.0], [100.0, 20.0], [60.0, 0.05]])
    reasons = trained.reasons(parameters, values, trained.place(parameters.units(values)))
    assert reasons[0] == "reynolds 260 is above the trained range 80 to 200"
    assert reasons[1] == "angle 20 is above the trained range 0.1 to 10 degree"
    assert reasons[2].count("is below the trained range") == 2


def test_unit_coordinates_are_those_of_the_sampler_and_slopes_their_derivatives() -> None:
    space = ParameterSpace((*SPACE.parameters, Parameter("xi", -2.0, 3.0, "1", "", "normal")))
    parameters = ParameterMap(space)
    u = np.random.default_rng(0).uniform(0.05, 0.95, (20, 3))
    values = space.from_unit(u)
    np.testing.assert_allclose(parameters.units(values), u, atol=1e-12)
    for k in range(3):
        step = 1e-6 * np.eye(3)[k]
        slope = (parameters.units(values + step) - parameters.units(values - step)) / 2e-6
        np.testing.assert_allclose(slope[:, k], parameters.slopes(values)[:, k], rtol=1e-5)


def test_one_point_far_from_all_others_does_not_divide_by_zero() -> None:
    same = TrainedRange(np.full((4, 2), 0.5))
    assert np.isfinite(same.place(np.array([[0.5, 0.5], [2.0, 2.0]])).score).all()
