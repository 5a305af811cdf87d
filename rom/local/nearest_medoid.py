"""The cluster whose medoid is nearest in the parameter space."""

from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from rom.local.classifier import Classifier

__all__ = ["NearestMedoid"]

type _Floats = NDArray[np.float64]
type _Ints = NDArray[np.int64]


@final
class NearestMedoid(Classifier):
    """Scores are minus the distances to the medoids in unit coordinates.

    The simplest rule: right where clusters are the cells between their medoids.
    """

    name: ClassVar[str] = "nearest-medoid"

    @classmethod
    def _names(cls) -> tuple[str, ...]:
        return ("medoids",)

    def _learn(
        self, x: _Floats, labels: _Ints, medoids: _Ints, rng: np.random.Generator
    ) -> dict[str, _Floats]:
        del labels, rng
        return {"medoids": x[medoids]}

    def _scores(self, x: _Floats) -> _Floats:
        return np.asarray(-cdist(x, self._learnt["medoids"]))
