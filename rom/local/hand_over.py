r"""The smooth hand-over from one local basis to the next: a partition of unity.

With the scores s_k of a classifier and a zone z, in the unit of the scores,

.. math::
   w_k = \frac{h_k}{\sum_j h_j}, \qquad
   h_k = S\!\left(1 - \frac{\max_j s_j - s_k}{z}\right), \qquad S(t) = 3 t^2 - 2 t^3

on [0, 1], 0 below. The weights are >= 0 and their sum is 1; a cluster whose score is lower by z or
more has the weight 0, so that far from borders one basis works alone. Two clusters of equal scores
have equal weights. The weights have as many continuous derivatives as the scores, at most one:
the lifted field :math:`\sum_k w_k \tilde u_k` is continuous in the parameters, and its error is at
most the mean of the errors of the bases with these weights.

Ours. The zone is the margin within which a given share of the training points lies: it fits any
score.
"""

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError

__all__ = ["transition_zone", "weights_of"]

type _Floats = NDArray[np.float64]


def weights_of(scores: _Floats, zone: float) -> _Floats:
    """Return the weights (q, K) for scores (q, K); a zone of 0 switches at the border."""
    below = scores.max(axis=1, keepdims=True) - scores
    if zone <= 0:
        chosen = scores.argmax(axis=1)[:, None] == np.arange(scores.shape[1])
        return np.asarray(chosen, np.float64)
    t = np.clip(1.0 - below / zone, 0.0, 1.0)
    heights = t * t * (3.0 - 2.0 * t)
    return np.asarray(heights / heights.sum(axis=1, keepdims=True))


def transition_zone(scores: _Floats, share: float) -> float:
    """Return the zone in which a share of the points with the scores (m, K) lies.

    Raises
    ------
    UserError
        If the share is not in [0, 1).
    """
    if not 0 <= share < 1:
        raise UserError(
            f"Expected a share of points in [0, 1) to be handed over; received {share}."
        )
    if share == 0 or scores.shape[1] == 1:
        return 0.0
    highest = np.sort(scores, axis=1)
    return float(np.quantile(highest[:, -1] - highest[:, -2], share))
