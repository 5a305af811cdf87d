"""Which attempts at a sample are heard, and which endings give it up."""

from collections.abc import Collection
from typing import final

from infra.streaming.client import INCOMPLETE
from infra.streaming.frames import Ending, Hello
from surrogates.arrivals import Design
from surrogates.journal import Journal
from surrogates.ledger import Ledger

__all__ = ["DISCARDED", "Attempts"]

DISCARDED = "discarded"
"""Reason of an attempt that was thrown away and may be made again; see `StreamSink`."""


@final
class Attempts:
    """A sample that was given up is wanted again if a new attempt comes before the end.

    `Intake` guards the calls.

    Parameters
    ----------
    design, ledger, journal
        Of the reception; the journal of the samples that are trained on.
    keep_partial
        Whether frames are handed over before their sample is complete. If not, those of a hole
        may be dropped from the journal, and it is reopened only while none is missing there.
    """

    def __init__(
        self, design: Design, ledger: Ledger, journal: Journal, *, keep_partial: bool
    ) -> None:
        self._design, self._ledger, self._journal = design, ledger, journal
        self._keep_partial = keep_partial
        # The newest attempt of each sample that has said hello to this trainer.
        self._newest: dict[int, int] = {}

    def heard(self, hello: Hello) -> bool:
        """Note an attempt at a known sample; return whether its frames are wanted.

        A hole is heard if the attempt is new: an old one that joins again is what gave it up.
        """
        sample, newest = hello.sample, self._newest.get(hello.sample, -1)
        self._newest[sample] = max(newest, hello.attempt)
        if not self._ledger.settled(sample):
            return True
        hole = self._ledger.hole(sample)
        if hole is None or hello.attempt <= max(newest, hole.attempt) or self._ledger.over:
            return False
        # The trainer's thread may just be dropping such frames from the journal.
        return self._keep_partial or not self._put_off(sample)

    def reason(self, ending: Ending) -> str | None:
        """Return why the sample of an attempt that has ended is given up, if its frames lack.

        None if it is not: it may be tried again, or a newer attempt is under way already.
        """
        late = ending.attempt < self._newest.get(ending.sample, -1)
        if late or (not ending.complete and ending.reason == DISCARDED):
            return None
        return INCOMPLETE if ending.complete else ending.reason or INCOMPLETE

    def reopen(self, failed: Collection[int]) -> None:
        """Want the holes again whose failure record is gone, unless frames of them are, too.

        A hole that never had one was left by its client, for example a user's own loop: nobody
        has said that it will be computed again, and to wait for it might be for ever.
        """
        there = frozenset(self._journal.numbers.tolist())
        for sample in self._ledger.holes.keys() - set(failed):
            hole = self._ledger.hole(sample)
            if hole is None or not hole.recorded:
                continue
            if self._keep_partial or there.issuperset(self._put_off(sample)):
                self._ledger.reopen(sample)

    def _put_off(self, sample: int) -> list[int]:
        """Return the numbers of the frames that are handed over with the last one, if it comes."""
        if sample not in self._design.training:
            return []
        numbers: list[int] = self._ledger.numbers(sample).tolist()
        return numbers
