"""Devices and threads of a trainer process."""

from typing import Any

import torch

from infra.errors import UserError
from surrogates.settings import TrainingSettings

__all__ = ["device_of", "prepare_process"]


def device_of(settings: TrainingSettings, rank: int = 0) -> torch.device:
    """Return the device of one of the trainer processes; several GPUs are given out in order.

    Raises
    ------
    UserError
        If a GPU is asked for that is not there.
    """
    device = torch.device(settings.device)
    if device.type == "cpu":
        return device
    number = (device.index or 0) + rank
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if number >= found:
        raise UserError(
            f"training.device: expected GPU number {number} for process {rank} of "
            f"{settings.processes}, received a machine with {found}. Give `device: cpu`, fewer "
            "processes, or start on a machine with a GPU and a PyTorch built for it."
        )
    return torch.device("cuda", number)


def prepare_process(settings: TrainingSettings, deterministic: bool = True) -> None:
    """Set what PyTorch keeps for a whole process; call it in a process that only trains.

    Parameters
    ----------
    settings
        Their number of threads is taken.
    deterministic
        Whether the same numbers come out every time. It is had on the CPU only, where it costs
        nothing.
    """
    torch.set_num_threads(settings.threads)
    if deterministic and settings.device == "cpu":
        torch.use_deterministic_algorithms(True)
        # New memory would else be filled: nothing here reads it unwritten.
        memory: Any = torch.utils.deterministic
        memory.fill_uninitialized_memory = False
