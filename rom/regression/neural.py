r"""A committee of small multilayer perceptrons.

.. math:: h_0 = 2 x - 1, \quad h_{l+1} = \tanh(h_l W_l + b_l), \quad y = h_L W_L + b_L

Each member is trained from other initial weights; the prediction is their mean, the deviation
their standard deviation. Training is scikit-learn's (L-BFGS); predictions need NumPy only.

References
----------
J. S. Hesthaven, S. Ubbiali: Non-intrusive reduced order modeling of nonlinear problems using
neural networks. JCP 363 (2018), doi:10.1016/j.jcp.2018.02.037.
B. Lakshminarayanan, A. Pritzel, C. Blundell: Simple and scalable predictive uncertainty estimation
using deep ensembles. NeurIPS 2017, arXiv:1612.01474.
"""

import warnings
from typing import final

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveInt

from rom.regression.regressor import Regressor
from rom.regression.settings import RegressorSettings
from rom.regression.state import Arrays, Floats
from rom.regression.training_set import TrainingSet

__all__ = ["Neural", "NeuralSettings"]


@final
class NeuralSettings(RegressorSettings):
    """Settings of `Neural`.

    Attributes
    ----------
    hidden
        Widths of the hidden layers.
    members
        Networks of the committee; a single one gives no deviation.
    decay
        Weight of the squared weights in the loss.
    iterations
        Most steps of the training of a member.
    """

    hidden: tuple[PositiveInt, ...] = Field((32, 32), min_length=1)
    members: PositiveInt = 4
    decay: NonNegativeFloat = 1e-4
    iterations: PositiveInt = 2000


@final
class Neural(Regressor):
    """Committee of perceptrons.

    Parameters
    ----------
    settings
        By default `NeuralSettings()`.
    """

    name = "neural"
    Settings = NeuralSettings
    settings: NeuralSettings

    def __init__(self, settings: NeuralSettings | None = None) -> None:
        super().__init__(settings or NeuralSettings())

    def _fewest(self, n_inputs: int) -> int:
        return max(3, n_inputs + 1)

    def _learn(self, data: TrainingSet, rng: np.random.Generator) -> Arrays:
        seeds = rng.integers(2**31, size=self.settings.members)
        members = [self._train(data, int(seed)) for seed in seeds]
        layers = range(len(self.settings.hidden) + 1)
        return {
            **{f"weights.{i}": np.stack([weights[i] for weights, _ in members]) for i in layers},
            **{f"biases.{i}": np.stack([biases[i] for _, biases in members]) for i in layers},
        }

    def _train(self, data: TrainingSet, seed: int) -> tuple[list[Floats], list[Floats]]:
        # Here, because a service that only evaluates need not load it.
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPRegressor

        s = self.settings
        network = MLPRegressor(
            hidden_layer_sizes=s.hidden,
            activation="tanh",
            solver="lbfgs",
            alpha=s.decay,
            max_iter=s.iterations,
            max_fun=10 * s.iterations,
            tol=1e-6,
            random_state=seed,
        )
        outputs = data.y.ravel() if data.y.shape[1] == 1 else data.y
        with warnings.catch_warnings():
            # A member that stops at the limit of steps is as good as early stopping makes it.
            warnings.simplefilter("ignore", ConvergenceWarning)
            network.fit(2.0 * data.x - 1.0, outputs)
        return network.coefs_, network.intercepts_

    def _install(self, learnt: Arrays) -> None:
        layers = range(len(self.settings.hidden) + 1)
        self._layers = [
            (learnt[f"weights.{i}"], learnt[f"biases.{i}"][:, np.newaxis, :]) for i in layers
        ]

    def _evaluate(self, x: Floats) -> Floats:
        return self._members(x).mean(axis=0)

    def _has_deviation(self) -> bool:
        return self.settings.members > 1

    def _spread(self, x: Floats) -> Floats:
        return self._members(x).std(axis=0, ddof=1)

    def _members(self, x: Floats) -> Floats:
        """Return the output of each member, (members, q, r)."""
        h = (2.0 * x - 1.0)[np.newaxis]
        for weights, biases in self._layers[:-1]:
            h = np.tanh(h @ weights + biases)
        weights, biases = self._layers[-1]
        result: Floats = h @ weights + biases
        return result

    def _slope(self, x: Floats) -> Floats:
        h = (2.0 * x - 1.0)[np.newaxis]
        # Derivatives by the inputs, (members, q, d, width).
        slope = np.broadcast_to(2.0 * np.eye(x.shape[1]), (1, len(x), x.shape[1], x.shape[1]))
        for weights, biases in self._layers[:-1]:
            h = np.tanh(h @ weights + biases)
            slope = (slope @ weights[:, np.newaxis]) * (1.0 - h * h)[:, :, np.newaxis, :]
        last = slope @ self._layers[-1][0][:, np.newaxis]
        return last.mean(axis=0).transpose(0, 2, 1)
