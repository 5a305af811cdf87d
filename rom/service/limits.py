r"""How many requests one caller may make: a bucket of tokens for each.

A bucket holds at most b tokens and gains r of them per second; a request takes one. In any time
span T a caller thus makes at most :math:`b + r T` requests.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import final

__all__ = ["TokenBuckets"]

# So many callers are remembered; a forgotten one starts with a full bucket.
_CALLERS = 10_000


@final
class TokenBuckets:
    """See the module.

    Parameters
    ----------
    rate
        r, per second.
    burst
        b, at least 1.
    clock
        Gives seconds, never less than before.
    """

    def __init__(self, rate: float, burst: int, clock: Callable[[], float]) -> None:
        self._rate, self._burst, self._clock = rate, float(burst), clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> float:
        """Take one token, and return 0; or return the seconds until there is one."""
        now = self._clock()
        tokens, then = self._buckets.pop(caller, (self._burst, now))
        tokens = min(self._burst, tokens + (now - then) * self._rate)
        wait = 0.0 if tokens >= 1.0 else (1.0 - tokens) / self._rate
        self._buckets[caller] = (tokens if wait else tokens - 1.0, now)
        if len(self._buckets) > _CALLERS:
            self._buckets.popitem(last=False)
        return wait
