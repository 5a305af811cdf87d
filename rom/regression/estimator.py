"""Any regressor of scikit-learn, behind the interface of the others.

It is kept by skops, a format without pickle; classes that neither skops nor this module trusts are
refused. Its file is as durable as the versions of scikit-learn that read it: for models that must
last, use the other regressors. Its derivatives are central differences: they are only as good as
the regressor is smooth.
"""

import importlib
import warnings
from typing import TYPE_CHECKING, Any, Self, final
from zipfile import BadZipFile

import numpy as np
from pydantic import Field, PositiveFloat

from infra.errors import StoreError, UserError
from infra.records import Json
from rom.regression.regressor import Regressor
from rom.regression.settings import RegressorSettings
from rom.regression.state import Arrays, Floats
from rom.regression.training_set import TrainingSet

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

__all__ = ["Estimator", "EstimatorSettings"]

# Modules of scikit-learn whose classes hold numbers only, and which skops does not know yet.
_TRUSTED = frozenset(
    {
        "sklearn._loss.loss",
        "sklearn.ensemble._hist_gradient_boosting.predictor",
        "sklearn.gaussian_process.kernels",
        "sklearn.metrics._dist_metrics",
        "sklearn.neighbors._ball_tree",
        "sklearn.neighbors._kd_tree",
        "sklearn.neural_network._stochastic_optimizers",
        "sklearn.tree._tree",
    }
)


@final
class EstimatorSettings(RegressorSettings):
    """Settings of `Estimator`.

    Attributes
    ----------
    path
        Module and class of scikit-learn, for example ``sklearn.neighbors.KNeighborsRegressor``;
        None where the estimator was given as an object (`Estimator.of`).
    options
        Arguments of its constructor.
    step
        Step of the central differences, in unit coordinates.
    """

    path: str | None = "sklearn.ensemble.ExtraTreesRegressor"
    options: dict[str, Json] = Field(default_factory=dict)
    step: PositiveFloat = 1e-4


@final
class Estimator(Regressor):
    """A regressor of scikit-learn; one that knows a single output only is fitted to each.

    Parameters
    ----------
    settings
        By default `EstimatorSettings()`.

    Raises
    ------
    UserError
        If the class is unknown, is no regressor, or does not take the options.
    """

    name = "estimator"
    Settings = EstimatorSettings
    settings: EstimatorSettings

    def __init__(self, settings: EstimatorSettings | None = None) -> None:
        super().__init__(settings or EstimatorSettings())
        path, options = self.settings.path, self.settings.options
        self._template = None if path is None else _made(path, options)

    @classmethod
    def of(cls, estimator: "BaseEstimator", step: float = 1e-4) -> Self:
        """Return a regressor that works as this estimator, a pipeline for example.

        Parameters
        ----------
        estimator
            It is copied, without what it has learnt.
        step
            As for `EstimatorSettings`.

        Raises
        ------
        UserError
            If it is no regressor.
        """
        from sklearn.base import clone

        self = cls(EstimatorSettings(path=None, step=step))
        self._template = clone(_regressor(estimator))
        return self

    def _fewest(self, n_inputs: int) -> int:  # noqa: ARG002
        return 2

    def _learn(self, data: TrainingSet, rng: np.random.Generator) -> Arrays:
        from sklearn.base import clone

        if self._template is None:
            raise UserError(
                "Expected the path of a regressor of scikit-learn; received none. Give `path`, or "
                "make this regressor by Estimator.of."
            )
        model = _seeded(_for_outputs(clone(self._template), data.y.shape[1]), rng)
        outputs = data.y.ravel() if data.y.shape[1] == 1 else data.y
        try:
            with warnings.catch_warnings():
                # What a library warns of is no error of this program.
                warnings.simplefilter("ignore")
                model.fit(data.x, outputs)
        except (ValueError, TypeError) as error:
            raise UserError(
                f"Expected an estimator that can be fitted to {len(data.x)} samples; "
                f"{_name(self._template)} says: {error}. Change its options, or choose another one."
            ) from error
        return {"model": _dumped(model)}

    def _install(self, learnt: Arrays) -> None:
        from sklearn.base import clone

        self._model = _loaded(learnt["model"])
        # A regressor from a state can be fitted again although its options may be no JSON.
        inner = getattr(self._model, "estimator", None)
        wrapped = type(self._model).__name__ == "MultiOutputRegressor" and inner is not None
        self._template = clone(inner if wrapped else self._model)

    def _evaluate(self, x: Floats) -> Floats:
        if not len(x):
            return np.empty((0, self.n_outputs))
        return np.array(self._model.predict(x), dtype=np.float64).reshape(len(x), -1)

    def _slope(self, x: Floats) -> Floats:
        step, d = self.settings.step, x.shape[1]
        moved = x[:, np.newaxis, :] + step * np.concatenate([np.eye(d), -np.eye(d)])
        values = self._evaluate(moved.reshape(-1, d)).reshape(len(x), 2, d, self.n_outputs)
        slope: Floats = ((values[:, 0] - values[:, 1]) / (2 * step)).transpose(0, 2, 1)
        return slope


