"""The live progress bar of a terminal; plain lines where there is none."""

import sys
from types import TracebackType
from typing import Self, final

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from flows import progress
from flows.terminal import Terminal

__all__ = ["Display"]


@final
class Display:
    """A progress bar over the frames, or the samples, of a dataset.

    Parameters
    ----------
    total : number of frames, or samples, in the whole dataset
    unit : what is counted
    """

    def __init__(self, total: int, unit: str = "frames") -> None:
        console = Terminal(file=sys.stderr)
        self._bar = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn(unit),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._total = total
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._bar.start()
        self._task = self._bar.add_task("starting", total=self._total)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def show(self, now: progress.Progress) -> None:
        """Print new messages above the bar, and redraw it."""
        if self._task is None:
            return
        for message in now.messages:
            self._bar.console.print(message, markup=False, highlight=False)
        failed = f", {now.failed} failed" if now.failed else ""
        text = f"{now.committed}/{now.samples} samples{failed}"
        self._bar.update(self._task, completed=now.frames_done, description=text)
