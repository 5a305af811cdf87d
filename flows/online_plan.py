"""From an online training to jobs that are ready to run: the trainer's and the simulations'."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from flows.breeding import breed_samples, rounds_of
from flows.design import Design, design, problem_and_space
from flows.online_places import Places, places_of
from flows.online_study import OnlineStudy
from flows.plan import Plan, prepare
from infra.errors import UserError, storage_errors
from infra.streaming.frames import stream_spec
from infra.zarr_store import open_store
from surrogates.job import TrainingJob, read_job

__all__ = ["OnlinePlan", "check_design", "online_design", "prepare_online"]


@final
@dataclass(frozen=True)
class OnlinePlan:
    """What is left to do.

    Attributes
    ----------
    folder : folder of the surrogate
    simulations : the chunks that are left, held-out simulations first
    job, log : the trainer's job file and its log
    rendezvous : file in which simulations find the trainer
    places : where both run
    """

    folder: Path
    simulations: Plan
    job: Path
    log: Path
    rendezvous: Path
    places: Places


def online_design(training: OnlineStudy) -> Design:
    """Return the samples, and chunks in the order in which a trainer should see them.

    Held-out simulations come first, so that errors are known early. The others stay in the order
    in which they were drawn: neighbours one after another, as a sequence of linear systems likes
    them, would teach one corner of the parameter box at a time. With active sampling, later rounds
    have no parameters yet; a chunk never spans two rounds.

    Raises
    ------
    UserError
        See `flows.design.design`.
    """
    if training.study.sampling.breed is None:
        made = design(training.data)
    else:
        problem, space = problem_and_space(training.data)
        made = Design(problem, space, breed_samples(training, problem, space), ())
    size = training.study.run.chunk_size
    parts = [training.held_out, *rounds_of(training)]
    return replace(made, chunks=tuple(chunk for part in parts for chunk in _cut(part, size)))


def prepare_online(training: OnlineStudy, *, retry_failed: bool = False) -> OnlinePlan:
    """Create or open the folders and write the jobs of what is left.

    Raises
    ------
    UserError
        See `flows.plan.prepare` and `places_of`.
    StoreError
        If the folder holds the stream of another study.
    StorageFullError, StorageAccessError
        If it cannot be written.
    """
    folder, data, places = training.folder, training.data, places_of(training)
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    made = online_design(training)
    simulations = prepare(
        data,
        retry_failed=retry_failed,
        made=made,
        stream=training.rendezvous,
        archive=training.archive,
    )
    store = open_store(data.dataset)
    job = TrainingJob(
        study=stream_spec(store.description).study,
        dataset=data.dataset,
        run=folder,
        code=Path(__file__).resolve().parents[1],
        rendezvous=training.rendezvous,
        samples=tuple(range(training.study.sampling.samples)),
        validation=training.held_out,
        bounds={p.name: (p.low, p.high) for p in made.space.parameters},
        active=training.study.sampling.breed is not None,
        logarithmic=tuple(p.name for p in made.space.parameters if p.scale == "log"),
        model=training.model,
        reservoir=training.reservoir,
        reception=training.reception.model_copy(
            update={
                "transport": places.transport,
                "drain": training.archive or training.reception.drain,
            }
        ),
        training=training.training,
    )
    path, log = _job_file(training), folder / "trainer.jsonl"
    with storage_errors(path):
        path.write_text(job.model_dump_json(indent=2))
        log.touch()
    return OnlinePlan(folder, simulations, path, log, training.rendezvous, places)


def _cut(indices: tuple[int, ...], size: int) -> tuple[tuple[int, ...], ...]:
    return tuple(indices[i : i + size] for i in range(0, len(indices), size))


def check_design(training: OnlineStudy) -> None:
    """Raise `UserError` for what is wrong with a training before anything is started."""
    places_of(training)
    online_design(training)
    if not _begun_with_this_model(training):
        from surrogates.architectures import network_settings  # loads PyTorch, for seconds

        network_settings(training.model.name, training.model.settings)
    if training.data.steady and training.model.mode == "autoregressive":
        raise UserError(
            f"training {training.name}: expected the mode `direct` for the steady problem "
            f"{training.study.problem.name}, received `autoregressive`"
        )


def _begun_with_this_model(training: OnlineStudy) -> bool:
    """Return whether a run before this one has written a job with the same model.

    It had checked that model, and the trainer does so too: a flow that was killed is back sooner
    if only one of the two loads PyTorch.
    """
    try:
        return read_job(_job_file(training)).model == training.model
    except UserError:  # there is none, or a kill has torn it
        return False


def _job_file(training: OnlineStudy) -> Path:
    return training.folder / "job.json"