def _made(path: str, options: dict[str, Json]) -> Any:
    module, _, name = path.rpartition(".")
    if not module.startswith("sklearn."):
        raise UserError(
            f"Expected the path of a regressor of scikit-learn; received {path!r}. Write "
            "for example sklearn.neighbors.KNeighborsRegressor, or use Estimator.of in Python."
        )
    try:
        kind = getattr(importlib.import_module(module), name)
        made = kind(**options)
    except (ImportError, AttributeError, TypeError) as error:
        raise UserError(
            f"Expected a class of scikit-learn and arguments that it takes; received "
            f"{path} with {options}: {error}. Correct the path or the options."
        ) from error
    return _regressor(made)


def _name(estimator: Any) -> str:
    return type(estimator).__name__


def _regressor(estimator: Any) -> Any:
    from sklearn.base import is_regressor

    if not is_regressor(estimator):
        raise UserError(
            f"Expected a regressor; {_name(estimator)} is none. Choose a class whose name ends "
            "with Regressor, or a pipeline that ends with one."
        )
    return estimator


def _for_outputs(estimator: Any, n_outputs: int) -> Any:
    from sklearn.multioutput import MultiOutputRegressor
    from sklearn.utils import get_tags

    if n_outputs == 1 or get_tags(estimator).target_tags.multi_output:
        return estimator
    return MultiOutputRegressor(estimator)


def _seeded(estimator: Any, rng: np.random.Generator) -> Any:
    """Give every random choice inside the estimator a seed of the generator."""
    names = sorted(n for n in estimator.get_params() if n.split("__")[-1] == "random_state")
    estimator.set_params(**{name: int(rng.integers(2**31)) for name in names})
    return estimator


def _refused(data: bytes) -> tuple[list[str], list[str]]:
    """Return the classes inside that nobody vouched for, and those that this module trusts."""
    from skops import io

    found = io.get_untrusted_types(data=data)
    trusted = [name for name in found if name.rpartition(".")[0] in _TRUSTED]
    return sorted(set(found) - set(trusted)), trusted


def _dumped(model: Any) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    from skops import io

    data = io.dumps(model)
    refused, _ = _refused(data)
    if refused:
        raise UserError(
            "Expected an estimator of classes that can be kept without pickle; it contains "
            f"{', '.join(refused)}. Use classes of scikit-learn, NumPy and SciPy only."
        )
    return np.frombuffer(data, dtype=np.uint8)


def _loaded(array: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> Any:
    from skops import io

    data = array.tobytes()
    try:
        refused, trusted = _refused(data)
    except BadZipFile as error:
        raise StoreError(
            f"Expected an estimator in the format of skops: {error}. The file is damaged: restore "
            "it from a copy, or build the model again."
        ) from error
    if refused:
        raise StoreError(
            f"Expected an estimator of known classes; the file names {', '.join(refused)}. It was "
            "changed, or comes from elsewhere: build the model again."
        )
    return io.loads(data, trusted=trusted)
