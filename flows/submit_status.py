"""`romflow status`: how far a submitted study is, from its dataset and from one call to Slurm."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from flows.submit_jobs import left_over, outputs, unnumbered_names
from flows.submit_state import Submission, SubmissionPaths, read_submission
from infra.cluster.arrays import places, tail_of
from infra.cluster.slurm_commands import Queue, Slurm
from infra.cluster.slurm_errors import SlurmError
from infra.cluster.states import Outcome, goes_on, is_waiting, outcome_of
from infra.cluster.work import end_path, read_end
from infra.zarr_store import open_store

__all__ = ["Status", "status_of"]

# Lines of the journal that are shown, and of those that many chunks have alike.
_EVENTS, _ALIKE = 8, 2


@final
@dataclass(frozen=True)
class Status:
    """How far a submitted study is.

    Attributes
    ----------
    root : folder of the dataset
    stage : ``running``, ``done``, ``incomplete``, ``cancelled``, or ``stopped`` if no job is left
        that could go on
    samples, committed, failed : numbers of samples
    round : number of the present round of submissions
    chunks : numbers of chunks of this round that wait, run or have ended, by such a word
    reasons : why chunks or the last job wait, in Slurm's words
    jobs : numbers of the round's jobs, the finishing one first
    events : the last lines of the journal; many chunks that met the same are told in short
    complaint : why the dataset is incomplete, or what to do
    """

    root: Path
    stage: str
    samples: int
    committed: int
    failed: int
    round: int
    chunks: Mapping[str, int]
    reasons: tuple[str, ...]
    jobs: tuple[int, ...]
    events: tuple[str, ...]
    complaint: str


def status_of(root: Path, slurm: Slurm | None = None) -> Status:
    """Return how far a submitted study is.

    Parameters
    ----------
    root : folder of the dataset
    slurm : the commands

    Raises
    ------
    UserError
        If nothing was submitted there.
    """
    paths = SubmissionPaths(root)
    submission = read_submission(paths)
    store = open_store(root)
    last = submission.rounds[-1]
    complaint, stage, jobs = submission.complaint, str(submission.stage), tuple(last.jobs())
    committed = len(store.committed())
    if stage == "incomplete" and committed == len(store.samples):
        stage, complaint = "done", ""  # a run without Slurm has completed it since
    slurm, names = slurm or Slurm(), unnumbered_names(paths, submission)
    try:
        queue = slurm.queue(jobs)
        unnumbered = slurm.going_on(names) if names else ()
    except SlurmError as error:  # what the dataset says is true all the same
        queue, complaint = Queue({}, {}), str(error)
    else:
        living = (*left_over(queue), *unnumbered)
        jobs = tuple(dict.fromkeys((*jobs, *unnumbered)))
        if stage == "running" and not (living or _going_on(queue)):
            stage, complaint = "stopped", _why_stopped(paths, submission)
        elif stage == "cancelled" and living:
            complaint = (
                f"Its jobs {', '.join(map(str, living))} wait or run all the same: enter "
                "`romflow cancel` once more."
            )
    events = _told(paths.journal.read())
    return Status(
        root=root,
        stage=stage,
        samples=len(store.samples),
        committed=committed,
        failed=len(store.failures()),
        round=last.number,
        chunks=_chunks(paths, submission, queue),
        reasons=_reasons(queue),
        jobs=jobs,
        events=tuple(events[-_EVENTS:]),
        complaint=complaint,
    )


def _told(events: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the texts of events; where a crowd of chunks met the same, of the first ones only."""
    groups: list[tuple[str, dict[str, str]]] = []  # what is said of chunks, by their names
    for event in events:
        text, chunk = str(event.get("text", "")), str(event.get("chunk", ""))
        said = text.replace(chunk, "") if chunk else ""
        # A chunk that meets it once more does so in another round.
        if not (chunk and groups and groups[-1][0] == said and chunk not in groups[-1][1]):
            groups.append((said, {}))
        groups[-1][1][chunk] = text
    texts: list[str] = []
    for _, told in groups:
        lines = list(told.values())
        shown = lines[:_ALIKE] if len(lines) > _ALIKE + 1 else lines
        texts += shown
        if len(shown) < len(lines):
            texts.append(f"and so {len(lines) - len(shown)} more chunks")
    return texts


def _going_on(queue: Queue) -> bool:
    return any(goes_on(state) for state in queue.states.values())


def _why_stopped(paths: SubmissionPaths, submission: Submission) -> str:
    """Say what to do about jobs that are gone without a last one that collected how they ended."""
    again = "Its jobs are gone from Slurm. Submit the same study again: it goes on."
    for path in outputs(paths, submission):
        said = tail_of(path).strip()
        if said:
            last = said.splitlines()[-1]
            return f"{again} One of them said at its end: {last} ({path})."
    return (
        f"{again} If they end so again, look whether the site is as the profile says: romflow "
        f"doctor --profile PROFILE. They said nothing in {paths.folder}."
    )


def _chunks(paths: SubmissionPaths, submission: Submission, queue: Queue) -> dict[str, int]:
    """Return the numbers of the last round's chunks by what they do."""
    counts: Counter[str] = Counter()
    for group in submission.rounds[-1].groups:
        ends, submitted = paths.folder / group.folder / "ends", sum(a.count for a in group.arrays)
        for element, item in places(group.per_element):
            if element < submitted:
                state = group.array(element).state(queue, element)
                outcome = outcome_of(state, read_end(end_path(ends, element, item)))
                counts[_word(state, outcome)] += 1
    return dict(counts)


def _word(state: str | None, outcome: Outcome | None) -> str:
    if outcome is not None:
        return outcome.value
    return "waiting" if state is not None and is_waiting(state) else "running"


def _reasons(queue: Queue) -> tuple[str, ...]:
    waiting = {queue.reasons[key] for key, state in queue.states.items() if is_waiting(state)}
    return tuple(sorted(waiting - {"None"}))
