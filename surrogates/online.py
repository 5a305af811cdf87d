"""Puts a training together: dataset, processes, feed, trainer, checkpoints, model folder.

What it tells, line by line: ``started`` (step, items, message), ``receiving`` (rendezvous, epoch),
``training`` (see `surrogates.training_report`), ``validated`` (errors, baseline_error, best),
``checkpoint`` (step, folder), ``hole``, ``client-silent`` and ``conflict`` (sample, message),
``turned-away`` (peer, message), ``model`` (folder, metrics). The entry point adds ``error`` and
``finished``.
"""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast, final

from infra.errors import UserError, storage_errors
from infra.files import FileLock
from infra.provenance import utc_now
from infra.records import Json
from surrogates.checkpoint import (
    Checkpoint,
    CheckpointFolder,
    require_budget,
    require_identity,
)
from surrogates.devices import device_of
from surrogates.feed_choice import OpenFeed, feed_parts, offline_feed, replay_feed
from surrogates.job import TrainingJob
from surrogates.live import LiveFeed
from surrogates.metrics import open_metrics
from surrogates.pool import Pool
from surrogates.progress_lines import ProgressLines
from surrogates.publishing import publish
from surrogates.sample_scores import SampleScores
from surrogates.saving import save_model
from surrogates.schedules import make_schedule
from surrogates.scored_steps import ScoredSteps
from surrogates.shared_steps import open_steps
from surrogates.states import nest, part
from surrogates.steps import Steps
from surrogates.study import Study
from surrogates.training import Outcome, Trainer
from surrogates.training_report import COLUMNS, Report
from surrogates.validation import Validator

__all__ = ["train"]

# The scores of the samples in a checkpoint.
_SCORES = "scores"
# A score is the mean over so many visits of each frame: those of long ago tell of another model.
_MEMORY = 2


def train(
    job: TrainingJob, lines: ProgressLines, stop: Callable[[], bool] = lambda: False
) -> Outcome:
    """Train a surrogate, and save it in the run folder; goes on from a checkpoint if there is one.

    Parameters
    ----------
    job
        What is trained from what.
    lines
        Where progress is told.
    stop
        Asked often; whether to make a checkpoint and leave. Then no model is saved.

    Returns
    -------
    Outcome
        How it ended.

    Raises
    ------
    UserError
        If the job cannot work: another study, a checkpoint of another model, no GPU.
    RomflowError
        If reception, storage or a process fails.
    """
    started = utc_now()
    device_of(job.training, job.training.processes - 1)
    study = Study.of(job)
    with ExitStack() as stack:
        _lock(job.paths.run, stack)
        folder = CheckpointFolder(job.paths.checkpoints)
        path, checkpoint = _newest(folder, study)
        after = 0 if checkpoint is None else int(str(checkpoint.trainer["step"]))
        pool, open_feed, message = _prepared(study, lines)
        steps = open_steps(study.recipe, pool, job.training, path, scored=job.active)
        stack.callback(steps.close)
        about = {"message": message} if message else {}
        lines.send("started", step=after, items=study.expected_items, **about)
        feed = open_feed()
        stack.callback(feed.close)
        steps = _scored(study, steps, feed, checkpoint)
        run = _Run(study, steps, feed, folder, _report(job, lines, feed, after, stack), stop)
        feed.start(None if checkpoint is None else checkpoint.feed)
        if checkpoint is not None:
            run.trainer.restore(checkpoint.trainer)
        checkpoint = None  # it holds a copy of the whole pool
        outcome = run.trainer.run()
        if outcome.reason != "stopped":
            run.publish(outcome, started, lines)
            feed.trained(stop)
    return outcome


