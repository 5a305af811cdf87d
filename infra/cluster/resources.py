"""What a batch job asks Slurm for: time and memory, as people write them and as numbers."""

import re
from dataclasses import dataclass, replace
from typing import final

__all__ = ["Limits", "Resources", "limit_of", "memory_of", "seconds_of", "time_text"]

_LIMIT = re.compile(r"(?:(\d+)-)?(?:(?:(\d+):)?(\d+):)?(\d+)")
_TIME = re.compile(r"(?:(\d+)-)?(\d{1,4}):([0-5]\d):([0-5]\d)")
_MEMORY = re.compile(r"(\d+)([MGT])")
_MEBIBYTES = {"M": 1, "G": 1024, "T": 1024 * 1024}
# More than this is a slip: ten years, in days, and what no node has, in TiB.
_DAYS, _TEBIBYTES = 3650, 1024


@final
@dataclass(frozen=True)
class Resources:
    """What one batch job may use.

    Attributes
    ----------
    seconds : walltime
    memory : of each node, MiB; None: what the partition gives
    """

    seconds: int
    memory: int | None = None

    def with_more_time(self, limits: "Limits") -> "Resources":
        """Return twice the walltime, or as much as there may be."""
        return replace(self, seconds=max(self.seconds, _least(2 * self.seconds, limits.seconds)))

    def with_more_memory(self, limits: "Limits") -> "Resources":
        """Return twice the memory, or as much as there is; unchanged if it is not known."""
        if self.memory is None:
            return self
        return replace(self, memory=max(self.memory, _least(2 * self.memory, limits.memory)))


@final
@dataclass(frozen=True)
class Limits:
    """The most that a job may ask for; None: no limit is known.

    Attributes
    ----------
    seconds : walltime
    memory : of a node, MiB
    """

    seconds: int | None = None
    memory: int | None = None


def limit_of(text: str) -> int | None:
    """Return the seconds of a limit as Slurm writes it, such as ``10:00``; None for no limit."""
    found = _LIMIT.fullmatch(text)
    if found is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return ((24 * days + hours) * 60 + minutes) * 60 + seconds


def seconds_of(text: str) -> int:
    """Return the seconds of a walltime such as ``01:30:00`` or ``2-00:00:00``.

    Raises
    ------
    ValueError
        If the text is no walltime, none is left, or it is more than ten years.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(
            'expected hours, minutes and seconds in quotes, such as "01:30:00", or with days '
            f'"2-00:00:00", received {text!r}'
        )
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    total = ((24 * days + hours) * 60 + minutes) * 60 + seconds
    if not total:
        raise ValueError(f"expected more than no time, received {text!r}")
    if total > _DAYS * 24 * 3600:
        raise ValueError(f"expected at most {_DAYS} days, received {text!r}")
    return total


def time_text(seconds: int) -> str:
    """Return a walltime as Slurm reads it."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{f'{days}-' if days else ''}{hours:02d}:{minutes:02d}:{rest:02d}"


def memory_of(text: str) -> int:
    """Return the MiB of a memory such as ``4G``.

    Raises
    ------
    ValueError
        If the text is no memory, none is left, or it is more than any node has.
    """
    found = _MEMORY.fullmatch(text)
    if found is None or not int(found[1]):
        raise ValueError(f"expected a whole number with M, G or T, such as 4G, received {text!r}")
    memory = int(found[1]) * _MEBIBYTES[found[2]]
    if memory > _TEBIBYTES * _MEBIBYTES["T"]:
        raise ValueError(f"expected at most {_TEBIBYTES}T, received {text!r}")
    return memory


def _least(wanted: int, limit: int | None) -> int:
    return wanted if limit is None else min(wanted, limit)
