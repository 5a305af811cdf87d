"""What only rank 0 does, with its result or its exception on every rank."""

from collections.abc import Callable
from typing import Any, cast

__all__ = ["on_rank_zero"]


def on_rank_zero[T](comm: Any, function: Callable[[], T]) -> T:
    """Call `function` on rank 0 and return its result, or raise its exception, on all ranks.

    Parameters
    ----------
    comm : MPI communicator; the call is collective
    function : its result and its exceptions must be picklable
    """
    result: T | None = None
    error: Exception | None = None
    if comm.rank == 0:
        try:
            result = function()
        except Exception as caught:  # noqa: BLE001 - it is raised again below, on every rank
            error = caught
    error, result = comm.bcast((error, result), root=0)
    if error is not None:
        raise error
    return cast("T", result)
