"""What a training leaves: the model folder with its lineage, and the report of the bias."""

import json
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import cast

import numpy as np

from infra.errors import storage_errors
from infra.files import replace_durably
from infra.provenance import collect, utc_now
from infra.records import Json
from surrogates.feed_choice import OpenFeed
from surrogates.saving import load_model, save_model
from surrogates.study import Study
from surrogates.surrogate import Surrogate
from surrogates.training import Outcome, Trainer
from surrogates.validation import Score, Validator

__all__ = ["lineage_of", "publish"]

# Packages whose versions decide the numbers.
_PACKAGES = ("romflow", "torch", "numpy", "neuraloperator", "safetensors")


def publish(
    study: Study,
    surrogate: Surrogate,
    trainer: Trainer,
    validator: Validator,
    feed: OpenFeed,
    outcome: Outcome,
    started: str,
) -> dict[str, Json]:
    """Save the model, the best one if training watched for it, and the report of the bias.

    Parameters
    ----------
    study, trainer, validator, feed, outcome
        Of the training, which is over.
    surrogate
        The model after the last step.
    started
        When it began, ISO 8601.

    Returns
    -------
    dict
        The metrics that are on the model's card.

    Raises
    ------
    StorageFullError, StorageAccessError
        If something cannot be written.
    """
    paths = study.job.paths
    model, score = surrogate, outcome.score
    watched = study.job.training.patience is not None
    if watched and trainer.early.best_step not in (0, trainer.step) and paths.best.is_dir():
        model = load_model(paths.best).to(next(surrogate.parameters()).device)
        score = validator.score(model)
    bias = feed.feed.bias()
    metrics: dict[str, Json] = {
        "steps": outcome.steps,
        "best_step": trainer.early.best_step,
        "reason": outcome.reason,
        "seconds": trainer.seconds,
        "starving_seconds": trainer.starving,
        "blocked_seconds": feed.blocked(),
        "holes": {str(sample): reason for sample, reason in sorted(feed.holes().items())},
        "visits": bias.visits,
        "items": bias.items,
        "mean_views": bias.visits / max(bias.items, 1),
        "never_seen": bias.never_seen,
        "decile_ratio": bias.to_dict()["ratio"],
        **_errors(score, validator, model),
    }
    with storage_errors(paths.run):
        replace_durably(paths.bias, (json.dumps(bias.to_dict(), indent=1) + "\n").encode())
        _save_example(paths.examples, validator, model)
    save_model(model, paths.model, metrics=metrics, lineage=lineage_of(study, started))
    return metrics


def lineage_of(study: Study, started: str) -> dict[str, Json]:
    """Return where a model comes from: study, samples, settings, code, packages, machine."""
    job = study.job
    settings = job.training
    provenance = collect(
        {"device": settings.device, "precision": settings.precision},
        settings.seed,
        settings.processes,
        started,
        _PACKAGES,
        job.code,
    )
    code: dict[str, Json] = {"git_commit": provenance.git_commit, "git_dirty": provenance.git_dirty}
    origin = "stream" if job.rendezvous else "replay" if job.replay else "dataset"
    return {
        "study": job.study,
        "dataset": study.store.description.name,
        "data_from": origin,
        **code,
        "samples": [*job.samples],
        "validation": [*job.validation],
        "training": cast(Json, settings.model_dump(mode="json")),
        "reservoir": cast(Json, job.reservoir.model_dump(mode="json")),
        "provenance": cast(Json, {**asdict(provenance), "finished": utc_now()}),
    }


def _save_example(path: Path, validator: Validator, model: Surrogate) -> None:
    """Write one held-out trajectory and its prediction, for a picture."""
    example = validator.example(model)
    if example is None:
        return
    held, prediction = example
    memory = BytesIO()
    np.savez(
        memory,
        allow_pickle=False,
        sample=held.sample,
        times=held.times,
        truth=held.values,
        prediction=prediction,
    )
    replace_durably(path, memory.getvalue())


def _errors(score: Score | None, validator: Validator, model: Surrogate) -> dict[str, Json]:
    if score is None:
        return {}
    return {
        "validation_error": score.error,
        "validation_mse": score.mse,
        "validation_fields": dict(score.fields),
        "validation_frames": score.frames,
        "baseline": "persistence" if model.autoregressive else "mean field",
        "baseline_error": score.baseline,
        "rollout_error": validator.rollout_error(model),
    }
