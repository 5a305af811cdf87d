"""Computations that take longer than a request: full-order runs and enrichment."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray

from infra.records import Json
from rom.enrichment import EnrichmentSettings

__all__ = ["JobKind", "JobRunner", "JobState", "JobStatus"]

type JobKind = Literal["compare", "enrich"]
type JobState = Literal["queued", "running", "done", "failed", "cancelled"]


@final
@dataclass(frozen=True)
class JobStatus:
    """How far a job is.

    Attributes
    ----------
    job
        Its id: letters, digits and hyphens.
    kind
        What it does.
    model, version
        For which model.
    state
        ``done``, ``failed`` and ``cancelled`` are final.
    progress
        From 0 to 1.
    message
        In words: what it is at, or why it failed.
    result
        Numbers of a job that is done; for ``compare`` the relative errors by field
        (``errors``) and the quantities of interest (``quantities``).
    arrays
        Names of the arrays that `JobRunner.array` has for it.
    """

    job: str
    kind: JobKind
    model: str
    version: int
    state: JobState
    progress: float = 0.0
    message: str = ""
    result: Mapping[str, Json] = field(default_factory=dict)
    arrays: tuple[str, ...] = ()


class JobRunner(ABC):
    """Starts jobs and knows how they are. The methods may block; they are called in threads."""

    @abstractmethod
    def submit_compare(self, model: str, version: int, mu: Mapping[str, float]) -> str:
        """Start a full-order run beside the model's answer, and return the job's id.

        Parameters
        ----------
        model, version
            The model.
        mu
            All free parameters, in its units.

        Raises
        ------
        UserError
            If there is no full-order model for it.
        """

    @abstractmethod
    def submit_enrich(self, model: str, version: int, settings: EnrichmentSettings) -> str:
        """Start enrichment, which publishes a new version, and return the job's id.

        Raises
        ------
        UserError
            If there is no full-order model for it.
        """

    @abstractmethod
    def status(self, job: str) -> JobStatus | None:
        """Return how a job is, or None if there is none of this id."""

    @abstractmethod
    def cancel(self, job: str) -> JobStatus | None:
        """End a job, if it has not ended; None if there is none."""

    @abstractmethod
    def array(self, job: str, name: str) -> NDArray[np.floating] | None:
        """Return an array of a job that is done, for example a full-order field (T, n), or None."""
