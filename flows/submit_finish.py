"""The last job of each round of a submitted study: ``python -m flows.submit_finish DATASET``.

It looks how the round's jobs ended, submits again what is worth another attempt, and publishes the
dataset when nothing is. It may be killed and started again at any point: what it decides is written
down before it acts, and a job that was submitted is found again by its name.
"""

import argparse
import sys
from contextlib import suppress
from pathlib import Path

from flows.plan import prepare
from flows.publish import publish
from flows.study import Study
from flows.submit_costs import packing_of
from flows.submit_rounds import open_round, submit_round
from flows.submit_state import Group, Submission, SubmissionPaths, read_submission
from infra.cluster.arrays import places
from infra.cluster.controller import note_restart
from infra.cluster.policy import Attempt, advice, next_attempt
from infra.cluster.resources import Limits
from infra.cluster.slurm_commands import Queue, Slurm
from infra.cluster.slurm_limits import limits_of
from infra.cluster.states import Outcome
from infra.cluster.work import PROGRESS, End, Work, count_events, read_work
from infra.errors import RomflowError
from infra.files import locked

__all__ = ["finish", "main"]


def main(arguments: list[str] | None = None) -> int:
    """Collect a round; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m flows.submit_finish")
    parser.add_argument("root", type=Path, help="folder of the dataset")
    parser.add_argument("--token", default="", help="of the submission that it belongs to")
    # What every batch script tells of its job is not needed here.
    for name in ("--round", "--element", "--job", "--restart", "--seconds"):
        parser.add_argument(name, type=int, default=0)
    options = parser.parse_args(arguments)
    paths = SubmissionPaths(options.root)
    try:
        slurm = Slurm(note=lambda text: paths.journal.write("waited", text))
        finish(paths, options.round, slurm, options.token)
    except (RomflowError, OSError) as error:
        print(error, file=sys.stderr)
        with suppress(RomflowError, OSError):  # the disk may be what failed
            paths.journal.write("error", f"the last job failed: {error}")
        return 3
    return 0


def finish(paths: SubmissionPaths, number: int, slurm: Slurm, token: str = "") -> Submission:
    """Collect a round, and go on with the next one or publish.

    Parameters
    ----------
    paths : of the dataset
    number : of the round; nothing is done if a later one is under way
    slurm : the commands
    token : of the submission that this job belongs to; nothing is done if another one is under way
    """
    with locked(paths.lock):
        submission = read_submission(paths)
        if token and token != submission.token:
            return submission
        last = submission.rounds[-1]
        if submission.stage != "running" or last.number > number + 1:
            return submission
        if last.number == number + 1:  # an earlier start of this job came so far
            if last.finisher is not None:
                return submission
            return submit_round(paths, submission, slurm, again=True)
        note_restart(paths.journal, slurm)
        study = Study.model_validate(submission.study)
        chunks, partitions = prepare(study, logs=False).chunks, slurm.partitions()
        left, limits = {c.number for c in chunks}, limits_of(partitions, submission.profile)
        attempts, problems = _judge(paths, submission, left, study.run.retries, limits, slurm)
        problems = (*submission.problems, *problems)
        submission = submission.model_copy(update={"problems": problems})
        if attempts:
            rounds, profile = submission.rounds, submission.profile
            packing = packing_of(study, profile, chunks, rounds, partitions)
            return submit_round(paths, open_round(paths, submission, attempts, packing), slurm)
        summary = publish(study, problems)
        stage = "incomplete" if summary.complaint else "done"
        ended = {"stage": stage, "complaint": summary.complaint}
        submission = submission.model_copy(update=ended)
        paths.save(submission)
        paths.journal.write(stage, f"{summary.committed} of {summary.samples} samples committed")
        return submission


def _judge(
    paths: SubmissionPaths,
    submission: Submission,
    left: set[int],
    retries: int,
    limits: Limits,
    slurm: Slurm,
) -> tuple[dict[int, Attempt], tuple[str, ...]]:
    """Return the chunks that are tried again, and why others are not."""
    last = submission.rounds[-1]
    queue = slurm.queue(last.jobs())
    attempts: dict[int, Attempt] = {}
    problems = []
    for group in last.groups:
        work = read_work(paths.folder / group.folder / "work.json")
        members = zip(group.chunks, group.sizes, places(group.per_element), strict=True)
        for chunk, size, (element, item) in members:
            if chunk not in left:
                _note_late_end(
                    paths, chunk, group.array(element).outcome(queue, work, element, item)[0]
                )
                continue
            outcome, end = _outcome(group, queue, work, element, item)
            progress = count_events(work.elements[element][item].log, PROGRESS, size) > 0
            following = next_attempt(
                outcome, group.attempt, progress=progress, retries=retries, limits=limits
            )
            paths.journal.note(f"{chunk:06d}", outcome, group.attempt, following)
            if following is not None:
                attempts[chunk] = following
            else:
                log = _log(work.elements[element][item].log, paths.folder / group.folder)
                problems.append(_problem(chunk, outcome, group.attempt, end, log))
    return attempts, tuple(problems)


def _note_late_end(paths: SubmissionPaths, chunk: int, outcome: Outcome | None) -> None:
    """Note what befell a job that had nothing left to do."""
    if outcome is not None and outcome not in (Outcome.DONE, Outcome.CLOSED):
        text = f"chunk {chunk:06d} {outcome.value}, after its last sample"
        paths.journal.write(outcome.name.lower(), text, chunk=f"{chunk:06d}")


def _outcome(
    group: Group, queue: Queue, work: Work, element: int, item: int
) -> tuple[Outcome, End | None]:
    """Return how a chunk ended; one that Slurm still speaks of was lost on the way."""
    outcome, end = group.array(element).outcome(queue, work, element, item)
    if outcome is Outcome.DONE:  # it is asked for only if something is left
        return Outcome.CRASHED, end
    return outcome or Outcome.LOST, end


def _log(log: Path, folder: Path) -> Path:
    """Return where to look: at the chunk's log or, if it was not begun, at what its jobs said."""
    return log if log.exists() and log.stat().st_size else folder


def _problem(chunk: int, outcome: Outcome, attempt: Attempt, end: End | None, log: Path) -> str:
    if outcome in (Outcome.REFUSED, Outcome.STORAGE) and end is not None:
        return end.errors.strip()
    said = f" It said: {end.errors.strip()}" if end is not None and end.errors.strip() else ""
    text = f"chunk {chunk}: its Slurm job {outcome.value}. {advice(outcome, attempt)}{said}"
    return f"{text} Log: {log}"


if __name__ == "__main__":
    sys.exit(main())
