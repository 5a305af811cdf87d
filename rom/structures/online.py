"""Runs of a reduced structure: steps that are cut where they fail, from any state on."""

from collections.abc import Iterable, Iterator
from typing import final

from infra.errors import RomflowError, UserError
from rom.reduction import Reducer
from rom.structures.model import ReducedStructure
from rom.structures.newton import NewtonOptions, newton_step
from rom.structures.reduced_loads import ReducedLoads
from rom.structures.state import ReducedState, StepReport

__all__ = ["ReducedStepError", "advance", "run"]


@final
class ReducedStepError(RomflowError):
    """The smallest step failed.

    Attributes
    ----------
    state
        The last one that was reached: a run can go on from it with other settings.
    """

    def __init__(self, message: str, state: ReducedState) -> None:
        super().__init__(message, state)
        self.state = state

    def __str__(self) -> str:
        return str(self.args[0])


def advance(
    model: ReducedStructure,
    loads: ReducedLoads,
    state: ReducedState,
    time: float,
    options: NewtonOptions | None = None,
    reducer: Reducer | None = None,
) -> tuple[ReducedState, StepReport]:
    """Return the state at a later time; the one before is not changed.

    A step that fails is halved; after each half that succeeded the rest is tried at once.

    Parameters
    ----------
    model, loads
        The reduced structure and what acts on it, `ReducedStructure.loads`.
    state
        Before the step.
    time
        After it, s.
    options
        Of Newton's method.
    reducer
        Processes that share the model's points, each with the same arguments; by default this one
        alone. All get the same bits.

    Raises
    ------
    UserError
        If the time is not later, or the state is one of another model.
    ReducedStepError
        If the smallest step fails; it holds the last state.
    """
    options = options or NewtonOptions()
    _check(model, state, time)
    least = (time - state.time) / 2**options.cuts
    goal, iterations, evaluations, cuts = time, 0, 0, 0
    while True:
        after, report = newton_step(model, loads, state, goal, options, reducer)
        iterations += report.iterations
        evaluations += report.evaluations
        if after is not None:
            state, goal = after, time
            if after.time == time:
                return state, StepReport(iterations, evaluations, cuts, report.residual)
            continue
        half = (goal - state.time) / 2
        if half < 0.999 * least:
            raise ReducedStepError(_failed(state, goal, report), state)
        goal, cuts = state.time + half, cuts + 1


def run(
    model: ReducedStructure,
    loads: ReducedLoads,
    state: ReducedState,
    times: Iterable[float],
    options: NewtonOptions | None = None,
    reducer: Reducer | None = None,
) -> Iterator[tuple[ReducedState, StepReport]]:
    """Give the states at ascending times after that of `state`, one after the other."""
    for time in times:
        state, report = advance(model, loads, state, float(time), options, reducer)
        yield state, report


def _check(model: ReducedStructure, state: ReducedState, time: float) -> None:
    if not time > state.time:
        raise UserError(
            f"Expected a time after that of the state, {state.time:g} s; received {time:g} s."
        )
    expected = (model.rank,), (len(model.places), model.law.size)
    if (state.q.shape, state.internal.shape) != expected:
        raise UserError(
            f"Expected a state of this model, shapes {expected}; received {state.q.shape} and "
            f"{state.internal.shape}. After an enrichment states are transferred, see "
            "`rom.structures.enrichment`."
        )


def _failed(state: ReducedState, goal: float, report: StepReport) -> str:
    return (
        f"Expected a step from t = {state.time:g} s to {goal:g} s to converge; after "
        f"{report.iterations} iterations the residual is {report.residual:.3g} of the loads. The "
        "loads may be far from the training's, or the step too large: add a run with such loads, "
        "or give more times. The last state is kept in this error."
    )
