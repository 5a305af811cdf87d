"""Where jobs run: one interface, with this machine, Dask or Slurm behind it."""

from infra.cluster.job import Cluster, JobResult
from infra.cluster.launcher import find_mpiexec
from infra.cluster.local import LocalCluster, kill_jobs

__all__ = ["Cluster", "JobResult", "LocalCluster", "find_mpiexec", "kill_jobs"]
