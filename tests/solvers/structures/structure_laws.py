"""Laws that are harder on the solver than those of the library, for tests and their MPI jobs."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from solvers.laws.elasticity import Elasticity
from solvers.laws.law import Law, LawResponse, LawStep, LocalIntegrationError, Variable
from solvers.mesh import FloatArray


@final
@dataclass(frozen=True)
class Brittle(Law):
    """Another law that gives up where the strain changes by more than `most` in a step."""

    name: ClassVar[str] = "brittle"
    symmetric: ClassVar[bool] = True
    variables: ClassVar[tuple[Variable, ...]] = ()
    elasticity: Elasticity
    inner: Law
    most: float

    def stored_energy(
        self, strain: FloatArray, temperature: FloatArray, state: FloatArray
    ) -> FloatArray:
        return self.inner.stored_energy(strain, temperature, state)

    def dissipation(self, step: LawStep, response: LawResponse) -> FloatArray:
        return self.inner.dissipation(step, response)

    def _integrate(self, step: LawStep) -> LawResponse:
        change = np.abs(step.strain_after - step.strain_before).max(axis=1)
        bad = np.flatnonzero(change > self.most).astype(np.int64)
        if len(bad):
            raise LocalIntegrationError("the strain changes too much; use a smaller step", bad)
        return self.inner.integrate(step)


@final
@dataclass(frozen=True)
class Saturating(Law):
    r"""Elastic without a history, :math:`\sigma = E \epsilon / \sqrt{1 + |\epsilon|^2 / s^2}`.

    Newton's method overshoots from where it is soft to where it is soft on the other side, and
    back again, each time farther.
    """

    name: ClassVar[str] = "saturating"
    symmetric: ClassVar[bool] = True
    variables: ClassVar[tuple[Variable, ...]] = ()
    elasticity: Elasticity
    strain: float

    def stored_energy(
        self, strain: FloatArray, temperature: FloatArray, state: FloatArray
    ) -> FloatArray:
        raise NotImplementedError

    def dissipation(self, step: LawStep, response: LawResponse) -> FloatArray:
        raise NotImplementedError

    def _integrate(self, step: LawStep) -> LawResponse:
        strain, young = step.strain_after, self.elasticity.young.at(step.temperature_after)
        root = np.sqrt(1.0 + np.einsum("ni,ni->n", strain, strain) / self.strain**2)
        secant = (young / root)[:, None]
        outer = np.einsum("ni,nj->nij", strain, strain) / (self.strain * root)[:, None, None] ** 2
        tangent = secant[:, :, None] * (np.eye(6) - outer)
        return LawResponse(secant * strain, tangent, step.state, 0)
