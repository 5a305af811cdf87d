"""The cluster whose nearest members are nearest in the parameter space."""

from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from rom.local.classifier import Classifier

__all__ = ["NearestMembers"]

type _Floats = NDArray[np.float64]
type _Ints = NDArray[np.int64]

# Members of each cluster that are looked at: fewer follow single points, more blur borders.
_NEIGHBOURS = 3
# Queries that are computed at once.
_BLOCK = 256


@final
class NearestMembers(Classifier):
    """Scores are minus the mean distance to the 3 nearest members of each cluster.

    A rule of nearest neighbours without votes, hence continuous. It follows clusters of any form,
    also ones of several parts.
    """

    name: ClassVar[str] = "nearest-members"

    @classmethod
    def _names(cls) -> tuple[str, ...]:
        return ("x", "labels")

    def _learn(
        self, x: _Floats, labels: _Ints, medoids: _Ints, rng: np.random.Generator
    ) -> dict[str, _Floats]:
        del medoids, rng
        return {"x": np.array(x), "labels": labels.astype(np.float64)}

    def _scores(self, x: _Floats) -> _Floats:
        members = [
            self._learnt["x"][self._learnt["labels"] == k] for k in range(self.n_clusters)
        ]  # fmt: skip
        blocks = [x[start : start + _BLOCK] for start in range(0, len(x), _BLOCK)]
        parts = [np.column_stack([_near(block, m) for m in members]) for block in blocks]
        return np.concatenate(parts) if parts else np.zeros((0, self.n_clusters))


def _near(x: _Floats, members: _Floats) -> _Floats:
    count = min(_NEIGHBOURS, len(members))
    distances = cdist(x, members)
    return np.asarray(-np.partition(distances, count - 1, axis=1)[:, :count].mean(axis=1))
