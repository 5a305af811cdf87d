"""The clusters of an online training, which end their jobs when the trainer has had enough."""

import uuid
from pathlib import Path
from typing import final

from flows.online_places import Places
from flows.slurm_profile import cluster_of
from flows.stoppable_cluster import StoppableCluster
from infra.cluster import Cluster
from infra.errors import storage_errors

__all__ = ["OnlineClusters"]


@final
class OnlineClusters:
    """Runs the trainer and the simulations of one flow.

    Parameters
    ----------
    places : where they run
    root : folder of the simulations; jobs in Slurm leave their files below it

    Attributes
    ----------
    simulations, trainer : run jobs; one and the same where both are equal Slurm jobs
    """

    def __init__(self, places: Places, root: Path) -> None:
        self._stop = root / f".stop-{uuid.uuid4().hex[:12]}"
        self.simulations: Cluster
        if places.simulations.kind in ("dask", "dask-slurm"):
            self.simulations = StoppableCluster(places.simulations.launch(), self._stop)
        else:
            self.simulations = cluster_of(places.simulations, root)
        same = places.trainer == places.simulations
        self.trainer = self.simulations if same else cluster_of(places.trainer, root)

    def end_jobs(self) -> None:
        """End the jobs of both."""
        self.simulations.end_jobs()
        if self.trainer is not self.simulations:
            self.trainer.end_jobs()

    @property
    def elsewhere(self) -> bool:
        """Whether simulations are jobs of other processes than this one, and end on their own."""
        return isinstance(self.simulations, StoppableCluster)

    def forget(self) -> None:
        """Remove what has told jobs elsewhere to end, once they have."""
        with storage_errors(self._stop):
            self._stop.unlink(missing_ok=True)
