r"""From parameters to a cluster: what every classifier is.

A classifier gives each cluster a score :math:`s_k(x)`, continuous in x; the cluster of x is the
one of the largest score. The scores' differences say how near a border is: the hand-over
(`rom.local.hand_over`) uses them. Letters: m points, d coordinates, K clusters, q queries.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import copy
from typing import Any, ClassVar, Self, final

import numpy as np
from numpy.typing import NDArray

from infra.errors import StoreError, UserError

__all__ = ["Classifier"]

type _Floats = NDArray[np.float64]
type _Ints = NDArray[np.int64]
type _Arrays = dict[str, _Floats]


class Classifier(ABC):
    """A classifier; a subclass has a `name` and the private methods below.

    It never changes: `fit` returns a new one. Its state is arrays, no pickle.
    """

    name: ClassVar[str]

    def __init__(self) -> None:
        self._learnt: _Arrays = {}
        self._shape = (0, 0)

    @property
    def n_clusters(self) -> int:
        """The number K of clusters; 0 before the fit."""
        return self._shape[1]

    @final
    def fit(
        self, x: _Floats, labels: _Ints, medoids: _Ints, rng: np.random.Generator
    ) -> Self:  # fmt: skip
        """Return a classifier that has learnt from points.

        Parameters
        ----------
        x
            Unit coordinates, (m, d).
        labels
            Clusters, (m,), each from 0 to K - 1 at least once.
        medoids
            Places of the K medoids.
        rng
            Source of all random choices.

        Raises
        ------
        UserError
            If the shapes do not fit, or a cluster is empty.
        """
        fits = x.ndim == 2 and labels.shape == (len(x),) and np.isfinite(x).all()
        if not fits or set(labels.tolist()) != set(range(len(medoids))):
            raise UserError(
                f"Expected finite coordinates (m, d) and m labels, each of the {len(medoids)} "
                f"clusters at least once; received shapes {x.shape} and {labels.shape}."
            )
        return self._with(self._learn(x, labels, medoids, rng), (x.shape[1], len(medoids)))

    @final
    def scores(self, x: _Floats) -> _Floats:
        """Return the scores (q, K) at unit coordinates (q, d).

        Raises
        ------
        UserError
            If it is not fitted, or the shape does not fit.
        """
        x = np.asarray(x, np.float64)
        if not self.n_clusters or x.ndim != 2 or x.shape[1] != self._shape[0]:
            raise UserError(
                f"Expected a fitted classifier and coordinates (q, {self._shape[0]}); received "
                f"shape {x.shape}. Give the parameters, and the time if it was one of them."
            )
        if self.n_clusters == 1:
            return np.zeros((len(x), 1))
        return self._scores(x)

    @final
    def predict(self, x: _Floats) -> _Ints:
        """Return the clusters (q,) at unit coordinates (q, d)."""
        return self.scores(x).argmax(axis=1)

    @final
    def state(self) -> tuple[_Arrays, dict[str, str]]:
        """Return arrays by name and a text, from which `from_state` makes the same classifier."""
        arrays = {name: np.array(array) for name, array in self._learnt.items()}
        return {"shape": np.array(self._shape, np.float64), **arrays}, {"kind": self.name}

    @final
    @classmethod
    def from_state(cls, arrays: Mapping[str, NDArray[Any]], text: Mapping[str, object]) -> Self:
        """Return the classifier of a state.

        Raises
        ------
        StoreError
            If it is of another kind, or an array is missing.
        """
        learnt = {name: np.array(array, np.float64) for name, array in arrays.items()}
        shape = learnt.pop("shape", np.zeros(0))
        if text.get("kind") != cls.name or set(learnt) != set(cls._names()) or len(shape) != 2:
            raise StoreError(
                f"Expected the state of a classifier {cls.name!r} with the arrays "
                f"{sorted(cls._names())}; received {text.get('kind')!r} with {sorted(arrays)}. The "
                "folder is damaged or of another version: build the model again."
            )
        return cls()._with(learnt, (int(shape[0]), int(shape[1])))

    @classmethod
    @abstractmethod
    def _names(cls) -> tuple[str, ...]:
        """Return the names of what a fit yields."""

    @abstractmethod
    def _learn(
        self, x: _Floats, labels: _Ints, medoids: _Ints, rng: np.random.Generator
    ) -> _Arrays: ...

    @abstractmethod
    def _scores(self, x: _Floats) -> _Floats: ...

    def _with(self, learnt: _Arrays, shape: tuple[int, int]) -> Self:
        fitted = copy(self)
        fitted._learnt, fitted._shape = learnt, shape
        return fitted
