"""Cluster profiles by name or file, and what runs the chunks of a study under each of them."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from flows.text_form import read_yaml, validated
from infra.cluster import Cluster, LocalCluster
from infra.cluster.profile import Profile
from infra.cluster.resources import time_text
from infra.errors import UserError

if TYPE_CHECKING:
    from prefect.task_runners import TaskRunner

    from flows.study_parts import RunSettings

__all__ = [
    "STATE",
    "cluster_of",
    "load_profile",
    "places_of",
    "ranks_of",
    "runner_of",
    "shipped_profiles",
]

_SHIPPED = Path(__file__).parent / "profiles"
# What jobs in Slurm leave, in a dataset's folder.
STATE = "slurm"
# Memory of a Dask worker that no profile names; MPI ranks are other processes.
_WORKER_MEMORY = "2G"
# Jobs in Slurm that one flow waits for at once, if the profile does not say.
_THREADS = 256


def shipped_profiles() -> dict[str, Path]:
    """Return the profiles that come with romflow, by name."""
    return {path.stem: path for path in sorted(_SHIPPED.glob("*.yaml"))}


def load_profile(source: str) -> Profile:
    """Read a profile from a file, or one that comes with romflow by its name.

    Raises
    ------
    UserError
        If there is no such file or name, or a key or value is wrong; the key is named.
    """
    data, path = read_yaml(source, shipped_profiles(), "profile")
    _require_keys_once(path)
    return validated(Profile, data, f"profile {path}")


def ranks_of(profile: Profile, run: "RunSettings") -> int:
    """Return the MPI processes of each chunk.

    Raises
    ------
    UserError
        If there are fewer than nodes.
    """
    ranks = profile.ranks or run.ranks
    if ranks < profile.nodes:
        raise UserError(
            f"profile {profile.name}: ranks: expected at least one on each of the {profile.nodes} "
            f"nodes, received {ranks} (from the study); set ranks in the profile"
        )
    return ranks


def cluster_of(profile: Profile, root: Path) -> Cluster:
    """Return where the jobs of a dataset run.

    Parameters
    ----------
    profile : where
    root : folder of the dataset; jobs in Slurm leave their files below it
    """
    if profile.kind != "slurm":
        return LocalCluster(profile.launch())
    from infra.cluster.slurm import SlurmCluster

    return SlurmCluster(profile, root / STATE)


def runner_of(profile: Profile, run: "RunSettings", root: Path) -> "TaskRunner[Any]":
    """Return what runs chunks side by side, as Prefect tasks.

    Parameters
    ----------
    profile, run : where, and how many
    root : folder of the dataset; receives what Dask's workers print
    """
    workers = profile.workers or run.workers
    if profile.kind == "slurm" or (profile.kind == "local" and run.runner == "threads"):
        from prefect.task_runners import ThreadPoolTaskRunner

        return ThreadPoolTaskRunner(max_workers=places_of(profile, run))
    from prefect_dask.task_runners import DaskTaskRunner

    if profile.scheduler is not None:
        return DaskTaskRunner(address=profile.scheduler)
    if profile.kind == "dask-slurm":
        return DaskTaskRunner(
            cluster_class="dask_jobqueue.SLURMCluster",
            cluster_kwargs=_pilots(profile, ranks_of(profile, run), workers, root / STATE),
        )
    settings = {
        "n_workers": workers,
        "threads_per_worker": 1,
        # No pages; Dask's server for them listens all the same, so here and on any free port.
        "dashboard_address": "127.0.0.1:0",
        "scheduler_kwargs": {"dashboard": False},
    }
    return DaskTaskRunner(cluster_kwargs=settings)


def places_of(profile: Profile, run: "RunSettings") -> int:
    """Return how many chunks a flow waits for at once; how many run is the cluster's matter.

    Parameters
    ----------
    profile, run : where, and how many
    """
    if profile.kind == "slurm":  # Slurm itself lets `throttle` of them run
        return profile.throttle or _THREADS
    if profile.scheduler is not None:
        return _THREADS
    return (profile.workers or run.workers) * profile.slots


def _require_keys_once(path: Path) -> None:
    """Refuse a key that is given twice: YAML takes the last one without a word."""
    node = yaml.compose(path.read_text(), yaml.SafeLoader)
    keys = Counter(str(key.value) for key, _ in node.value) if node is not None else Counter()
    twice = [key for key, count in keys.items() if count > 1]
    if twice:
        raise UserError(
            f"profile {path}: expected each key once, received several of {', '.join(twice)}; "
            "keep one of each"
        )


def _pilots(profile: Profile, ranks: int, workers: int, folder: Path) -> dict[str, Any]:
    """Return the settings of Dask workers in Slurm jobs: each has room for `slots` chunks."""
    directives = [f"--nodes={profile.nodes}", f"--ntasks={profile.slots * ranks}"]
    if profile.qos is not None:
        directives.append(f"--qos={profile.qos}")
    return {
        "n_workers": workers,
        "queue": profile.partition,
        "account": profile.account,
        "walltime": time_text(profile.resources.seconds),
        "cores": profile.slots,
        "processes": 1,
        "memory": profile.memory or _WORKER_MEMORY,
        # Processors are asked for as tasks, one for each rank; memory only if it is named.
        "job_cpu": 1,
        "job_directives_skip": ["-n 1", *([] if profile.memory else ["--mem"])],
        "job_extra_directives": [*directives, *profile.directives],
        "job_script_prologue": [*profile.setup],
        "python": profile.python,
        "interface": profile.interface,
        "local_directory": None if profile.scratch is None else str(profile.scratch),
        "log_directory": str(folder / "dask"),
        "worker_extra_args": ["--resources", f"slots={profile.slots}"],
        "scheduler_options": {"dashboard_address": "127.0.0.1:0"},
    }
