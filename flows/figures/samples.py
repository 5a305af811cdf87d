"""Which samples an overview shows."""

import numpy as np

from infra.errors import UserError
from infra.store import SnapshotStore

__all__ = ["chosen_samples"]


def chosen_samples(store: SnapshotStore, largest: int = 6) -> list[int]:
    """Return up to `largest` committed samples, spread evenly over all of them.

    Raises
    ------
    UserError
        If there is none.
    """
    committed = sorted(store.committed())
    if not committed:
        raise UserError(
            f"dataset {store.description.name}: expected at least one committed sample, received "
            "none. Run the study first."
        )
    places = np.linspace(0, len(committed) - 1, min(largest, len(committed)))
    return [committed[round(place)] for place in places]
