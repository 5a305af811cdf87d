"""How many elements of several arrays may run at once, if all of them together may be so many."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

__all__ = ["Share", "shares"]


@final
@dataclass(frozen=True)
class Share:
    """What one array may do.

    Attributes
    ----------
    throttle : elements that run at once; None without a limit
    waits : whether it is begun when the array before it has ended
    """

    throttle: int | None
    waits: bool = False


def shares(counts: Sequence[int], throttle: int | None) -> list[Share]:
    """Share a limit among arrays, for Slurm knows it only for each of them.

    Each array has at least one place, and of the others as many as its elements demand (largest
    remainders). With more arrays than places one begins when the one before it has ended.

    Parameters
    ----------
    counts : elements of each array
    throttle : elements of all of them that may run at once; None without a limit

    Returns
    -------
    list of Share
        In the order of the arrays.
    """
    if throttle is None:
        return [Share(None)] * len(counts)
    if len(counts) > throttle:
        return [Share(throttle, waits=place > 0) for place in range(len(counts))]
    free, total = throttle - len(counts), sum(counts)
    exact = [free * count / total for count in counts]
    given = [int(part) for part in exact]
    # Who has lost most by rounding down gets one of those that are left.
    order = sorted(range(len(counts)), key=lambda place: given[place] - exact[place])
    for place in order[: free - sum(given)]:
        given[place] += 1
    return [Share(1 + part) for part in given]
