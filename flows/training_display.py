"""Two live lines of a terminal: the simulations', and below them the trainer's."""

import sys
from types import TracebackType
from typing import Self, final

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from flows import progress
from flows.terminal import Terminal
from flows.training_progress import Lessons

__all__ = ["TrainingDisplay"]


@final
class TrainingDisplay:
    """Bars of the simulations and of the training's budget, with its numbers below.

    Parameters
    ----------
    frames : of all simulations
    """

    def __init__(self, frames: int) -> None:
        self._console = Terminal(file=sys.stderr)
        head = TextColumn("[bold]{task.description}")
        self._bars = Progress(head, BarColumn(bar_width=30), TextColumn("{task.fields[done]}"))
        self._simulations = self._bars.add_task("simulations", total=frames, done="")
        self._training = self._bars.add_task("training   ", total=1.0, done="")
        self._frames = frames
        self._line = Text("")
        self._live = Live(
            Group(self._bars, self._line), console=self._console, refresh_per_second=4
        )

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def show(self, now: progress.Progress, lessons: Lessons) -> None:
        """Print what is new above the bars, and redraw them."""
        for message in (*now.messages, *lessons.messages):
            self._console.print(message, markup=False, highlight=False)
        failed = f", {now.failed} failed" if now.failed else ""
        frames = f"{now.frames_done}/{self._frames} frames, {now.committed} samples{failed}"
        self._bars.update(self._simulations, completed=now.frames_done, done=frames)
        percent = f"{100 * lessons.fraction:.0f} % of the budget"
        self._bars.update(self._training, completed=lessons.fraction, done=percent)
        self._line.plain = lessons.text
