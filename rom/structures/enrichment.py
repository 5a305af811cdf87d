"""Reduced runs that call the full-order solver for single steps, where the indicator asks for it.

After each reduced step the indicator is compared with a tolerance. Above it, the step is made
again by the full-order solver: it starts from the reduced displacement and from internal variables
that are replayed along the reduced path, and what it finds extends the bases, the cubature, the
points and the indicator. The run goes on from the high-fidelity state.

Everything between two steps is in an `EnrichedRun`, which does not change: a run that was stored
and is resumed gives the same bits (`rom.structures.checkpoint`).

The loop after Casenave and Akkari (2019), doi:10.3390/mca24020041, whose abstract gives the idea;
the details are ours.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from rom.structures.enriched_run import EnrichedRun, EnrichmentOptions, StepRecord
from rom.structures.extension import Extension
from rom.structures.full_step import (
    FullOrderStep,
    FullState,
    at_points,
    check_full,
    imbalance,
    replayed,
)
from rom.structures.held_out import relative_error
from rom.structures.model import ReducedStructure
from rom.structures.newton import NewtonOptions
from rom.structures.online import ReducedStepError, advance
from rom.structures.paths import MaterialPoints
from rom.structures.reconstruction import reconstruct, values_at_points
from rom.structures.settings import StructureSettings
from rom.structures.state import ReducedState
from solvers.loads import LoadCase

__all__ = ["Enricher"]

type _Floats = NDArray[np.float64]


@final
class Enricher:
    """Makes the steps of enriched runs.

    Parameters
    ----------
    model
        The first model.
    loads
        That act.
    full_step
        The full-order solver.
    options
        When it is called.
    settings
        Of the building of the model.
    newton
        How reduced steps are solved.
    """

    def __init__(
        self,
        model: ReducedStructure,
        loads: LoadCase,
        full_step: FullOrderStep,
        options: EnrichmentOptions,
        settings: StructureSettings,
        newton: NewtonOptions | None = None,
    ) -> None:
        self._case, self._full_step, self._options = loads, full_step, options
        self._newton = newton or NewtonOptions()
        self._points = MaterialPoints(model.mesh, model.law)
        self._extension = Extension(model, settings)
        # Reduced loads of the last version: they change with the model only.
        self._known, self._loads = model, model.loads(loads)

    def run(self, start: EnrichedRun, times: Iterable[float]) -> Iterator[EnrichedRun]:
        """Give the runs after each of some ascending times."""
        run = start
        for time in times:
            run = self.step(run, float(time))
            yield run

    def step(self, run: EnrichedRun, time: float) -> EnrichedRun:
        """Return the run after one more time; the one before is not changed.

        Raises
        ------
        UserError
            If what the full-order solver gives does not fit.
        ReducedStepError
            If the reduced step fails and no high-fidelity step is left.
        """
        self._prepare(run.model)
        left = self._options.budget - run.full_steps
        try:
            state, _ = advance(run.model, self._loads, run.state, time, self._newton)
        except ReducedStepError:
            if left <= 0:
                raise
            return self._enriched(run, None, time, math.inf)
        values = values_at_points(run.model, state, run.indicator.name)
        residual = run.model.dual(run.indicator.name).gappy.residual(values)
        if run.indicator(residual) > self._options.tolerance and left > 0:
            return self._enriched(run, state, time, residual)
        return self._accepted(run, state, residual)

    def displacement(self, run: EnrichedRun) -> _Floats:
        """Return the displacement of a run, (N, 3), mm."""
        self._prepare(run.model)
        return run.model.displacement(run.state.q, self._loads.lift(run.state.time))

    def _prepare(self, model: ReducedStructure) -> None:
        if model is not self._known:
            self._known, self._loads = model, model.loads(self._case)

    def _accepted(self, run: EnrichedRun, state: ReducedState, residual: float) -> EnrichedRun:
        eta = run.indicator(residual)
        trusted = eta <= self._options.tolerance
        record = StepRecord(state.time, "reduced", residual, eta, trusted, math.nan, math.nan)
        return replace(
            run,
            state=state,
            times=np.r_[run.times, state.time],
            coefficients=np.concatenate([run.coefficients, state.q[np.newaxis]]),
            records=(*run.records, record),
        )

    def _enriched(
        self, run: EnrichedRun, reduced: ReducedState | None, time: float, residual: float
    ) -> EnrichedRun:
        restart = self._restart(run)
        away = imbalance(run.model.mesh, self._case, restart)
        full = self._full_step(restart, self._case, time)
        check_full(run.model.mesh, run.model.law.size, time, full)
        error = math.nan if reduced is None else self._error(run, reduced, full)
        model = self._extension.extend(run.model, self._case, full)
        record = StepRecord(
            time, "full", residual, run.indicator(residual), True, error, away
        )  # fmt: skip
        return EnrichedRun(
            model=model,
            indicator=run.indicator.with_pair(residual, error),
            version=run.version + 1,
            state=self._extension.state(model, self._case, full),
            anchor=at_points(self._points, full),
            times=np.empty(0),
            coefficients=np.empty((0, model.rank)),
            records=(*run.records, record),
        )

    def _restart(self, run: EnrichedRun) -> FullState:
        """Return the full state at the run's time, by replaying its path since the anchor."""
        path = [
            run.model.displacement(q, self._loads.lift(float(t)))
            for t, q in zip(run.times, run.coefficients, strict=True)
        ]
        points = replayed(self._points, run.anchor, self._case, run.times.tolist(), path)
        return FullState(
            time=points.time,
            displacement=self.displacement(run),
            stress=points.stress,
            internal=points.internal,
            temperature=points.temperature,
        )

    def _error(self, run: EnrichedRun, reduced: ReducedState, full: FullState) -> float:
        """Return the true error of a reduced step, from the high-fidelity one."""
        name = run.indicator.name
        found = reconstruct(run.model, reduced, name).values
        exact = full.stress if name == "stress" else full.internal[:, run.model.column(name)]
        volumes = run.model.mesh.material_weights
        return relative_error(found, exact, volumes, run.indicator.size)