@final
class _Run:
    """The trainer with what it calls back."""

    def __init__(
        self,
        study: Study,
        steps: Steps,
        feed: OpenFeed,
        folder: CheckpointFolder,
        report: Report,
        stop: Callable[[], bool],
    ) -> None:
        settings = study.job.training
        self._study, self._steps, self._feed, self._folder = study, steps, feed, folder
        self._report = report
        expected = frozenset(study.job.validation)
        self._validator = Validator(expected, settings.validation_batch, feed.holes)
        for held in study.committed(study.job.validation):
            self._validator.add(held)
        planned = settings.planned_steps(study.expected_items)
        self.trainer = Trainer(
            steps,
            feed.feed,
            settings,
            make_schedule(settings.schedule, planned, settings.batch),
            planned,
            report,
            validator=self._validator if study.job.validation else None,
            save=self._save,
            improved=self._improved,
            stop=stop,
        )

    def publish(self, outcome: Outcome, started: str, lines: ProgressLines) -> None:
        """Save the model, and say so."""
        self._feed.require_ours()
        if isinstance(self._steps, ScoredSteps):
            self._steps.write("over")
        metrics = publish(
            self._study,
            self._steps.learner.surrogate,
            self.trainer,
            self._validator,
            self._feed,
            outcome,
            started,
        )
        lines.send("model", folder=str(self._study.job.paths.model), metrics=metrics)

    def _save(self) -> None:
        self._feed.require_ours()
        learner, state = self._steps.learner, self._feed.feed.state()
        if isinstance(self._steps, ScoredSteps):
            self._steps.write()
            state |= nest(_SCORES, self._steps.scores.state())
        path = self._folder.write(
            Checkpoint(
                learner.weights(),
                learner.optimiser_state(),
                state,
                self.trainer.state(),
                {**_identity(self._study), "budget": _budget(self._study)},
            )
        )
        self._feed.checkpointed(state)
        self._report.note("checkpoint", step=self.trainer.step, folder=str(path))

    def _improved(self) -> None:
        """Keep the best model, if training watches for it."""
        if self._study.job.training.patience is not None:
            save_model(self._steps.learner.surrogate, self._study.job.paths.best)


def _prepared(study: Study, lines: ProgressLines) -> tuple[Pool, Callable[[], OpenFeed], str]:
    """Return the pool, and what opens the feed: simulations come as soon as it is open."""
    job = study.job
    if job.rendezvous is None and job.replay is None:
        offline = offline_feed(study)
        return offline.feed.pool, lambda: offline, ""
    parts = feed_parts(study)
    if job.replay is not None:
        return parts.pool, lambda: replay_feed(study, parts), parts.message
    return parts.pool, lambda: LiveFeed(study, parts, lines.send), parts.message


def _scored(study: Study, steps: Steps, feed: OpenFeed, checkpoint: Checkpoint | None) -> Steps:
    """Let the steps keep score of the samples, if the job asks for it."""
    job = study.job
    if not job.active:
        return steps
    assert isinstance(feed, LiveFeed), "a job is only active with a rendezvous"
    scores = SampleScores(max(job.samples) + 1, _MEMORY * study.design.n_frames)
    if checkpoint is not None and (state := part(_SCORES, checkpoint.feed)):
        scores.restore(state)
    return ScoredSteps(steps, scores, feed.samples_of, job.paths.scores)


def _newest(folder: CheckpointFolder, study: Study) -> tuple[Path | None, Checkpoint | None]:
    path = folder.newest()
    if path is None:
        return None, None
    checkpoint = folder.read(path)
    found = dict(checkpoint.identity)
    trained = found.pop("budget", None)
    require_identity(path, _identity(study), found)
    finished = checkpoint.trainer.get("ended") is not None
    require_budget(path, _budget(study), cast(Any, trained) or {}, finished=finished)
    return path, checkpoint


def _identity(study: Study) -> dict[str, Json]:
    """Return what must not change between a checkpoint and a training that goes on from it."""
    job = study.job
    return {
        "study": job.study,
        "model": job.model.name,
        "mode": job.model.mode,
        "model settings": job.model.settings,
        "samples": [*job.samples],
        "validation": [*job.validation],
        "bounds": {name: [*ends] for name, ends in job.bounds.items()},
        "logarithmic": [*job.logarithmic],
    }


def _budget(study: Study) -> dict[str, Json]:
    """Return what the feed and the reservoir were planned with."""
    settings, reservoir = study.job.training, study.job.reservoir
    return {
        "passes": settings.passes,
        "steps": settings.steps,
        "seconds": settings.seconds,
        "batch": settings.batch,
        "reservoir": reservoir.kind,
        "capacity": reservoir.capacity,
        "seed": settings.seed,
    }


def _report(
    job: TrainingJob, lines: ProgressLines, feed: OpenFeed, after: int, stack: ExitStack
) -> Report:
    paths = job.paths
    metrics = open_metrics(job.training.logging, paths.history, paths.tensorboard, COLUMNS, after)
    report = Report(lines, metrics, feed.blocked)
    stack.callback(report.close)
    return report


def _lock(run: Path, stack: ExitStack) -> None:
    """Take the run folder for this process."""
    with storage_errors(run):
        run.mkdir(parents=True, exist_ok=True)
    lock = FileLock(run / ".lock")
    if not lock.acquire(wait=False):
        raise UserError(
            f"run: expected a folder that no other training uses, received {run}. Wait for the "
            "other one, end it, or give another folder."
        )
    stack.callback(lock.release)
