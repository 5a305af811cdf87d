"""The errors of training, below `infra.errors.RomflowError`.

::

    RomflowError
    └── TrainingError          training cannot go on; the last checkpoint is kept
        └── RankLostError          one of the trainer processes ended
"""

from typing import final

from infra.errors import RomflowError

__all__ = ["RankLostError", "TrainingError"]


class TrainingError(RomflowError):
    """Training cannot go on; what was checkpointed is kept."""


@final
class RankLostError(TrainingError):
    """One of the trainer processes ended before the others."""
