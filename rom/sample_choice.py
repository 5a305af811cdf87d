"""Which samples of a dataset a reduced model is made from."""

from collections.abc import Collection, Iterable

from infra.errors import UserError

__all__ = ["chosen_samples"]


def chosen_samples(indices: Iterable[int], known: Collection[int]) -> tuple[int, ...]:
    """Return the indices as a tuple.

    Raises
    ------
    UserError
        If there is none, one twice, or one that is not among the known ones.
    """
    chosen = tuple(indices)
    unknown = sorted(set(chosen) - set(known))
    if not chosen or unknown or len(set(chosen)) != len(chosen):
        raise UserError(
            f"Expected at least one of the {len(known)} computed samples, each once; received "
            f"{list(chosen)}, of which {unknown} are not computed. Compute them, or leave them out."
        )
    return chosen
