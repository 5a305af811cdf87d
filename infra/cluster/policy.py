"""Whether a job that ended early is tried again, and with what."""

from dataclasses import dataclass, replace
from typing import final

from infra.cluster.resources import Limits, Resources
from infra.cluster.states import Outcome

__all__ = ["Attempt", "advice", "next_attempt"]

# Interruptions from outside in a row, without one sample between them, that are borne.
_BORNE = 5
_FROM_OUTSIDE = (
    *(Outcome.NODE_FAIL, Outcome.PREEMPTED, Outcome.CANCELLED, Outcome.LOST),
    Outcome.UNREACHED,
)
_UNLIMITED = Limits()
_OVER = (Outcome.DONE, Outcome.REFUSED, Outcome.STORAGE)


@final
@dataclass(frozen=True)
class Attempt:
    """One attempt at a job, with what happened before it.

    Attributes
    ----------
    resources : what it asks for
    crashes, interruptions : earlier attempts that ended so; progress makes up for interruptions
    more_time, more_memory : whether these have been raised already
    alone : whether it is the only one of its job
    """

    resources: Resources
    crashes: int = 0
    interruptions: int = 0
    more_time: bool = False
    more_memory: bool = False
    alone: bool = False


def next_attempt(
    outcome: Outcome,
    before: Attempt,
    *,
    progress: bool,
    retries: int,
    limits: Limits = _UNLIMITED,
) -> Attempt | None:
    """Return the next attempt; None if there shall be none.

    Walltime and memory are raised once each; a wrong input and an unusable disk stay what they
    are; a lost node or a cancelled job is no fault of the job. One that its job did not come to,
    for others before it took too long, gets a job of its own.

    Parameters
    ----------
    outcome : how the attempt ended
    before : the attempt
    progress : whether it has got a sample further
    retries : further attempts after crashes
    limits : the most that a job may ask for
    """
    if outcome in _OVER:
        return None
    if outcome is Outcome.OUT_OF_MEMORY:
        return _with_more_memory(before, limits)
    if outcome is Outcome.CRASHED:
        more = replace(before, crashes=before.crashes + 1)
        return more if more.crashes <= retries else None
    if outcome is Outcome.UNREACHED and not before.alone:
        return replace(before, alone=True)
    if outcome in _FROM_OUTSIDE:
        more = replace(before, interruptions=1 if progress else before.interruptions + 1)
        return more if more.interruptions <= _BORNE else None
    return before if progress else _with_more_time(before, limits)


def advice(outcome: Outcome, last: Attempt) -> str:
    """Say what people can do about a job that is not tried again."""
    if outcome is Outcome.OUT_OF_MEMORY:
        known = "" if last.resources.memory is None else f" ({last.resources.memory} MiB)"
        return f"Set `memory` in the profile higher than it was{known}, or use more nodes."
    if outcome in (Outcome.TIMEOUT, Outcome.CLOSED):
        return (
            f"No sample was finished within {last.resources.seconds} s: set `walltime` in the "
            "profile higher, or use more ranks."
        )
    if outcome in _FROM_OUTSIDE:
        return "Ask the site's staff about these nodes, then submit the same study again."
    return "See its log; then submit the same study again."


def _with_more_time(before: Attempt, limits: Limits) -> Attempt | None:
    more = before.resources.with_more_time(limits)
    if before.more_time or more == before.resources:
        return None
    return replace(before, resources=more, more_time=True)


def _with_more_memory(before: Attempt, limits: Limits) -> Attempt | None:
    more = before.resources.with_more_memory(limits)
    if before.more_memory or more == before.resources:
        return None
    return replace(before, resources=more, more_memory=True)
