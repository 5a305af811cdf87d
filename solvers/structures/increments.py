"""Reaching a time by increments: one that fails is halved, and easy ones let them grow again.

Plain Python. Nothing is remembered from one time to the next, so that what follows a state depends
on that state alone.
"""

from collections.abc import Callable

from solvers.structures.errors import IncrementError, LoadStepError
from solvers.structures.state import StructureState

__all__ = ["reach"]

# A rest of this part of an increment is not left for another one.
_SLACK = 1e-9


def reach(
    state: StructureState,
    end: float,
    solve: Callable[[StructureState, float], StructureState],
    max_cuts: int,
) -> tuple[StructureState, int, int]:
    """Go from a state to a time.

    Parameters
    ----------
    state : where to start
    end : time to reach, s
    solve : returns the state at a time from the one before, or raises `IncrementError`
    max_cuts : the smallest increment is 2^-max_cuts of the whole

    Returns
    -------
    state : at `end`
    increments, cuts : solved, and halved

    Raises
    ------
    LoadStepError
        If the smallest increment fails; it has the last state that was reached.
    """
    whole = end - state.time
    halvings, increments, cuts = 0, 0, 0
    while state.time < end:
        length = whole * 0.5**halvings
        left = end - state.time
        target = end if left <= length * (1.0 + _SLACK) else state.time + length
        try:
            state = solve(state, target)
        except IncrementError as error:
            if halvings >= max_cuts:
                raise _stopped(state, end, length, halvings, error) from error
            halvings, cuts = halvings + 1, cuts + 1
        else:
            increments += 1
            # One success is no proof: the next increment may be longer only after an even number.
            halvings -= int(halvings > 0 and increments % 2 == 0)
    return state, increments, cuts


def _stopped(
    state: StructureState, end: float, length: float, halvings: int, error: IncrementError
) -> LoadStepError:
    return LoadStepError(
        f"the step to t = {end:g} s stopped at t = {state.time:g} s: expected that an increment of "
        f"{length:.3g} s, halved {halvings} times, can be solved; received: {error}. Give more "
        "output times around this one, allow more cuts (max_cuts), or check loads and law there.",
        state,
    )
