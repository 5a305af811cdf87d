"""Restarts of Slurm's controller, which a study outlives without anybody's noticing."""

from infra.cluster.journal import Journal
from infra.cluster.slurm_commands import Slurm

__all__ = ["note_restart"]


def note_restart(journal: Journal, slurm: Slurm) -> str | None:
    """Note that the controller was started again, if that is so; return when it was started.

    Jobs on their nodes go on without a controller, and no command may have missed it. Its start is
    compared with the last one that this journal knows of: several restarts count as one.

    Parameters
    ----------
    journal : of the dataset
    slurm : the commands
    """
    boot = slurm.boot()
    known = next((event["boot"] for event in reversed(journal.read()) if event.get("boot")), None)
    if boot is not None and known is not None and boot != known:
        journal.write(
            "controller", f"Slurm's controller was started again at {boot} UTC", boot=boot
        )
    return boot
