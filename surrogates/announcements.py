"""What rank 0 tells the other trainer processes: one small broadcast for each thing to be done."""

from dataclasses import dataclass
from enum import IntEnum
from typing import final

import numpy as np
import torch
import torch.distributed as dist

from surrogates.draws import Slots

__all__ = ["Announcement", "Code", "announce", "hear"]

_HEAD = 4


class Code(IntEnum):
    """What is done next."""

    STEP = 1
    LOSS = 2
    IDLE = 3
    AGREE = 4
    END = 5


@final
@dataclass(frozen=True)
class Announcement:
    """One thing to be done by all processes.

    Attributes
    ----------
    code
        Which.
    slots
        Places of the batch, for a step.
    rate, observe
        As in `Steps.step`.
    """

    code: Code
    slots: Slots | None = None
    rate: float = 0.0
    observe: bool = False


def announce(announcement: Announcement, batch: int) -> None:
    """Tell the others; `batch` is the largest number of slots, the same on all."""
    slots = announcement.slots
    count = 0 if slots is None else len(slots)
    # Doubles hold every slot number exactly, so that one broadcast is enough.
    line = torch.zeros(_HEAD + batch, dtype=torch.float64)
    line[0], line[1] = float(announcement.code), announcement.rate
    line[2], line[3] = float(announcement.observe), float(count)
    if slots is not None:
        line[_HEAD : _HEAD + count] = torch.from_numpy(slots)
    dist.broadcast(line, 0)


def hear(batch: int) -> Announcement:
    """Wait for what rank 0 tells."""
    line = torch.zeros(_HEAD + batch, dtype=torch.float64)
    dist.broadcast(line, 0)
    code, rate, observe, count = line[:_HEAD].tolist()
    slots = line[_HEAD : _HEAD + int(count)].numpy().astype(np.int64)
    return Announcement(Code(int(code)), slots, rate, bool(observe))
