"""Samples that were given up: why, by whom, and until when they are waited for."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

__all__ = ["Closing", "Hole"]


@final
@dataclass(frozen=True)
class Hole:
    """Why nothing more is expected of a sample.

    The next trainer waits for the sample again only if a failure record, which somebody has
    removed since, gave it up: whoever removes a record computes again. What a client said of its
    own attempt holds until a newer attempt comes by itself.

    Attributes
    ----------
    reason
        Why.
    attempt
        The attempt that ended without all frames, -1 if it was no client's word. Only a newer one
        is heard.
    recorded
        Whether the dataset had a failure record of the sample.
    """

    reason: str
    attempt: int = -1
    recorded: bool = False


@final
class Closing:
    """Puts off giving a sample up while frames of it are still on their way to the trainer.

    Parameters
    ----------
    expects
        Whether frames of a sample may still come: see `FrameSource.expects`.
    patience
        Longest time that a sample is put off, seconds: a client may hang.
    """

    def __init__(self, expects: Callable[[int], bool], patience: float) -> None:
        self._expects = expects
        self._patience = patience
        self._since: dict[int, float] = {}

    def due(self, sample: int) -> bool:
        """Whether the sample can be given up now; else ask again."""
        if self._expects(sample):
            since = self._since.setdefault(sample, time.monotonic())
            if time.monotonic() - since < self._patience:
                return False
        self._since.pop(sample, None)
        return True
