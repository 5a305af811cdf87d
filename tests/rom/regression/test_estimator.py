"""Any regressor of scikit-learn works, and none is pickled."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.cluster import KMeans
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.svm import SVR

from infra.errors import StoreError, UserError
from rom.regression.estimator import Estimator, EstimatorSettings
from rom.regression.registry import regressor_from_state

type Floats = NDArray[np.float64]
type Sample = Callable[..., tuple[Floats, Floats]]

QUERIES = np.random.default_rng(1).random((9, 2))


class Own(RegressorMixin, BaseEstimator):
    """A class that nobody vouched for."""

    def fit(self, x: Floats, y: Floats) -> "Own":
        self.n_features_in_ = x.shape[1]
        self.mean_ = y.mean()
        return self

    def predict(self, x: Floats) -> Floats:
        return np.full(len(x), self.mean_)


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("sklearn.ensemble.ExtraTreesRegressor", {"n_estimators": 5}),
        ("sklearn.neighbors.KNeighborsRegressor", {"n_neighbors": 3}),
        ("sklearn.svm.SVR", {"C": 10.0}),
        ("sklearn.linear_model.Ridge", {}),
        ("sklearn.ensemble.GradientBoostingRegressor", {"n_estimators": 5}),
        ("sklearn.neural_network.MLPRegressor", {"max_iter": 3}),
        ("sklearn.gaussian_process.GaussianProcessRegressor", {}),
        ("sklearn.ensemble.HistGradientBoostingRegressor", {"max_iter": 3}),
    ],
)
def test_regressors_of_scikit_learn_work_and_come_back(
    sample: Sample, path: str, options: dict[str, float]
) -> None:
    x, y = sample()
    kind = Estimator(EstimatorSettings(path=path, options=dict(options)))
    fitted = kind.fit(x, y, np.random.default_rng(2))
    again = kind.fit(x, y, np.random.default_rng(2))
    back = regressor_from_state(*fitted.state())
    for other in (again, back):
        np.testing.assert_array_equal(other.predict(QUERIES), fitted.predict(QUERIES))
    assert fitted.predict(QUERIES).shape == (9, 3)
    assert fitted.deviation(QUERIES) is None


def test_a_pipeline_works_as_itself(sample: Sample, rng: np.random.Generator) -> None:
    x, y = sample()
    pipeline = make_pipeline(StandardScaler(), PolynomialFeatures(3), LinearRegression())
    fitted = Estimator.of(pipeline).fit(x, y, rng)
    expected = pipeline.fit(x, y).predict(QUERIES)
    np.testing.assert_allclose(fitted.predict(QUERIES), expected, rtol=1e-8)
    back = regressor_from_state(*fitted.state())
    np.testing.assert_array_equal(back.predict(QUERIES), fitted.predict(QUERIES))
    np.testing.assert_array_equal(back.fit(x, y, rng).predict(QUERIES), fitted.predict(QUERIES))


def test_the_estimator_that_is_given_stays_as_it_is(
    sample: Sample, rng: np.random.Generator
) -> None:
    given = KNeighborsRegressor(2)
    Estimator.of(given).fit(*sample(), rng)
    assert not hasattr(given, "n_features_in_")


def test_different_seeds_give_different_trees(sample: Sample) -> None:
    kind = Estimator(EstimatorSettings(options={"n_estimators": 2}))
    one, two = (kind.fit(*sample(), np.random.default_rng(s)).predict(QUERIES) for s in (1, 2))
    assert (one != two).any()


def test_what_is_no_regressor_of_scikit_learn_is_refused() -> None:
    with pytest.raises(UserError, match=r"received 'os\.system'"):
        Estimator(EstimatorSettings(path="os.system"))
    with pytest.raises(UserError, match="Correct the path"):
        Estimator(EstimatorSettings(path="sklearn.svm.Nothing"))
    with pytest.raises(UserError, match="Correct the path or the options"):
        Estimator(EstimatorSettings(path="sklearn.svm.SVR", options={"wrong": 1}))
    with pytest.raises(UserError, match="KMeans is none"):
        Estimator.of(KMeans())
    with pytest.raises(UserError, match="none"):
        Estimator(EstimatorSettings(path="sklearn.cluster.KMeans"))


def test_a_path_is_needed_for_a_fit(sample: Sample, rng: np.random.Generator) -> None:
    with pytest.raises(UserError, match="Give `path`"):
        Estimator(EstimatorSettings(path=None)).fit(*sample(), rng)


def test_what_the_estimator_refuses_is_told(sample: Sample, rng: np.random.Generator) -> None:
    with pytest.raises(UserError, match="SVR says"):
        Estimator.of(SVR(C=-1.0)).fit(*sample(), rng)


def test_classes_that_need_pickle_are_refused(sample: Sample, rng: np.random.Generator) -> None:
    with pytest.raises(UserError, match=r"without pickle; it contains .*Own"):
        Estimator.of(Own()).fit(*sample(), rng)


def test_a_state_that_names_unknown_classes_is_refused(
    sample: Sample, rng: np.random.Generator
) -> None:
    from skops.io import dumps

    x, y = sample()
    arrays, text = Estimator.of(GaussianProcessRegressor()).fit(x, y, rng).state()
    arrays["fit.model"] = np.frombuffer(dumps(Own().fit(x, y)), dtype=np.uint8)
    with pytest.raises(StoreError, match="Own"):
        regressor_from_state(arrays, text)
    arrays["fit.model"] = np.arange(50, dtype=np.uint8)
    with pytest.raises(StoreError, match="damaged"):
        regressor_from_state(arrays, text)
