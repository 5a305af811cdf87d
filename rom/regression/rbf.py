r"""Interpolation by polyharmonic splines: the smoothest function through the samples.

.. math::
   \hat y(x) = \sum_i w_i\, \varphi(|x - x_i|) + p(x), \qquad \sum_i w_i\, \pi(x_i) = 0
   \text{ for all polynomials } \pi \text{ of the degree of } p

with :math:`\varphi(r) = r^3` and linear p (``"cubic"``), or :math:`\varphi(r) = -r^5` and
quadratic p (``"quintic"``). It has no scale to choose and reproduces such polynomials exactly.

References
----------
H. Wendland: Scattered Data Approximation. Cambridge 2005, chapters 8 and 10,
doi:10.1017/CBO9780511617539.
"""

from typing import Literal, final

import numpy as np
from pydantic import NonNegativeFloat
from scipy.linalg import lstsq, qr, solve
from scipy.spatial.distance import cdist

from rom.regression.monomials import Monomials
from rom.regression.regressor import Regressor
from rom.regression.settings import RegressorSettings
from rom.regression.state import Arrays, Floats
from rom.regression.training_set import TrainingSet

__all__ = ["RadialBasis", "RbfSettings"]


@final
class RbfSettings(RegressorSettings):
    """Settings of `RadialBasis`.

    Attributes
    ----------
    kernel
        ``"cubic"``, or ``"quintic"``: more accurate where outputs are smooth and samples many.
    smoothing
        0 interpolates; larger values trade the distance to the samples for smoothness.
    """

    kernel: Literal["cubic", "quintic"] = "cubic"
    smoothing: NonNegativeFloat = 0.0


@final
class RadialBasis(Regressor):
    """Polyharmonic spline.

    Parameters
    ----------
    settings
        By default `RbfSettings()`.
    """

    name = "rbf"
    Settings = RbfSettings
    settings: RbfSettings

    def __init__(self, settings: RbfSettings | None = None) -> None:
        super().__init__(settings or RbfSettings())

    @property
    def form(self) -> tuple[int, int, Monomials]:
        """Power and sign of the kernel, and the polynomials beside it; for a fitted one."""
        return self._power, self._sign, self._monomials

    @property
    def _power(self) -> int:
        return 3 if self.settings.kernel == "cubic" else 5

    @property
    def _sign(self) -> int:
        """The sign that makes the kernel positive on what is orthogonal to the polynomials."""
        return 1 if self.settings.kernel == "cubic" else -1

    def _polynomials(self, n_inputs: int) -> Monomials:
        return Monomials(n_inputs, 1 if self.settings.kernel == "cubic" else 2)

    def _fewest(self, n_inputs: int) -> int:
        return len(self._polynomials(n_inputs))

    def _learn(self, data: TrainingSet, rng: np.random.Generator) -> Arrays:  # noqa: ARG002
        x, y = data.x, data.y
        kernel = self._sign * cdist(x, x) ** self._power
        kernel[np.diag_indices_from(kernel)] += self.settings.smoothing
        polynomials = self._polynomials(x.shape[1]).values(x)
        # Weights live in the complement of the polynomials: there the kernel is positive, even
        # if the points lie on a line or plane, where the polynomials depend on each other.
        full, triangle, _ = qr(polynomials, pivoting=True)
        diagonal = np.abs(np.diag(triangle))
        rank = int((diagonal > 1e-10 * diagonal[0]).sum())
        z = full[:, rank:]
        weights = z @ solve(z.T @ kernel @ z, z.T @ y, assume_a="sym")
        tail = lstsq(polynomials, y - kernel @ weights)[0]
        return {"points": x, "weights": weights, "tail": tail}

    def _install(self, learnt: Arrays) -> None:
        self._points = np.ascontiguousarray(learnt["points"].T)
        self._weights = np.ascontiguousarray(learnt["weights"].T)
        self._tail: Floats = learnt["tail"]
        self._monomials = self._polynomials(len(self._points))

    def _evaluate(self, x: Floats) -> Floats:
        _, squared = self._distances(x)
        kernel = squared ** (self._power / 2) * self._sign
        # Not a matrix product: the order of a sum must not depend on how many queries there are.
        result: Floats = np.vecdot(kernel[:, np.newaxis], self._weights)
        result += self._monomials.values(x) @ self._tail
        return result

    def _slope(self, x: Floats) -> Floats:
        difference, squared = self._distances(x)
        factor = self._sign * self._power * squared ** (self._power / 2 - 1)
        kernels = np.einsum("qm,qdm,rm->qrd", factor, difference, self._weights, optimize=True)
        tail = np.einsum("qkd,kr->qrd", self._monomials.slopes(x), self._tail)
        slope: Floats = kernels + tail
        return slope

    def _distances(self, x: Floats) -> tuple[Floats, Floats]:
        """Return differences (q, d, m) and squared distances (q, m)."""
        difference = x[:, :, np.newaxis] - self._points
        return difference, np.square(difference).sum(axis=1)
