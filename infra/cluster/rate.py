"""A limit on how often something is done: a bucket of tokens that fills slowly."""

import threading
import time
from collections.abc import Callable
from typing import final

__all__ = ["RateLimit"]


@final
class RateLimit:
    """Lets callers pass at most `burst` times at once, and `per_minute` times in the long run.

    In any minute at most ``burst + per_minute`` calls pass.

    Parameters
    ----------
    burst, per_minute : see above
    clock : gives the time, seconds
    wait : waits for some seconds
    """

    def __init__(
        self,
        burst: int = 15,
        per_minute: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._burst, self._per_second = float(burst), per_minute / 60.0
        self._clock, self._sleep = clock, wait
        self._tokens, self._last = float(burst), clock()
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Wait for a turn."""
        with self._lock:
            self._fill()
            if self._tokens < 1.0:
                self._sleep((1.0 - self._tokens) / self._per_second)
                self._fill()
            self._tokens -= 1.0

    def _fill(self) -> None:
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._last) * self._per_second)
        self._last = now
