"""What a trainer that starts again knows: the ledger of its checkpoint, and the journals since."""

from typing import final

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError
from surrogates.arrivals import Design
from surrogates.journal import Journal
from surrogates.ledger import Ledger
from surrogates.states import State

__all__ = ["Recovery"]


@final
class Recovery:
    """Brings a ledger up to what the journals say.

    Parameters
    ----------
    design
        What may come.
    ledger
        A new one.
    journal, held_out
        Of the samples that are trained on, and of those that validate.
    """

    def __init__(self, design: Design, ledger: Ledger, journal: Journal, held_out: Journal) -> None:
        self._design, self._ledger, self._journals = design, ledger, (journal, held_out)

    def run(self, state: State) -> None:
        """Restore a checkpoint's ledger (empty: there is none), then add what came since.

        Raises
        ------
        UserError
            If the checkpoint or a journal is of another study, or frames are missing.
        """
        ledger = self._ledger
        if state:
            ledger.restore(state)
        frames = [record for journal in self._journals for record in journal.frames()]
        for record in sorted(frames, key=lambda record: record.number):
            if record.number == len(ledger):
                ledger.reopen(record.key.sample)  # a hole at the checkpoint, not later
                ledger.accept(record.key, record.digest, record.seconds)
            elif record.number > len(ledger):
                raise UserError(
                    f"Expected frame {len(ledger)} in {self._journals[0].folder}; the next one "
                    f"there is {record.number}. Start from the newest checkpoint of this run."
                )
        for journal in self._journals:
            for sample, hole in journal.hole_records().items():
                ledger.close(sample, hole)

    def untaken(self, admitted: NDArray[np.int64], *, keep_partial: bool) -> list[int]:
        """Return the numbers of the arrivals to train on that were not taken before.

        Parameters
        ----------
        admitted
            Numbers of those that were.
        keep_partial
            Whether the frames of samples that are not complete are taken.
        """
        lines, training = self._ledger.lines, self._design.training
        wanted = np.isin(lines["sample"], sorted(training))
        wanted[admitted] = False
        if not keep_partial:
            whole = [sample for sample in training if self._ledger.complete(sample)]
            wanted &= np.isin(lines["sample"], whole)
        numbers: list[int] = np.flatnonzero(wanted).tolist()
        return numbers

    def held_out(self) -> list[int]:
        """Return the samples to validate with that are complete, in order."""
        return [s for s in sorted(self._design.validation) if self._ledger.complete(s)]
