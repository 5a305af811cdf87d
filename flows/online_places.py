"""Where trainer and simulations of an online training run, and how frames go between them."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from flows.online_study import OnlineStudy
from flows.slurm_profile import load_profile, ranks_of, runner_of
from flows.study_parts import RunSettings
from infra.cluster.profile import Profile
from infra.errors import UserError
from infra.streaming.transport import Transport, is_loopback

if TYPE_CHECKING:
    from prefect.task_runners import TaskRunner

__all__ = ["Places", "places_of"]

_TRAINER_KINDS = ("local", "slurm")


@final
@dataclass(frozen=True)
class Places:
    """Where a training runs.

    Attributes
    ----------
    simulations, trainer : profiles of both
    ranks : MPI processes of each simulation
    transport : how frames go from the ones to the other
    """

    simulations: Profile
    trainer: Profile
    ranks: int
    transport: Transport

    def side_by_side(self, run: RunSettings) -> int:
        """Return how many chunks can be computed at once, as far as the profile says."""
        profile = self.simulations
        if profile.kind == "slurm":
            return profile.throttle or run.workers
        return (profile.workers or run.workers) * profile.slots

    def runner(self, run: RunSettings, root: Path) -> "TaskRunner[Any]":
        """Return what runs chunks side by side, as Prefect tasks.

        Parameters
        ----------
        run : of the study
        root : folder of the simulations; receives what Dask's workers print
        """
        # Its own frames are what a training is for, so that `runner: dask` changes nothing here.
        threads = run.model_copy(update={"runner": "threads"})
        return runner_of(self.simulations, threads, root)


def places_of(training: OnlineStudy) -> Places:
    """Return where a training runs.

    The trainer of simulations that are Slurm jobs is one itself, else it runs where the flow
    runs; `trainer_profile` may say otherwise.

    Raises
    ------
    UserError
        If a profile is unknown or wrong, or the simulations would not reach the trainer.
    """
    run = training.study.run
    simulations = load_profile(run.profile)
    trainer = _trainer_profile(training, simulations)
    transport = _transport(training, _on_one_machine(simulations, trainer))
    return Places(simulations, trainer, ranks_of(simulations, run), transport)


def _trainer_profile(training: OnlineStudy, simulations: Profile) -> Profile:
    if training.trainer_profile is None:
        return simulations if simulations.kind == "slurm" else Profile()
    chosen = load_profile(training.trainer_profile)
    if chosen.kind not in _TRAINER_KINDS:
        raise UserError(
            f"trainer_profile: expected a profile of kind {' or '.join(_TRAINER_KINDS)}, for a "
            f"trainer is one job, received {training.trainer_profile} of kind {chosen.kind}; its "
            "simulations may run there, by study.run.profile"
        )
    return chosen


def _on_one_machine(simulations: Profile, trainer: Profile) -> bool:
    dask_here = simulations.kind == "dask" and simulations.scheduler is None
    return trainer.kind == "local" and (simulations.kind == "local" or dask_here)


def _transport(training: OnlineStudy, together: bool) -> Transport:
    """Return how frames travel; refuse what does not reach another machine."""
    reception = training.reception
    if together:
        return reception.carried
    names = f"the profile {training.study.run.profile}"
    if reception.transport == "local":
        raise UserError(
            f"reception.transport: expected tcp or auto with {names}, for trainer and simulations "
            "may be on different machines, received local"
        )
    if reception.interface is not None and is_loopback(reception.interface):
        raise UserError(
            f"reception.interface: expected an address that other machines reach with {names}, "
            f"such as * for all, received {reception.interface}"
        )
    return "tcp"
