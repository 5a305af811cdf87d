"""What a client's outbox says when the trainer takes nothing, or turns it away."""

import sys

from infra.errors import StreamError

__all__ = ["frame_refused", "no_room", "say_that_it_waits", "turned_away"]


def frame_refused(step: int, sample: int) -> StreamError:
    """Return the error of a frame that the trainer does not take."""
    return StreamError(
        f"The trainer refused step {step} of sample {sample}: expected a finite frame of its "
        "study. Start the solver from the study it trains on."
    )


def turned_away(why: str) -> StreamError:
    """Return the error of a client that the trainer does not want."""
    return StreamError(
        f"The trainer refused this client: {why}. Compute the samples of the study that it trains "
        "on, and join through its own file."
    )


def no_room(sample: int, seconds: float, why: str) -> StreamError:
    """Return the error of a solver that has waited for room too long."""
    return StreamError(
        f"Expected room for a frame of sample {sample} within {seconds:g} s; the trainer takes "
        f"none. {why} Start the trainer again, raise the spool's limit, or stream less."
    )


def say_that_it_waits(sample: int, why: str) -> None:
    """Tell the solver's log why its solver waits."""
    print(f"Sample {sample} waits: the trainer takes no frames. {why}", file=sys.stderr, flush=True)
