r"""Logistic regression on polynomials of second degree: smooth borders, few numbers.

.. math:: s_k(x) = w_k^T \varphi(x) + b_k, \qquad P(k | x) = e^{s_k} / \sum_j e^{s_j},

where :math:`\varphi` are all monomials of degree 1 and 2 of :math:`2 x - 1`. The fit is
scikit-learn's (L2 penalty); evaluation is ours, from plain arrays.
"""

from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from rom.local.classifier import Classifier

__all__ = ["Logistic"]

type _Floats = NDArray[np.float64]
type _Ints = NDArray[np.int64]

# Inverse weight of the penalty: weak, as borders between clusters are mostly sharp.
_FREEDOM = 100.0


@final
class Logistic(Classifier):
    """Scores are the logarithms of the probabilities, up to a number that all clusters share."""

    name: ClassVar[str] = "logistic"

    @classmethod
    def _names(cls) -> tuple[str, ...]:
        return ("weights", "biases")

    def _learn(
        self, x: _Floats, labels: _Ints, medoids: _Ints, rng: np.random.Generator
    ) -> dict[str, _Floats]:
        if len(medoids) == 1:
            return {"weights": np.zeros((1, 0)), "biases": np.zeros(1)}
        del rng  # the method has no random choice
        # Here, because a service that only evaluates need not load it.
        from sklearn.linear_model import LogisticRegression

        found = LogisticRegression(C=_FREEDOM, max_iter=2000).fit(_features(x), labels)
        weights, biases = np.asarray(found.coef_), np.asarray(found.intercept_)
        if len(medoids) == 2:  # one row: the log odds of the second cluster
            weights, biases = np.vstack([-weights, weights]) / 2, np.r_[-biases, biases] / 2
        return {"weights": weights.astype(np.float64), "biases": biases.astype(np.float64)}

    def _scores(self, x: _Floats) -> _Floats:
        return np.asarray(_features(x) @ self._learnt["weights"].T + self._learnt["biases"])


def _features(x: _Floats) -> _Floats:
    z = 2 * x - 1
    i, j = np.triu_indices(z.shape[1])
    return np.column_stack([z, z[:, i] * z[:, j]])
