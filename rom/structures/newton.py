r"""One implicit step of a reduced structure: Newton's method in the coefficients of the modes.

.. math::
   r(q) = F(t) - \sum_k w_k B_k^T \sigma_k(q), \qquad
   A = \sum_k w_k B_k^T C_k B_k, \qquad A\,\Delta q = r,

with a line search on :math:`\|r\|`. It ends when

.. math:: \|r\| \le \epsilon \max(\|F\|, \|F_{int}\|, \|F_{th}\|),

where :math:`F_{th} = \sum_k w_k B_k^T C^e \varepsilon^{th}_k` is the size of thermal forces: with
thermal loads alone, the first two vanish at equilibrium. So they do where only supports move; then
:math:`\sum_k w_k \|B_{ki}\| \|\sigma_k\|` counts too. F and :math:`F_{th}` are the larger ones
of both ends of the step, and never less than the forces of a strain of 1e-6: after unloading,
nothing else has a size.

With several processes each evaluates the law at its share of the points, and all get all answers;
the rest is small, and all do the same (`rom.structures.shared_law`).
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from rom.reduction import Reducer
from rom.structures.model import ReducedStructure
from rom.structures.reduced_loads import ReducedLoads
from rom.structures.shared_law import SharedLaw
from rom.structures.state import ReducedState, StepReport
from solvers.laws.law import LawResponse, LawStep, LocalIntegrationError

__all__ = ["NewtonOptions", "newton_step"]

type _Floats = NDArray[np.float64]

_SMALL_STRAIN = 1e-6


@final
@dataclass(frozen=True)
class NewtonOptions:
    """How steps are solved.

    Attributes
    ----------
    tolerance
        epsilon.
    iterations
        At most so many per step.
    halvings
        Of the length of a correction in the line search.
    cuts
        How often a step may be halved.
    """

    tolerance: float = 1e-8
    iterations: int = 25
    halvings: int = 4
    cuts: int = 6


@final
@dataclass(frozen=True, eq=False)
class _Trial:
    """Coefficients, what the law says there, and the residual with its relative size."""

    q: _Floats
    response: LawResponse
    residual: _Floats
    relative: float


@final
class _Step:
    """What stays the same during a step."""

    def __init__(
        self,
        model: ReducedStructure,
        loads: ReducedLoads,
        state: ReducedState,
        time: float,
        reducer: Reducer | None,
    ) -> None:
        self._model, self._before, self._time = model, state, time
        self._law = SharedLaw(model.law, reducer)
        self._force = loads.force(time)
        self._lift = loads.lift(time)
        self._strain_before = model.strain(state.q, loads.lift(state.time))
        self._temperatures = loads.temperature(state.time), loads.temperature(time)
        outer = (self._force, loads.force(state.time))
        self._scale = max(
            *(float(np.linalg.norm(force)) for force in outer),
            *(_thermal_force(model, temperature) for temperature in self._temperatures),
            _small_force(model, self._temperatures[1]),
        )
        self.evaluations = 0

    def trial(self, q: _Floats) -> _Trial | None:
        """Return the state at q; None where the law has no answer."""
        model = self._model
        self.evaluations += len(model.places)
        strain = model.strain(q, self._lift)
        step = LawStep(
            strain_before=self._strain_before,
            strain_after=strain,
            temperature_before=self._temperatures[0],
            temperature_after=self._temperatures[1],
            state=self._before.internal,
            duration=self._time - self._before.time,
        )
        try:
            response = self._law.integrate(step)
        except LocalIntegrationError:
            return None
        stress = response.stress[: model.integration_points].reshape(-1)
        inner = model.weighted @ stress
        residual = self._force - inner
        size = max(self._scale, float(np.linalg.norm(inner)))
        if self._lift.any():
            norms = np.linalg.norm(stress.reshape(-1, 6), axis=1)
            size = max(size, float(np.linalg.norm(model.weighted_norms @ norms)))
        relative = float(np.linalg.norm(residual)) / size
        return _Trial(q, response, residual, relative) if np.isfinite(relative) else None

    def correction(self, trial: _Trial) -> _Floats | None:
        """Return Newton's correction; None where the tangent is singular."""
        model, m = self._model, self._model.integration_points
        slopes = trial.response.tangent[:m] @ model.strains[:m]
        tangent = model.weighted @ slopes.reshape(-1, model.rank)
        try:
            found = np.linalg.solve(tangent, trial.residual)
        except np.linalg.LinAlgError:
            return None
        return found if np.isfinite(found).all() else None

    def searched(self, trial: _Trial, correction: _Floats, halvings: int) -> _Trial | None:
        """Return the first trial along a correction that is better, or the best."""
        best: _Trial | None = None
        for halving in range(halvings + 1):
            new = self.trial(trial.q + correction * 0.5**halving)
            if new is not None and (best is None or new.relative < best.relative):
                best = new
            if best is not None and best.relative < trial.relative:
                break
        return best


def newton_step(
    model: ReducedStructure,
    loads: ReducedLoads,
    state: ReducedState,
    time: float,
    options: NewtonOptions,
    reducer: Reducer | None = None,
) -> tuple[ReducedState | None, StepReport]:
    """Return the state at `time` after one implicit step, or None if it was not found.

    Parameters
    ----------
    model, loads
        The reduced structure and what acts on it.
    state
        Before the step.
    time
        After it, s.
    options
        Tolerance and limits.
    reducer
        Processes that share the points; by default this one alone.
    """
    step = _Step(model, loads, state, time, reducer)
    trial, iterations = step.trial(state.q), 0
    while trial is not None and trial.relative > options.tolerance:
        if iterations == options.iterations:
            break
        correction = step.correction(trial)
        if correction is None:
            break
        trial = step.searched(trial, correction, options.halvings)
        iterations += 1
    residual = np.inf if trial is None else trial.relative
    report = StepReport(iterations, step.evaluations, 0, residual)
    if trial is None or residual > options.tolerance:
        return None, report
    after = ReducedState(time, trial.q, trial.response.stress, trial.response.state)
    return after, report


def _thermal_force(model: ReducedStructure, temperature: _Floats) -> float:
    own = temperature[: model.integration_points]
    elasticity = model.law.elasticity
    stress = elasticity.moduli(own).stress(elasticity.thermal_strain(own))
    return float(np.linalg.norm(model.weighted @ stress.reshape(-1)))


def _small_force(model: ReducedStructure, temperature: _Floats) -> float:
    """Return the size of the forces of a volumetric strain of 1e-6."""
    strain = np.zeros((model.integration_points, 6))
    strain[:, :3] = _SMALL_STRAIN
    stress = model.law.elasticity.moduli(temperature[: len(strain)]).stress(strain)
    return float(np.linalg.norm(model.weighted_norms @ np.linalg.norm(stress, axis=1)))
