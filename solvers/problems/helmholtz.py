r"""Waves of one frequency from a small source in a square of variable speed.

.. math::
   -\Delta u - \left(\frac k c\right)^2 u = f, \qquad \partial_n u - i k u = 0
   \text{ on the boundary},

with u complex, :math:`e^{-i\omega t}` in time. The speed is :math:`c = e^{a\,b\,g}` with a random
field g of unit variance, its amplitude a, and :math:`b = 16 x (1 - x) y (1 - y)`, so that c = 1 at
the boundary, where the absorbing condition of first order lets waves of normal incidence out
(Engquist and Majda, 1977, 10.1090/S0025-5718-1977-0436612-4). The source is a Gaussian around a
point, with the integral one; its deviation is a quarter of a wavelength.

From k = 63 on there are more than ten wavelengths along a side. Linear elements shorten waves by
:math:`(k h)^2 / 24`, relatively: at ten points per wavelength a wave that has crossed ten
wavelengths is ahead by a sixth of one (the pollution effect; Ihlenburg and Babuska, 1995,
10.1016/0898-1221(95)00144-N).
"""

from collections.abc import Mapping, Sequence
from math import ceil, pi
from typing import ClassVar, Literal, final

import numpy as np
from pydantic import Field

from solvers.boxes import box_mesh
from solvers.fields import RandomField, cosine_tables
from solvers.functionals import Functionals, Remembered
from solvers.mesh import FloatArray, ReferenceMesh
from solvers.parameters import Parameter, ParameterSpace
from solvers.problem import Problem, ProblemSettings
from solvers.sequence.traits import Traits
from solvers.steady_case import (
    Coefficient,
    Quantity,
    Robin,
    SteadyCase,
    TransportEquation,
    Unknown,
    constant,
)

__all__ = ["Helmholtz", "HelmholtzSettings"]


@final
class HelmholtzSettings(ProblemSettings):
    """Resolution, and the statistics of the speed."""

    points_per_wavelength: float = Field(
        10.0, ge=4.0, le=100.0, description="cells per wavelength at the highest wave number"
    )
    highest_wavenumber: float = Field(
        80.0, ge=7.0, le=1000.0, description="upper bound of the wave number, 1/m"
    )
    modes: int = Field(32, ge=1, le=4096, description="modes of the random field")
    tau: float = Field(3.0, gt=0, le=100.0, description="inverse correlation length, 1/m")
    alpha: float = Field(2.0, gt=1, le=10.0, description="smoothness, more than 1")


@final
class Helmholtz(Problem):
    """Waves in a random medium with an open boundary."""

    name: ClassVar[str] = "helmholtz"
    title: ClassVar[str] = "Waves of one frequency in a random medium"
    kind: ClassVar[Literal["flow", "steady"]] = "steady"
    equations: ClassVar[str] = (
        "$-\\Delta u - (k/c)^2 u = f$, $\\partial_n u - i k u = 0$ on the boundary"
    )
    Settings: ClassVar[type[ProblemSettings]] = HelmholtzSettings

    def __init__(self, settings: HelmholtzSettings) -> None:
        self.settings = settings
        self._field = RandomField(2, settings.modes, settings.tau, settings.alpha)
        self._functionals = Remembered(Functionals)
        self._tables = Remembered(
            lambda mesh: cosine_tables(self._functionals(mesh).centres, self._field.largest)
        )

    @property
    def defaults(self) -> Mapping[str, float]:
        """Ten wavelengths, a source left of the middle, the smoothest mode alone."""
        return {
            "wavenumber": min(63.0, self.settings.highest_wavenumber),
            "source_x": 0.25,
            "source_y": 0.5,
            "amplitude": 0.1,
            **self._field.defaults,
        }

    @property
    def random_parameters(self) -> tuple[str, ...]:
        """The coefficients of the random field."""
        return self._field.names

    def space(self) -> ParameterSpace:
        """Return wave number, source position, amplitude and coefficients of the speed."""
        text = "standard deviation of the logarithm of the speed in the middle"
        return ParameterSpace(
            (
                Parameter("wavenumber", 6.0, self.settings.highest_wavenumber, "m-1", "k"),
                Parameter("source_x", 0.1, 0.9, "m", "x of the source"),
                Parameter("source_y", 0.1, 0.9, "m", "y of the source"),
                Parameter("amplitude", 0.0, 0.3, "1", text),
                *self._field.parameters,
            )
        )

    def reference_mesh(self) -> ReferenceMesh:
        """Return the unit square, fine enough for the highest wave number."""
        waves = self.settings.highest_wavenumber / (2 * pi)
        return box_mesh(2, ceil(self.settings.points_per_wavelength * waves))

    def features(self, mus: Sequence[Mapping[str, float]]) -> FloatArray:
        """Return phases: how far wave number, source and speed move the waves."""
        rows = [
            [
                mu["wavenumber"],
                mu["wavenumber"] * mu["source_x"],
                mu["wavenumber"] * mu["source_y"],
                *(mu["wavenumber"] * mu["amplitude"] * self._unit_coefficients(mu)),
            ]
            for mu in mus
        ]
        return np.array(rows)

    def case(self, mu: Mapping[str, float], mesh: ReferenceMesh) -> SteadyCase:
        """Return the waves of one sample."""
        functionals, k = self._functionals(mesh), mu["wavenumber"]
        speed = self._speed(mu, mesh)
        equation = TransportEquation(
            diffusion=np.ones(len(speed)),
            source=_source(functionals.centres, (mu["source_x"], mu["source_y"]), k),
            reaction=-((k / speed) ** 2),
            robin=tuple(Robin(side, constant(0.0), constant(-1j * k)) for side in mesh.names),
        )
        return SteadyCase(
            unknowns=(
                Unknown("pressure_real", "1", "real part of the pressure"),
                Unknown("pressure_imaginary", "1", "imaginary part of the pressure"),
            ),
            equation=equation,
            traits=Traits(dimension=2),
            coefficients=(Coefficient("speed", "1", "wave speed", speed),),
            quantities=(
                Quantity(
                    "mean_intensity",
                    "1",
                    "mean squared modulus of the pressure",
                    lambda u: float(functionals.weights @ (u**2).sum(axis=1)),
                ),
            ),
            context={"wavenumber": k},
        )

    def _speed(self, mu: Mapping[str, float], mesh: ReferenceMesh) -> FloatArray:
        field = self._field.evaluate(mu, self._tables(mesh)) / np.linalg.norm(
            self._field.amplitudes
        )
        x, y = self._functionals(mesh).centres.T
        return np.asarray(np.exp(mu["amplitude"] * 16.0 * x * (1 - x) * y * (1 - y) * field))

    def _unit_coefficients(self, mu: Mapping[str, float]) -> FloatArray:
        return self._field.coefficients(mu) / np.linalg.norm(self._field.amplitudes)


def _source(points: FloatArray, centre: tuple[float, float], k: float) -> FloatArray:
    """Return a Gaussian with the integral one, its deviation a quarter of a wavelength."""
    width = 0.25 * 2 * pi / k
    squares = ((points - np.array(centre)) ** 2).sum(axis=1)
    return np.asarray(np.exp(-squares / (2 * width**2)) / (2 * pi * width**2))
