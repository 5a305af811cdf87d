"""What a partition allows, held against what a profile asks for, before anything is submitted.

Slurm itself takes jobs that ask for more time than their partition allows, and never starts them.
"""

from collections.abc import Sequence

from infra.cluster.profile import Profile
from infra.cluster.resources import Limits, limit_of
from infra.cluster.slurm_commands import Partition
from infra.errors import UserError

__all__ = ["jobs_at_once", "limits_of", "require_room"]


def limits_of(known: Sequence[Partition], profile: Profile) -> Limits:
    """Return the most that a job of this profile may ask for."""
    chosen = _chosen(known, profile)
    if not chosen:
        return Limits()
    times = [limit_of(partition.limit) for partition in chosen]
    longest = None if None in times else max(time for time in times if time is not None)
    return Limits(longest, max(partition.memory for partition in chosen))


def jobs_at_once(known: Sequence[Partition], profile: Profile, ranks: int) -> int | None:
    """Return how many jobs of this profile run side by side at most; None if nobody knows."""
    each = -(-ranks // profile.nodes)
    room = sum(p.nodes * max((p.cpus or each) // each, 1) for p in _chosen(known, profile))
    limits = [limit for limit in (room // profile.nodes, profile.throttle) if limit]
    return min(limits, default=None)


def require_room(known: Sequence[Partition], profile: Profile, ranks: int) -> None:
    """Refuse a profile whose jobs would never start.

    Parameters
    ----------
    known : all partitions
    profile : what it asks for
    ranks : of each chunk

    Raises
    ------
    UserError
        The message names the key and what would be right.
    """
    chosen = _chosen(known, profile)
    names = ", ".join(dict.fromkeys(partition.name for partition in known)) or "none"
    if not chosen:
        received = profile.partition or "none, and this Slurm has no default"
        raise _error(profile, "partition", f"one of {names}", received)
    if not any(partition.up for partition in chosen):
        raise _error(profile, "partition", f"one of {names} that is up", f"{chosen[0].name}, down")
    name, limits = chosen[0].name, limits_of(known, profile)
    if limits.seconds is not None and profile.resources.seconds > limits.seconds:
        allowed = next(p.limit for p in chosen if limit_of(p.limit) == limits.seconds)
        raise _error(
            profile, "walltime", f"at most {allowed} in partition {name}", profile.walltime
        )
    nodes = sum(partition.nodes for partition in chosen)
    if profile.nodes > nodes:
        raise _error(profile, "nodes", f"at most {nodes} in partition {name}", str(profile.nodes))
    cpus = [partition.cpus for partition in chosen if partition.cpus is not None]
    if len(cpus) == len(chosen) and ranks > profile.nodes * max(cpus):
        most = profile.nodes * max(cpus)
        raise _error(profile, "ranks", f"at most {most} on {profile.nodes} nodes", str(ranks))
    memory, room = profile.resources.memory, limits.memory
    if memory is not None and room is not None and memory > room:
        raise _error(profile, "memory", f"at most {room}M a node", str(profile.memory))


def _chosen(known: Sequence[Partition], profile: Profile) -> list[Partition]:
    """Return the lines of the profile's partition; a partition of unlike nodes has several."""
    if profile.partition is not None:
        asked = profile.partition.split(",")
        return [partition for partition in known if partition.name in asked]
    return [partition for partition in known if partition.default]


def _error(profile: Profile, key: str, expected: str, received: str) -> UserError:
    return UserError(
        f"profile {profile.name}: {key}: expected {expected}, received {received}; change {key} "
        "in the profile"
    )
