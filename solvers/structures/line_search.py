r"""A search along Newton's direction on the work of the residual.

With :math:`g(s) = \Delta u \cdot R(u + s \Delta u)`, a step is good once
:math:`-\eta\,g(0) \le g(s) \le g(0)`, and none is longer than Newton's. The full step comes
first; where it is not good, the root of the line through the nearest values around the root is
tried, away from both (Matthies and Strang, 1979, 10.1002/nme.1620141104). Steps where the work
grew, or where R does not exist, are halved.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

__all__ = ["Trial", "search"]

# Slack eta: a tighter one costs more evaluations than it saves iterations (Crisfield's value).
_GOOD = 0.8
_SHORTEST, _LONGEST = 0.05, 1.0
_MOST = 6


@final
@dataclass(frozen=True)
class Trial[T]:
    """A step length that was tried.

    Attributes
    ----------
    length : s
    work : g(s)
    result : what the evaluation gave
    """

    length: float
    work: float
    result: T


def search[T](evaluate: Callable[[float], Trial[T] | None], start: float) -> Trial[T] | None:
    """Return a good step, or else the best of those tried; None if none could be evaluated.

    Parameters
    ----------
    evaluate : returns the trial of a step length, None where the residual does not exist
    start : g(0)
    """
    tried: list[Trial[T]] = []
    length = _LONGEST
    for _ in range(_MOST):
        trial = evaluate(length)
        if trial is None:
            length *= 0.5
        else:
            tried.append(trial)
            share = trial.work / start if start else 0.0
            if -_GOOD <= share <= 1.0:
                return trial
            length = _next(tried, start)
        if length < _SHORTEST or any(length == one.length for one in tried):
            break
    return min(tried, key=lambda one: abs(one.work), default=None)


def _next[T](tried: list[Trial[T]], start: float) -> float:
    """Return the length at which the line from the start to the shortest trial is zero."""
    b, g_b = min((one.length, one.work) for one in tried)
    if g_b * start > 0.0:  # it has grown: go back
        return 0.5 * b
    a, g_a = 0.0, start
    inside = a + (b - a) * g_a / (g_a - g_b)
    return min(max(inside, a + 0.1 * (b - a)), b - 0.1 * (b - a))
