"""What the chunks of a dataset have cost, and how many of them a further job therefore takes."""

from collections.abc import Iterator, Sequence

from flows.plan import Chunk
from flows.progress import new_events
from flows.slurm_profile import ranks_of
from flows.study import Study
from flows.submit_state import Group, Round, SubmissionPaths
from infra.cluster.arrays import places
from infra.cluster.packing import ChunkCost, Packing, learned_cost
from infra.cluster.profile import Profile
from infra.cluster.slurm_commands import Partition
from infra.cluster.slurm_limits import jobs_at_once
from infra.cluster.work import end_path, read_end
from infra.store import SnapshotStore
from infra.zarr_store import open_store

__all__ = ["packing_of"]

# Samples and chunks that are looked at: more say nothing new, and each of them is a file.
_MANY = 400


def packing_of(
    study: Study,
    profile: Profile,
    chunks: Sequence[Chunk],
    rounds: Sequence[Round],
    known: Sequence[Partition],
) -> Packing:
    """Return how the chunks of a round are put into jobs.

    Parameters
    ----------
    study, profile : what is computed, and where
    chunks : that are left
    rounds : earlier ones of this study, in this submission or in the last one
    known : the partitions
    """
    if profile.pack != "auto":
        return Packing(profile.pack)
    ranks = ranks_of(profile, study.run)
    return Packing(
        grace=profile.grace,
        cost=_cost(SubmissionPaths(study.dataset), ranks, rounds),
        samples={chunk.number: len(chunk.samples) for chunk in chunks},
        side_by_side=jobs_at_once(known, profile, ranks),
    )


def _cost(paths: SubmissionPaths, ranks: int, rounds: Sequence[Round]) -> ChunkCost | None:
    """Return what a chunk costs; None if no sample was committed by so many ranks."""
    samples = list(_seconds_of_samples(open_store(paths.root), ranks))
    groups = [group for one in rounds for group in one.groups]
    starts = [second for group in groups for second in _starts(paths, group)]
    return learned_cost(samples, starts[-_MANY:])


def _seconds_of_samples(store: SnapshotStore, ranks: int) -> Iterator[float]:
    """Yield the seconds of committed samples, all over the parameter space if they are many."""
    committed = sorted(store.committed())
    for index in committed[:: max(len(committed) // _MANY, 1)]:
        record = store.record(index)
        if record.provenance.ranks == ranks:
            yield record.report.wall_seconds


def _starts(paths: SubmissionPaths, group: Group) -> Iterator[float]:
    """Yield the seconds that finished chunks took beside their samples."""
    ends = paths.folder / group.folder / "ends"
    members = list(zip(group.chunks, group.sizes, places(group.per_element), strict=True))
    for chunk, size, (element, item) in members[:: max(len(members) // _MANY, 1)]:
        end = read_end(end_path(ends, element, item))
        log = paths.root / "logs" / f"{chunk:06d}.jsonl"
        if end is None or end.how != "ended" or end.code != 0 or not log.exists():
            continue
        events, _ = new_events(log, size)
        # Others belong to another start of this chunk.
        own = (e for e in events if 0.0 <= e["time"] - end.started <= end.seconds)
        yield end.seconds - sum(e["seconds"] for e in own if e["event"] == "committed")
