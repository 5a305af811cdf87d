"""The flows `generate-...-data`: study -> samples -> chunks as MPI jobs -> store -> catalogue.

One body under several names, one for each family of problems. A chunk is one Prefect task and one
MPI job. The state of the work is in the dataset alone: a rerun, after whatever happened, computes
what is not committed and nothing else.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any
from uuid import UUID

from prefect import Flow, flow, get_run_logger
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from prefect.task_runners import TaskRunner
from pydantic import BeforeValidator

from flows.artifacts import show_artifacts
from flows.beside import alone
from flows.chunks import INCOMPLETE, REFUSED, STORAGE, Gate, Problem, run_chunk
from flows.display import Display
from flows.families import FAMILIES, Family
from flows.messages import message_of
from flows.plan import Chunk, Plan, prepare
from flows.progress import Follower
from flows.publish import publish
from flows.slurm_profile import cluster_of, load_profile, places_of, ranks_of, runner_of
from flows.study import Study, load_study
from flows.study_parts import RunSettings
from flows.tasks import run_all
from infra.errors import RomflowError, StoreMismatchError, UserError

type GenerateFlow = Flow[..., State[dict[str, Any]]]

__all__ = [
    "FLOWS",
    "compute_chunks",
    "generate_advection_data",
    "generate_convection_diffusion_data",
    "generate_darcy_data",
    "generate_heat_data",
    "generate_helmholtz_data",
    "generate_ns_data",
    "generate_poisson_data",
    "generate_thermal_data",
    "task_runner",
]

# Groups of settings that may be given in part. The parameters are a choice as a whole.
_GROUPS = ("sampling", "time", "solver", "linear", "run")
# Seconds between updates of the artifact on the server.
_UPDATE = 5.0


@flow(name="compute-chunks", validate_parameters=False, persist_result=False)
def compute_chunks(plan: Plan, run: RunSettings) -> list[Problem]:
    """Run all chunks side by side, show how far they are, and return what went wrong."""
    attempt = run_chunk.with_options(retries=run.retries)
    profile = load_profile(run.profile)
    cluster, ranks = cluster_of(profile, plan.root), ranks_of(profile, run)
    gate = Gate(cluster.end_jobs)

    def submit(chunk: Chunk) -> Any:
        return attempt.submit(chunk.number, chunk, ranks, gate, cluster, return_state=False)

    try:
        with _following(plan) as look:
            return run_all(plan.chunks, submit, places_of(profile, run), look)
    finally:
        # Nothing is left unless this flow is being cancelled or has failed.
        gate.close()


def _make_flow(family: Family) -> GenerateFlow:
    """Return the flow of a family of problems, with the family's own default study.

    The study is read here, for Prefect's form shows the defaults before anything runs.
    """
    default = load_study(family.study)

    def generate(
        study: Study = default, retry_failed: bool = False, profile: str | None = None
    ) -> State[dict[str, Any]]:
        """Generate, or complete, the dataset of a study.

        Parameters
        ----------
        study : what to compute; what it does not name is as in the default study, unless it
            names its problem
        retry_failed : whether samples that failed before are tried again
        profile : cluster profile; none: the one that the study names

        Returns
        -------
        State
            Completed with the fields of `Summary`; or Failed with a message for people and the
            name ``Incomplete`` (the dataset holds all samples that could be computed),
            ``Refused`` (the study is wrong) or ``Storage``.
        """
        try:
            family.check(study.problem.name, study.name)
            placed = _placed(study, profile)
            with alone(placed):
                return _generate(placed, retry_failed)
        except (UserError, StoreMismatchError) as error:
            return Failed(name=REFUSED, message=str(error))
        except (RomflowError, OSError) as error:
            return Failed(name=STORAGE, message=message_of(error))

    generate.__name__ = generate.__qualname__ = family.flow.replace("-", "_")
    completed = BeforeValidator(lambda given: _completed(given, default))
    generate.__annotations__["study"] = Annotated[Study, completed]
    return flow(name=family.flow, description=family.summary, persist_result=False)(generate)


def _placed(study: Study, profile: str | None) -> Study:
    """Return the study on another cluster, if one is named."""
    if profile is None:
        return study
    run = study.run.model_copy(update={"profile": profile})
    return study.model_copy(update={"run": run})


def _completed(given: object, default: Study) -> object:
    """Take what a study does not name from the default one, unless it names its problem."""
    if not isinstance(given, Mapping) or "problem" in given:
        return given
    data = default.model_dump(mode="json")
    merged = {key: _merged(data[key], given[key]) for key in _GROUPS if key in given}
    return {**data, **given, **merged}


def _merged(default: object, given: object) -> object:
    """Return a group of settings changed by what is given of it; anything else as it is given."""
    if not (isinstance(default, Mapping) and isinstance(given, Mapping)):
        return given
    # A fixed time step replaces a Courant number, and the other way round.
    replaced = {"step", "cfl"} if given.keys() & {"step", "cfl"} else set()
    return {**{key: value for key, value in default.items() if key not in replaced}, **given}


def _generate(study: Study, retry_failed: bool) -> State[dict[str, Any]]:
    plan = prepare(study, retry_failed=retry_failed)
    get_run_logger().info(
        "%s: %d samples, %d committed, %d chunks to compute",
        plan.root,
        plan.n_samples,
        plan.n_committed,
        len(plan.chunks),
    )
    problems: list[Problem] = []
    if plan.chunks:
        runner = task_runner(study.run, plan.root)
        compute = compute_chunks.with_options(task_runner=runner)
        problems = compute(plan, study.run)
    summary = publish(study, [problem.message for problem in problems])
    show_artifacts(study.dataset, summary)
    if summary.complaint:
        # A disk that cannot be used, or an input that a chunk refused, is another thing than
        # samples that cannot be computed.
        kinds = {problem.kind for problem in problems}
        name = next((kind for kind in (STORAGE, REFUSED) if kind in kinds), INCOMPLETE)
        return Failed(name=name, message=summary.complaint, data=asdict(summary))
    return Completed(data=asdict(summary), message=f"{summary.committed} samples committed")


def task_runner(run: RunSettings, root: Path | None = None) -> TaskRunner[Any]:
    """Return what runs chunks side by side.

    Parameters
    ----------
    run : how many, and on which cluster
    root : folder of the dataset, for what workers print; None: the working folder
    """
    return runner_of(load_profile(run.profile), run, root or Path.cwd())


@contextmanager
def _following(plan: Plan) -> Iterator[Callable[[bool], None]]:
    """Give a function that shows how far the chunks are, and takes whether any is left."""
    follower, logger = Follower(plan), get_run_logger()
    unit = "samples" if plan.steady else "frames"
    artifact = create_progress_artifact(0.0, description=f"{unit.title()} of {plan.root.name}")
    assert isinstance(artifact, UUID), "a coroutine only inside asynchronous flows"
    updated = time.monotonic()
    with Display(plan.n_samples * max(plan.n_frames, 1), unit) as display:

        def look(pending: bool) -> None:
            nonlocal updated
            now = follower.look()
            display.show(now)
            for message in now.messages:
                logger.info(message)
            if not pending or time.monotonic() - updated > _UPDATE:
                update_progress_artifact(artifact, 100.0 * now.fraction)
                updated = time.monotonic()

        yield look


# Prefect finds a flow by a name in this module.
generate_ns_data = _make_flow(FAMILIES["generate-ns-data"])
generate_darcy_data = _make_flow(FAMILIES["generate-darcy-data"])
generate_thermal_data = _make_flow(FAMILIES["generate-thermal-data"])
generate_poisson_data = _make_flow(FAMILIES["generate-poisson-data"])
generate_helmholtz_data = _make_flow(FAMILIES["generate-helmholtz-data"])
generate_convection_diffusion_data = _make_flow(FAMILIES["generate-convection-diffusion-data"])
generate_heat_data = _make_flow(FAMILIES["generate-heat-data"])
generate_advection_data = _make_flow(FAMILIES["generate-advection-data"])

FLOWS: Mapping[str, GenerateFlow] = MappingProxyType(
    {
        made.name: made
        for made in (
            generate_ns_data,
            generate_darcy_data,
            generate_thermal_data,
            generate_poisson_data,
            generate_helmholtz_data,
            generate_convection_diffusion_data,
            generate_heat_data,
            generate_advection_data,
        )
    }
)
