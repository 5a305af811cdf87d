"""What the routes of one service share."""

from dataclasses import dataclass
from typing import final

from rom.service.engine import Engine
from rom.service.jobs import JobRunner
from rom.service.metrics import Metrics
from rom.service.models import Models
from rom.service.settings import ServiceSettings

__all__ = ["Service"]


@final
@dataclass(frozen=True, eq=False)
class Service:
    """See the module.

    Attributes
    ----------
    settings
        Limits.
    models
        Loaded ones.
    engine
        Runs questions.
    metrics
        Count.
    jobs
        Long computations; None: not offered.
    """

    settings: ServiceSettings
    models: Models
    engine: Engine
    metrics: Metrics
    jobs: JobRunner | None
