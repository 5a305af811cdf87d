"""The trainings of `online_offline`: from live simulations, and from simulations on disk."""

import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, final

from _papers_cases import Case

from flows.online_plan import OnlinePlan, prepare_online
from infra.cluster import JobResult, LocalCluster, kill_jobs
from surrogates.job import TrainingJob, read_job

__all__ = ["Archive", "Run", "live", "stored"]

# Seconds between looks for the rendezvous, and between attempts to end jobs.
_LOOK, _AGAIN = 0.05, 0.2


@final
@dataclass(frozen=True)
class Run:
    """One training that is over.

    Attributes
    ----------
    way, seed : how it got its data
    simulations : that it could learn from
    steps, errors, mses : of each validation; errors are relative, squares normalised
    metrics : what the trainer has put on the model's card
    simulated : seconds of the solver for the simulations that were trained on
    wall : seconds from the first simulation to the model, starts of processes included
    kept : bytes left on disk, without the model; an archive is not counted
    """

    way: str
    seed: int
    simulations: int
    steps: tuple[int, ...]
    errors: tuple[float, ...]
    mses: tuple[float, ...]
    metrics: dict[str, Any]
    simulated: float
    wall: float
    kept: int


@final
@dataclass(frozen=True)
class Archive:
    """All simulations of an online training, kept on disk.

    Attributes
    ----------
    job : of that training
    seconds : of the solver, by simulation
    nbytes : of one simulation on disk
    """

    job: TrainingJob
    seconds: dict[int, float]
    nbytes: float


def live(case: Case, seed: int, folder: Path, *, archive: bool) -> tuple[Run, Archive]:
    """Train while the simulations run, one MPI job after another.

    The simulations end with the trainer; those that are archived run to their end.
    """
    training = case.online(seed, folder, archive=archive)
    plan = prepare_online(training)
    start, stop = time.perf_counter(), Event()
    with ThreadPoolExecutor(2) as pool:
        trainer = pool.submit(LocalCluster().run_alone, ["surrogates", str(plan.job)], plan.log)
        jobs: list[Future[Any]] = [trainer]
        try:
            _wait_for(plan, trainer)
            jobs.append(pool.submit(_simulate, plan, stop))
            while not wait([trainer], _AGAIN).done:
                if jobs[1].done():  # a trainer would wait for simulations that have crashed
                    jobs[1].result()
            _require(trainer.result(), plan.log)
            wall = time.perf_counter() - start
            if archive:
                jobs[1].result()
        finally:
            stop.set()
            while wait(jobs, _AGAIN).not_done:
                kill_jobs()
    seconds, job = _seconds(plan), read_job(plan.job)
    left = _size(plan.folder) - _size(job.paths.model)
    run = _read("online", seed, case.many, plan.log, case.validation, seconds, wall, left)
    return run, Archive(job, seconds, _size(job.dataset) / (case.many + case.held_out))


def stored(way: str, seed: int, samples: Sequence[int], archive: Archive, folder: Path) -> Run:
    """Train from stored simulations, all in memory: same model, steps, batch and schedule."""
    training = archive.job.training.model_copy(update={"seed": seed})
    job = archive.job.model_copy(
        update={
            "rendezvous": None,
            "run": folder,
            "samples": tuple(samples),
            "training": training,
        }
    )
    folder.mkdir(parents=True)
    path, log = folder / "job.json", folder / "trainer.jsonl"
    path.write_text(job.model_dump_json())
    start = time.perf_counter()
    _require(LocalCluster().run_alone(["surrogates", str(path)], log), log)
    wall = time.perf_counter() - start
    seconds = {index: archive.seconds.get(index, 0.0) for index in samples}
    kept = round(len(samples) * archive.nbytes)
    wall += sum(seconds.values())  # one after the other
    return _read(way, seed, len(samples), log, (), seconds, wall, kept)


def _simulate(plan: OnlinePlan, stop: Event) -> None:
    for chunk in plan.simulations.chunks:
        if stop.is_set():
            return
        result = LocalCluster().run(["solvers", str(chunk.job)], 1, chunk.log)
        if not stop.is_set():
            _require(result, chunk.log)


def _wait_for(plan: OnlinePlan, trainer: "Future[JobResult]") -> None:
    """Wait until simulations find the trainer."""
    while not plan.rendezvous.exists() and not trainer.done():
        time.sleep(_LOOK)


def _require(result: JobResult, log: Path) -> None:
    if result.code:
        raise RuntimeError(f"{log}: ended with code {result.code}: {result.errors}")


def _events(log: Path, name: str) -> Iterator[dict[str, Any]]:
    for line in log.read_text().splitlines():
        if line.startswith("{") and (event := json.loads(line))["event"] == name:
            yield event


def _seconds(plan: OnlinePlan) -> dict[int, float]:
    """Return the solver's seconds of each simulation that is through."""
    logs = [chunk.log for chunk in plan.simulations.chunks]
    return {e["sample"]: e["seconds"] for log in logs for e in _events(log, "committed")}


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _read(
    way: str,
    seed: int,
    simulations: int,
    log: Path,
    held_out: Sequence[int],
    seconds: dict[int, float],
    wall: float,
    kept: int,
) -> Run:
    """Read a training's log."""
    validated = [*_events(log, "validated")]
    (model,) = _events(log, "model")
    return Run(
        way,
        seed,
        simulations,
        tuple(e["step"] for e in validated),
        tuple(e["validation_error"] for e in validated),
        tuple(e["validation_mse"] for e in validated),
        model["metrics"],
        sum(value for index, value in seconds.items() if index not in held_out),
        wall,
        kept,
    )
