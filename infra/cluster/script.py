"""The batch script of a Slurm job: a pure function of a profile and of what the job runs."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from infra.cluster.profile import Profile
from infra.cluster.resources import Resources, time_text

__all__ = ["BatchJob", "array_text", "batch_script"]

# Filled in by the job itself: number of its element, of the job, and how often it was requeued.
_ELEMENT = '"${SLURM_ARRAY_TASK_ID:-0}"'
_IDENTITY = '"${SLURM_JOB_ID:-0}"', '"${SLURM_RESTART_COUNT:-0}"'


@final
@dataclass(frozen=True)
class BatchJob:
    """One Slurm job, or an array of equal ones.

    Attributes
    ----------
    name : by which the job is found again
    module : Python module and its arguments; it also gets ``--element``, ``--job``, ``--restart``
        and ``--seconds`` (the walltime)
    folder : working folder
    output : file for what the job prints; ``%a`` stands for the element
    ranks : number of processes for which there shall be room
    resources : time and memory
    elements : numbers of the elements of an array; empty: one job
    after : jobs whose end is waited for, however they end
    single : whether one process on one node is enough, whatever the profile says of nodes
    """

    name: str
    module: tuple[str, ...]
    folder: Path
    output: Path
    ranks: int
    resources: Resources
    elements: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    single: bool = False


def batch_script(profile: Profile, job: BatchJob, python: str) -> str:
    """Return the text that sbatch reads.

    Parameters
    ----------
    profile : partition, setup lines and so on
    job : what runs
    python : interpreter of the login node, used if the profile names none

    Returns
    -------
    str
        ``#SBATCH`` lines, the setup lines as they are, and one command, each word quoted.
    """
    directives = [f"#SBATCH {line}" for line in (*_directives(profile, job), *profile.directives)]
    lines = ["#!/bin/bash", *directives, "", *profile.setup, *_scratch(profile)]
    lines.append(f"cd {shlex.quote(str(job.folder))} || exit 3")
    # Behind a container image another interpreter may be meant; this one stays outside of it.
    own = python if profile.container else profile.python or python
    words = shlex.join([own, "-m", *job.module])
    number, restart = _IDENTITY
    seconds = job.resources.seconds
    # With exec the signals of Slurm reach Python, not a shell that would be waiting for it.
    lines.append(
        f"exec {words} --element {_ELEMENT} --job {number} --restart {restart} --seconds {seconds}"
    )
    return "\n".join(lines) + "\n"


def array_text(elements: Sequence[int], throttle: int | None) -> str:
    """Return the elements of an array as sbatch reads them, such as ``0-3,7%2``."""
    ranges: list[list[int]] = []
    for element in sorted(elements):
        if ranges and ranges[-1][1] == element - 1:
            ranges[-1][1] = element
        else:
            ranges.append([element, element])
    text = ",".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)
    return text if throttle is None else f"{text}%{throttle}"


def _directives(profile: Profile, job: BatchJob) -> Iterator[str]:
    yield f"--job-name={shlex.quote(job.name)}"
    for key in ("partition", "account", "qos"):
        value = getattr(profile, key)
        if value is not None:
            yield f"--{key}={shlex.quote(value)}"
    yield f"--nodes={1 if job.single else profile.nodes}"
    yield f"--ntasks={job.ranks}"
    if not job.single and job.ranks % profile.nodes == 0:
        yield f"--ntasks-per-node={job.ranks // profile.nodes}"
    yield f"--time={time_text(job.resources.seconds)}"
    if job.resources.memory is not None:
        yield f"--mem={job.resources.memory}M"
    yield f"--signal=B:USR1@{profile.grace}"
    yield "--requeue"
    yield "--open-mode=append"
    yield f"--output={_pattern(job.output)}"
    if job.elements:
        yield f"--array={array_text(job.elements, profile.throttle)}"
    if job.after:
        yield f"--dependency=afterany:{':'.join(map(str, job.after))}"


def _pattern(output: Path) -> str:
    """Return a file as sbatch reads it: only its last part may hold a placeholder."""
    folder = str(output.parent).replace("%", "%%")
    return shlex.quote(f"{folder}/{output.name}")


def _scratch(profile: Profile) -> list[str]:
    if profile.scratch is None:
        return []
    folder = shlex.quote(str(profile.scratch))
    # An element that cannot use it tells so; see `infra.cluster.element.SCRATCH`.
    return [f"export ROMFLOW_SCRATCH={folder}", f"mkdir -p {folder} && export TMPDIR={folder}"]
