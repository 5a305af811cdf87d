"""A law whose points are shared out over processes, all of which get all answers."""

from typing import final

import numpy as np
from numpy.typing import NDArray

from rom.reduction import Reducer, Serial
from solvers.laws.law import Law, LawResponse, LawStep, LocalIntegrationError

__all__ = ["SharedLaw"]

type _Floats = NDArray[np.float64]

_TANGENT = 36


@final
class SharedLaw:
    """Integrates a law; see the module.

    Parameters
    ----------
    law
        The law.
    reducer
        The processes; by default this one alone.
    """

    def __init__(self, law: Law, reducer: Reducer | None = None) -> None:
        self._law, self._reducer = law, reducer or Serial()

    def integrate(self, step: LawStep) -> LawResponse:
        """Return the answer at all points, the same bits on all processes.

        Parameters
        ----------
        step
            At all points, the same on all processes.

        Raises
        ------
        LocalIntegrationError
            On all processes, if the law has no answer at a point of one.
        """
        if self._reducer.size == 1:
            return self._law.integrate(step)
        n, s = step.state.shape
        # One row per point: stress, tangent, state; then who failed, and iterations.
        rows = np.zeros((n, 6 + _TANGENT + s))
        told = np.zeros((self._reducer.size, 2))
        rank = self._reducer.rank
        here = slice(n * rank // self._reducer.size, n * (rank + 1) // self._reducer.size)
        try:
            if here.start < here.stop:
                response = self._law.integrate(_part(step, here))
                rows[here], told[rank, 1] = _flat(response), response.iterations
        except LocalIntegrationError as error:
            told[rank, 0] = max(len(error.points), 1)
        return self._answer(self._reducer.sum(np.r_[rows.ravel(), told.ravel()]), n, s)

    def _answer(self, received: _Floats, n: int, s: int) -> LawResponse:
        failed, iterations = received[-2 * self._reducer.size :].reshape(-1, 2).T
        if failed.any():
            raise LocalIntegrationError(
                f"law {self._law.name}: expected answers at all {n} points, there are none at "
                f"{failed.sum():.0f} of them; use a smaller step",
                np.empty(0, np.int64),
            )
        rows = received[: n * (6 + _TANGENT + s)].reshape(n, -1)
        stress, tangent, state = np.split(rows, [6, 6 + _TANGENT], axis=1)
        return LawResponse(
            stress=np.ascontiguousarray(stress),
            tangent=tangent.reshape(n, 6, 6),
            state=np.ascontiguousarray(state),
            iterations=int(iterations.max()),
        )


def _part(step: LawStep, here: slice) -> LawStep:
    return LawStep(
        strain_before=step.strain_before[here],
        strain_after=step.strain_after[here],
        temperature_before=step.temperature_before[here],
        temperature_after=step.temperature_after[here],
        state=step.state[here],
        duration=step.duration,
    )


def _flat(response: LawResponse) -> _Floats:
    n = len(response.stress)
    return np.concatenate(
        [response.stress, response.tangent.reshape(n, _TANGENT), response.state], axis=1
    )
