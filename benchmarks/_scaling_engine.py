"""Events in the order of their times, and what they wait for: the pure parts of `scaling`."""

import heapq
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, final

__all__ = ["Calls", "Events", "Own", "Place", "Server", "Shared", "Ticks"]

type Action = Callable[..., None]


@final
class Events:
    """A queue of things that happen; those of equal time happen in the order of their entry.

    Attributes
    ----------
    now : time of the present event, seconds
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._heap: list[tuple[float, int, Action, tuple[Any, ...]]] = []
        self._count = 0

    def at(self, time: float, action: Action, *values: Any) -> None:
        """Let ``action(*values)`` happen at a time, which is not before now."""
        self._count += 1
        heapq.heappush(self._heap, (time, self._count, action, values))

    def run(self) -> float:
        """Let everything happen; return the time of the last event."""
        heap, pop = self._heap, heapq.heappop
        while heap:
            self.now, _, action, values = pop(heap)
            action(*values)
        return self.now


@final
class Server:
    r"""Something shared that serves one after another, in the order of arrival.

    .. math:: d_i = \max(a_i, d_{i-1}) + s_i

    with the times of arrival :math:`a_i` and of departure :math:`d_i` and the service :math:`s_i`
    (Lindley's recursion). Its throughput is at most :math:`1/s`.

    Attributes
    ----------
    busy : seconds of service
    waited : seconds that all have waited for their turn, together
    """

    def __init__(self) -> None:
        self.busy = 0.0
        self.waited = 0.0
        self._free = 0.0

    def serve(self, now: float, seconds: float) -> float:
        """Return when someone who comes now leaves; calls come in the order of their times."""
        begin = self._free if self._free > now else now
        self.busy += seconds
        self.waited += begin - now
        self._free = begin + seconds
        return self._free


@final
class Calls:
    """A caller with a limited rate; all that came since its last call goes with the next one.

    Parameters
    ----------
    gather : seconds between the first request and its call
    period : least seconds between two calls
    """

    def __init__(self, gather: float, period: float) -> None:
        self._gather, self._period = gather, period
        self._next = float("-inf")

    def serve(self, now: float) -> float:
        """Return when the call is made with which a request of now goes."""
        if now > self._next:
            self._next = max(now + self._gather, self._next + self._period)
        return self._next


@final
class Ticks:
    r"""Someone who looks at regular times :math:`t_0 + n p` only.

    Parameters
    ----------
    period : p, seconds; 0 if somebody looks all the time
    begin : :math:`t_0`
    """

    def __init__(self, period: float, begin: float) -> None:
        self._period, self._begin = period, begin

    def serve(self, now: float) -> float:
        """Return when what comes now is seen."""
        if self._period <= 0.0:
            return now
        ticks = math.ceil((now - self._begin) / self._period)
        return max(self._begin + ticks * self._period, now)


class Place(ABC):
    """Where processes run."""

    @abstractmethod
    def work(self, begin: float, seconds: float, then: Action, *values: Any) -> None:
        """Let ``then(*values)`` happen when work is done that alone would take these seconds."""


@final
class Own(Place):
    """A node for one chunk alone: nothing else runs there."""

    def __init__(self, events: Events) -> None:
        self._events = events

    def work(self, begin: float, seconds: float, then: Action, *values: Any) -> None:
        """Work at full speed; see `Place.work`."""
        self._events.at(begin + seconds, then, *values)


@final
class Shared(Place):
    r"""A machine whose cores are shared evenly by whoever works (processor sharing).

    Each of k processes runs at the speed

    .. math:: r(k) = r_k \text{ for } k \le C, \qquad r(k) = r_C\, C / k \text{ for } k > C

    of one that runs alone. What is measured are the :math:`r_k` (memory and caches are shared even
    where cores are not); C is the number of cores that are free for them.

    Parameters
    ----------
    events : the queue
    speeds : :math:`r_1, r_2, ...`, one for each whole core
    cores : C; less than the number of speeds if other processes need a part of a core
    """

    def __init__(self, events: Events, speeds: Sequence[float], cores: float) -> None:
        self._events, self._speeds, self._cores = events, tuple(speeds), cores
        self._heap: list[tuple[float, int, Action, tuple[Any, ...]]] = []
        self._done, self._last, self._count, self._version = 0.0, 0.0, 0, 0

    def work(self, begin: float, seconds: float, then: Action, *values: Any) -> None:
        """Share the cores from `begin` on; see `Place.work`."""
        self._events.at(begin, self._enter, seconds, then, values)

    def speed(self, processes: int) -> float:
        """Return the speed of each of so many processes."""
        own = self._speeds[min(processes, len(self._speeds)) - 1]
        return own * min(1.0, self._cores / processes)

    def _enter(self, seconds: float, then: Action, values: tuple[Any, ...]) -> None:
        self._advance()
        self._count += 1
        heapq.heappush(self._heap, (self._done + seconds, self._count, then, values))
        self._plan()

    def _advance(self) -> None:
        """Bring what each process has done up to now; it is the same for all of them."""
        now = self._events.now
        if self._heap:
            self._done += (now - self._last) * self.speed(len(self._heap))
        self._last = now

    def _plan(self) -> None:
        """Plan the next end; what was planned before is void."""
        self._version += 1
        if self._heap:
            left = max(self._heap[0][0] - self._done, 0.0)
            end = self._events.now + left / self.speed(len(self._heap))
            self._events.at(end, self._leave, self._version)

    def _leave(self, version: int) -> None:
        if version != self._version:
            return
        self._advance()
        _, _, then, values = heapq.heappop(self._heap)
        self._plan()
        then(*values)
