"""A client that is gone, played from its spool, so that the application sees no difference."""

import time
from collections import deque
from collections.abc import Set
from typing import final

from infra.streaming.frames import Verdict
from infra.streaming.leftovers import Leftover
from infra.streaming.reception import Reception
from infra.streaming.sessions import Peer

__all__ = ["LeftoverPeer"]


@final
class LeftoverPeer(Peer):
    """Says hello, hands over its frames as credits allow, ends, and deletes its files.

    Parameters
    ----------
    leftover
        What the client has left.
    """

    def __init__(self, leftover: Leftover) -> None:
        super().__init__((0, leftover.spec.n_values))
        self._leftover = leftover
        self._queue: deque[int] = deque(leftover.steps)
        self._flying: set[int] = set()
        self._sent = self._allowed = 0
        self._greeted = self._welcomed = self._ending_sent = False
        self.over = False
        self.last_step = max(leftover.steps, default=-1)

    def pump(self, reception: Reception) -> None:
        """Do what can be done now."""
        self.seen = time.monotonic()
        if not self._greeted:
            self._greeted = True
            reception.hello(self, self._leftover.hello)
        elif self.session is None and not self.over:
            self.close()  # a client of this attempt has come back, or was forgotten
        elif self._welcomed:
            self._hand_over(reception)
            if not self._queue and not self._flying and not self.over:
                self._end(reception)
        if self.over:
            reception.leave(self)

    def close(self) -> None:
        """Leave the files to the next source."""
        self.over = True
        self._leftover.close()

    def welcome(self, verdict: Verdict, held: Set[int], answered: int, allowed: int) -> None:
        """Take in the answer to the hello."""
        if verdict is Verdict.STALE:
            self.close()
        elif verdict is Verdict.ACCEPTED:
            self._welcomed = True
            self._sent, self._allowed = answered, allowed
            self._queue = deque(step for step in self._queue if step not in held)
            self.goal = self._sent + len(self._queue)
        else:
            self._remove()

    def answer(self, step: int, verdict: Verdict) -> None:
        """Take in the answer to a frame."""
        self._flying.discard(step)
        if verdict is Verdict.STALE:
            self._queue.appendleft(step)
            self.goal = self._sent + len(self._queue)

    def allow(self, frames: int) -> None:
        """Take in how many frames may have been sent."""
        self._allowed = frames

    def ended(self, verdict: Verdict) -> None:
        """Take in the answer to the ending."""
        if verdict is Verdict.STALE:
            self._ending_sent = False
        else:
            self._remove()

    def _hand_over(self, reception: Reception) -> None:
        while self._queue and self._sent < self._allowed:
            step = self._queue.popleft()
            frame = self._leftover.read(step)
            self._sent += 1
            self._flying.add(step)
            if frame is None:
                reception.give_up(self, step)  # damaged: another attempt has to compute it
            else:
                reception.frames(self, [(step, frame.digest, frame.values)])

    def _end(self, reception: Reception) -> None:
        ending = self._leftover.ending
        if ending is None:
            self._remove()
        elif not self._ending_sent:
            self._ending_sent = True
            reception.ending(self, ending.complete, ending.reason)

    def _remove(self) -> None:
        self.over = True
        self._leftover.remove()
