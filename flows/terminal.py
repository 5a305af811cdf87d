"""Where commands print: a console of rich that knows what a closed pipe means."""

import sys
from typing import final

from rich.console import Console

from flows.endings import NOBODY_READS, drop

__all__ = ["Terminal"]


@final
class Terminal(Console):
    """Ends the command when nobody reads its output; goes on when nobody reads its progress.

    By itself rich ends the program in both cases, with the exit code of an incomplete dataset.
    """

    def on_broken_pipe(self) -> None:
        """Drop the rest; end the command if it was its output."""
        self.quiet = True
        drop(self.file)
        if self.file is not sys.stderr:
            raise SystemExit(NOBODY_READS)
