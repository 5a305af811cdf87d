"""How a Slurm job ended, told apart from Slurm's word for it and from what it left itself."""

from collections.abc import Sequence
from enum import StrEnum
from typing import final

from infra.cluster.work import End

__all__ = ["Outcome", "goes_on", "is_waiting", "outcome_in_turn", "outcome_of",
           "speaks_of_memory"]  # fmt: skip

# Slurm's words for a job that is not over; whoever is requeued has not ended either.
_GOING_ON = frozenset(
    {
        *("PENDING", "RUNNING", "SUSPENDED", "COMPLETING", "CONFIGURING", "RESIZING"),
        *("REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"),
        *("SIGNALING", "STAGE_OUT", "STOPPED"),
    }
)
_WAITING = frozenset({"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED"})
# What libraries say when memory runs out, where Slurm does not watch over it; and what Slurm says
# beside a job that it calls FAILED, where it watches without control groups.
_NO_MEMORY = (
    *("MemoryError", "std::bad_alloc", "oom-kill", "oom_kill", "Out of memory"),
    *("exceeded memory limit", "Exceeded job memory limit"),
)


@final
class Outcome(StrEnum):
    """How a job ended; the values are the words of reports."""

    DONE = "done"
    REFUSED = "refused its input"
    STORAGE = "could not use the storage"
    CRASHED = "crashed"
    CLOSED = "was closed before its walltime"
    TIMEOUT = "reached its walltime"
    NODE_FAIL = "lost its node"
    OUT_OF_MEMORY = "ran out of memory"
    CANCELLED = "was cancelled"
    PREEMPTED = "was preempted"
    LOST = "vanished"
    UNREACHED = "was not reached by its job"


# In another order than Slurm's: what it says of the machine comes before what the job says.
_SAID = {
    "OUT_OF_MEMORY": Outcome.OUT_OF_MEMORY,
    "TIMEOUT": Outcome.TIMEOUT,
    "DEADLINE": Outcome.TIMEOUT,
    "NODE_FAIL": Outcome.NODE_FAIL,
    "BOOT_FAIL": Outcome.NODE_FAIL,
    "PREEMPTED": Outcome.PREEMPTED,
    "CANCELLED": Outcome.CANCELLED,
    "REVOKED": Outcome.CANCELLED,
}
# Whoever waits for its turn shares these with the whole job; the others are one item's own.
_OUTSIDE = (Outcome.NODE_FAIL, Outcome.PREEMPTED, Outcome.CANCELLED)


def speaks_of_memory(text: str) -> bool:
    """Return whether what a job has printed says that memory ran out."""
    return any(words in text for words in _NO_MEMORY)


def goes_on(state: str) -> bool:
    """Return whether a job of this state is not over."""
    return state in _GOING_ON


def is_waiting(state: str) -> bool:
    """Return whether a job of this state has not been started."""
    return state in _WAITING


def outcome_of(state: str | None, end: End | None) -> Outcome | None:
    """Tell how a job ended.

    Parameters
    ----------
    state : Slurm's word, such as ``TIMEOUT``; None if it knows the job no more
    end : what the job wrote when it ended; None if nothing

    Returns
    -------
    Outcome or None
        None while it goes on, or will be started again by Slurm.
    """
    if end is not None and end.settled:
        return {0: Outcome.DONE, 2: Outcome.REFUSED, 3: Outcome.STORAGE}[end.code]
    if state in _GOING_ON:
        return None
    said = _SAID.get(state or "")
    if end is not None and end.how == "unreached" and said not in _OUTSIDE:
        return Outcome.UNREACHED
    if said is not None:
        return said
    if end is None:
        return Outcome.LOST if state is None else Outcome.CRASHED
    if speaks_of_memory(end.errors):
        return Outcome.OUT_OF_MEMORY
    return {"closed": Outcome.CLOSED, "terminated": Outcome.CANCELLED}.get(end.how, Outcome.CRASHED)


def outcome_in_turn(state: str | None, ends: Sequence[End | None]) -> Outcome | None:
    """Tell how the last of some items ended that a job runs one after another.

    A job that is killed leaves neither the end of the item that it was at, nor those of the items
    behind it: only the first of them has met what Slurm says of the job.

    Parameters
    ----------
    state : Slurm's word for the job, as in `outcome_of`
    ends : what the items up to this one wrote when they ended
    """
    outcome = outcome_of(state, ends[-1])
    behind = len(ends) > 1 and ends[-1] is None and ends[-2] is None
    if behind and outcome is not None and outcome not in (*_OUTSIDE, Outcome.LOST):
        return Outcome.UNREACHED
    return outcome
