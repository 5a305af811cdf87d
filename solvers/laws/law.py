"""The interface of constitutive laws: one implicit step at many material points at once.

Strains that go in are total strains; a law subtracts its thermal strain itself. Every state is
explicit: it goes in with `LawStep` and comes out with `LawResponse`, so that a step can be
repeated, cut or restarted at will.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar, final

import numpy as np

from infra.errors import RomflowError, UserError
from solvers.laws.elasticity import Elasticity
from solvers.mesh import FloatArray, IntArray

__all__ = ["Law", "LawResponse", "LawStep", "LocalIntegrationError", "Variable"]

# Squares of larger strains, which only a diverging solution has, leave the floating-point numbers.
_LARGEST = 1e100


@final
class LocalIntegrationError(RomflowError):
    """The local equations could not be solved at some points.

    Parameters
    ----------
    message : what happened and what to do
    points : (m,) numbers of these points in the arrays of the step
    """

    def __init__(self, message: str, points: IntArray) -> None:
        super().__init__(message, points)
        self.points = points

    def __str__(self) -> str:
        return str(self.args[0])


@final
@dataclass(frozen=True)
class Variable:
    """An internal variable, for example ``Variable("plastic_strain", 6, "1")``.

    Attributes
    ----------
    name : a Python identifier
    components : 1 for a number, 6 for a symmetric tensor in Mandel components
    unit : ``"1"`` if dimensionless
    """

    name: str
    components: int
    unit: str


@final
@dataclass(frozen=True)
class LawStep:
    """What happens to n material points in one step of time.

    Attributes
    ----------
    strain_before, strain_after : (n, 6) total strains, Mandel components
    temperature_before, temperature_after : (n,) degrees Celsius
    state : (n, s) internal variables before the step
    duration : seconds, not negative
    """

    strain_before: FloatArray
    strain_after: FloatArray
    temperature_before: FloatArray
    temperature_after: FloatArray
    state: FloatArray
    duration: float


@final
@dataclass(frozen=True)
class LawResponse:
    """What a law answers to a step.

    Attributes
    ----------
    stress : (n, 6) at the end of the step, Mandel components, MPa
    tangent : (n, 6, 6) derivative of the stress with respect to the strain after the step, MPa
    state : (n, s) internal variables after the step
    iterations : most Newton iterations of a point; 0 if none were needed
    """

    stress: FloatArray
    tangent: FloatArray
    state: FloatArray
    iterations: int


class Law(ABC):
    """A constitutive law with small strains.

    Attributes
    ----------
    elasticity : the elastic and thermal part
    name : as a study or a model card names it
    symmetric : whether tangents are symmetric; if not, use their symmetric part for solvers that
        need symmetry (Newton still converges, more slowly)
    variables : the internal variables in the order of their columns
    """

    name: ClassVar[str]
    symmetric: ClassVar[bool]
    variables: ClassVar[tuple[Variable, ...]]
    elasticity: Elasticity

    @property
    def reference_temperature(self) -> float:
        """Temperature without thermal strain, degrees Celsius."""
        return self.elasticity.reference_temperature

    @property
    def size(self) -> int:
        """Number of columns of the state."""
        return sum(variable.components for variable in self.variables)

    def initial_state(self, points: int) -> FloatArray:
        """Return the state (points, s) of virgin material."""
        return np.zeros((points, self.size))

    def column(self, name: str) -> slice:
        """Return the columns of an internal variable.

        Raises
        ------
        UserError
            If the law has no such variable; the message lists those that it has.
        """
        names = [variable.name for variable in self.variables]
        if name not in names:
            known = ", ".join(names) or "no internal variable"
            raise UserError(f"law {self.name}: expected one of {known}, received {name!r}")
        ends = list(accumulate(variable.components for variable in self.variables))
        place = names.index(name)
        return slice(ends[place] - self.variables[place].components, ends[place])

    def thermal_strain(self, temperature: FloatArray) -> FloatArray:
        """Return the thermal strain (n, 6) at temperatures (n,), degrees Celsius."""
        return self.elasticity.thermal_strain(temperature)

    @final
    def integrate(self, step: LawStep) -> LawResponse:
        """Integrate the law over a step by backward Euler.

        Coefficients are those at the temperature of the end of the step.

        Raises
        ------
        UserError
            If the shapes of the step do not fit together or its duration is impossible.
        LocalIntegrationError
            If a strain or temperature is not finite, or local equations do not converge.
        """
        self._check(step)
        return self._integrate(step)

    @abstractmethod
    def stored_energy(
        self, strain: FloatArray, temperature: FloatArray, state: FloatArray
    ) -> FloatArray:
        """Return the free energy (n,) in MPa: elastic, and stored by hardening.

        Parameters
        ----------
        strain : (n, 6) total
        temperature : (n,) degrees Celsius
        state : (n, s)
        """

    @abstractmethod
    def dissipation(self, step: LawStep, response: LawResponse) -> FloatArray:
        """Return the energy (n,) in MPa that the step turned into heat.

        Implicit rule: the forces at the end of the step times the increments of the internal
        variables. It is never negative.
        """

    @abstractmethod
    def _integrate(self, step: LawStep) -> LawResponse:
        """Integrate a step that has been checked."""

    def _check(self, step: LawStep) -> None:
        n = len(step.state)
        expected = {
            "strain_before": (n, 6),
            "strain_after": (n, 6),
            "temperature_before": (n,),
            "temperature_after": (n,),
            "state": (n, self.size),
        }
        for name, shape in expected.items():
            received = np.shape(getattr(step, name))
            if received != shape:
                raise UserError(
                    f"law {self.name}: {name}: expected shape {shape}, received {received}; all "
                    "arrays of a step hold the same points, and the state is one of this law"
                )
        if not 0.0 <= step.duration < np.inf:
            raise UserError(
                f"law {self.name}: duration: expected finite seconds, not negative, received "
                f"{step.duration}"
            )
        _require_finite(self.name, step)


def _require_finite(name: str, step: LawStep) -> None:
    strain, warm = np.abs(step.strain_after), np.abs(step.temperature_after)
    # NaN is not smaller either. Only a step that fails pays for finding where.
    if strain.max(initial=0.0) < _LARGEST and warm.max(initial=0.0) < _LARGEST:
        return
    fine = (strain < _LARGEST).all(axis=1) & (warm < _LARGEST)
    bad = np.flatnonzero(~fine).astype(np.int64)
    raise LocalIntegrationError(
        f"law {name}: expected finite strains and temperatures, received others at "
        f"{len(bad)} of {len(fine)} points (first: {bad[0]}); use a smaller step",
        bad,
    )
