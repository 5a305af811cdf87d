"""`romflow doctor --profile P`: whether jobs of a profile can run at this site."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flows.doctor import Finding
from flows.slurm_profile import STATE, cluster_of
from flows.submit import check_slurm
from infra.cluster import JobResult, LocalCluster
from infra.cluster.profile import Profile
from infra.cluster.slurm_commands import Partition, Slurm
from infra.cluster.slurm_errors import SlurmError
from infra.errors import RomflowError, UserError

__all__ = ["examine_profile"]

# Without ranks in the profile: two, or one on each node.
_RANKS = 2


def examine_profile(profile: Profile, folder: Path, slurm: Slurm | None = None) -> list[Finding]:
    """Look at everything that a job of this profile needs, in the order in which it needs it.

    Parameters
    ----------
    profile : where jobs run
    folder : of the data; login and compute nodes have to share it
    slurm : the commands
    """
    findings = []
    for finding in _checks(profile, folder, slurm or Slurm()):
        findings.append(finding)
        if finding.needed and not finding.well:
            break  # what follows would fail for the same reason
    return findings


def _checks(profile: Profile, folder: Path, slurm: Slurm) -> Iterator[Finding]:
    ranks = profile.ranks or max(_RANKS, profile.nodes)
    if profile.uses_slurm:
        yield _answer(slurm)
        yield _partition(slurm, profile)
        yield _acceptance(slurm, profile, ranks)
    yield from _probe(profile, ranks, folder)


def _answer(slurm: Slurm) -> Finding:
    try:
        partitions = slurm.partitions()
    except (UserError, SlurmError) as error:
        return Finding("Slurm", "no answer", str(error))
    return Finding("Slurm", f"answers, {len(partitions)} partitions")


def _partition(slurm: Slurm, profile: Profile) -> Finding:
    known = slurm.partitions()
    names = ", ".join(partition.name for partition in known)
    chosen = [p for p in known if (p.name == profile.partition or not profile.partition)]
    if not profile.partition:
        chosen = [partition for partition in chosen if partition.default]
    if not chosen:
        wanted = profile.partition or "the default one, and there is none"
        advice = f"partition: expected one of {names}, received {wanted}."
        return Finding("Partition", wanted, advice)
    if not chosen[0].up:
        return Finding("Partition", f"{chosen[0].name} is down", "Choose another partition.")
    return Finding("Partition", _told(chosen[0]))


def _told(partition: Partition) -> str:
    return (
        f"{partition.name}: {partition.nodes} nodes of {partition.cpus or 'several'} processors, "
        f"at most {partition.limit}"
    )


def _acceptance(slurm: Slurm, profile: Profile, ranks: int) -> Finding:
    try:
        check_slurm(slurm, profile, ranks)
    except (UserError, SlurmError) as error:
        return Finding("A job", "refused", str(error))
    return Finding(
        "A job", f"{profile.nodes} nodes, {ranks} ranks, {profile.walltime}: Slurm takes it"
    )


def _probe(profile: Profile, ranks: int, folder: Path) -> Iterator[Finding]:
    """Run a small job; it fails in different ways for different reasons."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".romflow-doctor-", dir=folder) as name:
        place = Path(name)
        log, answer = place / "probe.log", place / "answer.json"
        in_slurm = profile.model_copy(update={"kind": "slurm"}) if profile.uses_slurm else profile
        cluster = cluster_of(in_slurm, place)
        try:
            result = cluster.run(["flows.slurm_probe", str(answer)], ranks, log)
        except RomflowError as error:
            yield Finding("MPI", "no job could be started", str(error))
            return
        except KeyboardInterrupt:
            cluster.end_jobs()
            raise
        if result.code == 0 and answer.exists():
            yield from _answers(json.loads(answer.read_text()), profile, ranks, folder)
        else:
            yield _failure(result, place, local=isinstance(cluster, LocalCluster))


def _answers(
    found: dict[str, Any], profile: Profile, ranks: int, folder: Path
) -> Iterator[Finding]:
    yield Finding("Environment", f"Python {found['python']}, DOLFINx {found['dolfinx']}")
    yield Finding("Shared folder", f"{folder} is seen from the nodes")
    nodes = ", ".join(found["nodes"])
    told = f"{found['ranks']} ranks on {len(found['nodes'])} nodes ({nodes})"
    if found["ranks"] != ranks:
        advice = (
            f"launcher: expected {ranks} ranks of one job: {profile.launcher} and mpi4py belong to "
            "different MPIs. Try the other launcher, or launcher_options such as --mpi=pmi2."
        )
        yield Finding("MPI", told, advice)
    elif len(found["nodes"]) < profile.nodes:
        advice = f"launcher: expected ranks on {profile.nodes} nodes. Try the other launcher."
        yield Finding("MPI", told, advice)
    else:
        yield Finding("MPI", told)


def _failure(result: JobResult, place: Path, *, local: bool) -> Finding:
    """Say why the probe has left no answer."""
    printed = "\n".join(
        path.read_text()[-1500:] for path in sorted(place.glob(f"{STATE}/*/*/*.out"))
    )
    said = "\n".join(text for text in (result.errors.strip(), printed.strip()) if text)
    if "No module named" in said or "ModuleNotFoundError" in said:
        advice = "setup: load the environment in which romflow is installed, or name its `python`."
        return Finding("Environment", said, advice)
    if not local and not said:
        advice = (
            "output: expected a folder that login and compute nodes share. Set `output` of the "
            "study to such a folder, and try `romflow doctor --profile P --folder FOLDER`."
        )
        return Finding("Shared folder", "the job left nothing", advice)
    advice = "launcher: try the other one, or launcher_options such as --mpi=pmi2; see above."
    return Finding("MPI", said or f"code {result.code}", advice)
