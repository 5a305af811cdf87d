"""Commands of clusters: ``submit``, ``status`` and ``cancel``."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from flows.endings import say

__all__ = ["add_cluster_commands"]


def add_cluster_commands(app: App) -> None:
    """Add the commands to ``romflow``."""
    app.command(_submit, name="submit")
    app.command(_status, name="status")
    app.command(_cancel, name="cancel")


def _submit(
    study: str,
    *,
    profile: str | None = None,
    set_: Annotated[tuple[str, ...], Parameter(name="--set", negative="")] = (),
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    retry_failed: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Give a study to Slurm and return: nothing of it goes on running here.

    Parameters
    ----------
    study
        YAML file, or the name of a study that comes with romflow.
    profile
        YAML file of a cluster profile of kind slurm, or the name of one that comes with romflow;
        default the one that the study names, else slurm.
    set_
        Change one setting of the study, such as ``--set sampling.samples=8``; may be repeated.
    dry_run
        Show the batch scripts, and submit and write nothing.
    retry_failed
        Try samples that failed before again.
    """
    from flows.slurm_profile import load_profile
    from flows.study import load_study, with_settings
    from flows.submit import dry_run_scripts, submit

    given = load_study(study)
    chosen = with_settings(given, set_)
    place = load_profile(profile or (chosen.run.profile if _names_one(given, set_) else "slurm"))
    if dry_run:
        print("\n".join(dry_run_scripts(chosen, place)), end="")
        return 0
    submission = submit(chosen, place, retry_failed=retry_failed, slurm=_slurm())
    last = submission.rounds[-1]
    n_chunks = sum(len(group.chunks) for group in last.groups)
    print(f"Dataset: {chosen.dataset}")
    print(f"Submitted {n_chunks} chunks; Slurm's jobs: {', '.join(map(str, last.jobs()))}")
    print(f"Follow: romflow status {chosen.dataset}")
    print(f"End:    romflow cancel {chosen.dataset}")
    return 0


def _status(
    study: str, *, set_: Annotated[tuple[str, ...], Parameter(name="--set", negative="")] = ()
) -> int:
    """Tell how far a submitted study is; exit code 1 if it has ended without all samples.

    Parameters
    ----------
    study
        Folder of the dataset, or the study that was submitted.
    set_
        The settings with which it was submitted.
    """
    from flows.report import print_facts
    from flows.submit_status import status_of
    from flows.terminal import Terminal

    seen = status_of(_root(study, set_), _slurm())
    facts = {
        "stage": seen.stage,
        "samples": f"{seen.committed} of {seen.samples} committed, {seen.failed} failed",
        "chunks": ", ".join(f"{n} {word}" for word, n in seen.chunks.items()) or "none",
        "round": f"{seen.round}, jobs {', '.join(map(str, seen.jobs))}",
        **({"waits for": ", ".join(seen.reasons)} if seen.reasons else {}),
        "events": "\n".join(seen.events),
    }
    print_facts(Terminal(), str(seen.root), facts)
    if seen.complaint:
        say(seen.complaint, 0)
    return int(seen.stage in ("incomplete", "cancelled", "stopped"))


def _cancel(
    study: str, *, set_: Annotated[tuple[str, ...], Parameter(name="--set", negative="")] = ()
) -> int:
    """End a submitted study; what is committed stays.

    Parameters
    ----------
    study
        Folder of the dataset, or the study that was submitted.
    set_
        The settings with which it was submitted.
    """
    from flows.submit import cancel

    submission = cancel(_root(study, set_), _slurm())
    if submission.stage == "cancelled":
        print("Cancelled: committed samples are kept; romflow submit goes on.")
        return 0
    return say(f"Nothing was cancelled: the study is {submission.stage}.", 0)


def _names_one(study: Any, settings: Sequence[str]) -> bool:
    """Return whether a study, or a setting of it, names a profile."""
    from flows.text_form import assigned

    changed = assigned({}, settings).get("run") or {}
    return "profile" in study.run.model_fields_set or "profile" in changed


def _slurm() -> Any:
    """Return Slurm's commands; whoever waits because it is away is told so."""
    from infra.cluster.slurm_commands import Slurm

    return Slurm(note=lambda text: print(text, file=sys.stderr, flush=True))


def _root(study: str, settings: tuple[str, ...]) -> Path:
    """Return the folder of a dataset, by its path or by its study."""
    from flows.slurm_profile import STATE
    from flows.study import load_study, shipped_studies, with_settings

    folder = Path(study)
    # A folder may bear the name of a study; it is meant if something was submitted there.
    if (folder / STATE).is_dir() or (folder.is_dir() and study not in shipped_studies()):
        return folder.resolve()
    chosen: Any = with_settings(load_study(study), settings)
    return Path(chosen.dataset)
