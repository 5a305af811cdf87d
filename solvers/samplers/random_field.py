r"""Gaussian random fields on the unit square by their Karhunen-Loeve expansion.

.. math::
   a(x) = \sum_{i<m} \sqrt{\lambda_i}\, \xi_i\, \varphi_i(x), \qquad
   \xi_i \sim \mathcal N(0, 1), \qquad
   \lambda_i = \sigma^2 (\kappa_i + \tau^2)^{-\alpha}

is the projection of :math:`\mathcal N(0, \sigma^2 (-\Delta + \tau^2 I)^{-\alpha})` onto the m
smoothest eigenfunctions of :math:`-\Delta` with eigenvalues :math:`\kappa_i`:

- Neumann: :math:`\varphi = c_j c_k \cos(j \pi x) \cos(k \pi y)`, :math:`j, k \ge 0`,
  :math:`\kappa = \pi^2 (j^2 + k^2)`, :math:`c_0 = 1`, :math:`c_j = \sqrt 2` otherwise;
- periodic: :math:`1`, and :math:`\sqrt 2 \cos`, :math:`\sqrt 2 \sin` of :math:`2\pi (jx + ky)`
  for one of each pair :math:`\pm (j, k)`, :math:`\kappa = 4 \pi^2 (j^2 + k^2)`.

They are orthonormal on the square, hence :math:`\int \operatorname{Var} a = \sum \lambda_i`. As
:math:`\lambda_i \sim i^{-\alpha}`, truncation leaves out a variance of order
:math:`m^{1 - \alpha}`.

Source: the Darcy data of Li et al. (2020), arXiv:2010.08895, have :math:`\sigma = 1`,
:math:`\tau = 3`, :math:`\alpha = 2`, Neumann. Their published generator differs from the paper: it
scales by :math:`\sigma = \tau^{\alpha - 1}` and sets the constant mode to zero (set ``xi_0`` to 0
for that).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from infra.errors import UserError
from solvers.samplers.sampler import Sampler, spawn

__all__ = ["Boundary", "GaussianRandomFieldSampler"]

type Boundary = Literal["neumann", "periodic"]


@final
@dataclass(frozen=True)
class GaussianRandomFieldSampler(Sampler):
    """Standard normal coefficients ``xi_0 .. xi_{m-1}``, and the field that they stand for.

    Extendable in n and in `modes`: more modes refine the same fields.

    Attributes
    ----------
    seed : seed of the coefficients and of the samples
    modes : number m of Karhunen-Loeve modes, largest variance first
    tau : inverse correlation length, > 0, in units of 1 / side length
    alpha : smoothness, > 1 (otherwise the field has no finite variance in two dimensions)
    sigma : scale of the field, >= 0, in its unit times (1 / side length)^alpha
    boundary : ``"neumann"`` (zero normal derivative) or ``"periodic"``

    Raises
    ------
    UserError
        If a field is out of these ranges.
    """

    seed: int
    modes: int
    tau: float = 3.0
    alpha: float = 2.0
    sigma: float = 1.0
    boundary: Boundary = "neumann"

    def __post_init__(self) -> None:
        # Comparisons in this direction also refuse NaN.
        numbers = self.modes >= 1 and self.tau > 0 and self.alpha > 1 and self.sigma >= 0
        finite = np.isfinite([self.tau, self.alpha, self.sigma]).all()
        if not (numbers and finite and self.boundary in ("neumann", "periodic")):
            raise UserError(
                "expected modes >= 1, tau > 0, alpha > 1, sigma >= 0, all finite, and boundary "
                f"neumann or periodic; received {self}"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the coefficients, ``xi_0 .. xi_{m-1}``."""
        return tuple(f"xi_{i}" for i in range(self.modes))

    @property
    def spectrum(self) -> NDArray[np.float64]:
        r"""Variances :math:`\lambda_i` of the modes, descending, shape (m,)."""
        j, k, _ = self.wave_numbers.T
        unit = np.pi if self.boundary == "neumann" else 2 * np.pi
        return np.asarray(self.sigma**2 * (unit**2 * (j**2 + k**2) + self.tau**2) ** -self.alpha)

    @property
    def wave_numbers(self) -> NDArray[np.int64]:
        """Rows (j, k, s), shape (m, 3); s = 1 marks the sine of a periodic pair, else 0."""
        # The first m modes lie within a radius of 1.5 sqrt(m) + 1.
        reach = 2 * isqrt(self.modes) + 2
        low = 0 if self.boundary == "neumann" else -reach
        sines = 1 if self.boundary == "neumann" else 2
        axis = np.arange(low, reach + 1)
        j, k, s = (a.ravel() for a in np.meshgrid(axis, axis, np.arange(sines), indexing="ij"))
        if self.boundary == "periodic":
            half = (j > 0) | ((j == 0) & (k > 0)) | ((j == 0) & (k == 0) & (s == 0))
            j, k, s = j[half], k[half], s[half]
        # Modes of equal variance follow their wave numbers: one order on every machine.
        first = np.lexsort((s, k, j, j**2 + k**2))[: self.modes]
        return np.stack([j, k, s], axis=1)[first]

    def field(self, mu: Mapping[str, float], n: int) -> NDArray[np.float64]:
        """Evaluate the field on a uniform grid, shape (n, n), first index along x.

        Neumann: at the cell centres (p + 1/2) / n; periodic: at p / n, p = 0..n-1.

        Raises
        ------
        UserError
            If `mu` has other names than `names`, or the grid is too coarse for the modes.
        """
        if set(mu) != set(self.names):
            raise UserError(
                f"expected the coefficients xi_0 .. xi_{self.modes - 1}, received {len(mu)} names "
                f"({', '.join(list(mu)[:3])}, ...); use the sampler that made this mu"
            )
        xi = np.array([mu[name] for name in self.names], dtype=np.float64)
        modes, amplitudes = self.wave_numbers, np.sqrt(self.spectrum) * xi
        largest = int(np.abs(modes[:, :2]).max())
        needed = largest + 1 if self.boundary == "neumann" else 2 * largest + 1
        if n < needed:
            raise UserError(
                f"a grid of {n} x {n} points cannot carry {self.modes} modes: expected "
                f"n >= {needed}; refine the grid or reduce modes"
            )
        evaluate = _neumann if self.boundary == "neumann" else _periodic
        return evaluate(modes, amplitudes, n)

    def _mus(self, n: int) -> Sequence[Mapping[str, float]]:
        # Each sample draws from its own sequence: that makes n and modes extendable.
        rows = [np.random.default_rng(s).standard_normal(self.modes) for s in spawn(self.seed, n)]
        return [dict(zip(self.names, map(float, row), strict=True)) for row in rows]


def _neumann(
    modes: NDArray[np.int64], amplitudes: NDArray[np.float64], n: int
) -> NDArray[np.float64]:
    coefficients = np.zeros((n, n))
    coefficients[modes[:, 0], modes[:, 1]] = amplitudes
    # The orthonormal cosines of the grid are those of the square divided by sqrt(n) per axis.
    return np.asarray(n * fft.idctn(coefficients, type=2, norm="ortho"))


def _periodic(
    modes: NDArray[np.int64], amplitudes: NDArray[np.float64], n: int
) -> NDArray[np.float64]:
    j, k, s = modes.T
    # Re((a - ib) exp(i theta)) = a cos(theta) + b sin(theta).
    weights = np.where(s == 1, -1j, 1) * np.where((j == 0) & (k == 0), 1, np.sqrt(2))
    coefficients = np.zeros((n, n), dtype=np.complex128)
    np.add.at(coefficients, (j % n, k % n), weights * amplitudes)
    return np.asarray(n**2 * fft.ifft2(coefficients).real)
