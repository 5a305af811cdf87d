"""Jobs in Slurm whose flow was killed: the next run of the same dataset ends them first.

A flow that waits for its jobs cannot cancel them when it is killed itself. What it leaves tells
the next one what to look for::

    <folder>/runs.lock                held while ownership changes
             run-<token>/owner.lock   held by the flow while it lives, removed at its end
                         <n>/*.sh     named as their jobs, and written before these are submitted

A folder whose `owner.lock` nobody holds belongs to a flow that is gone. Its jobs are found by
their names, whatever their numbers are, and cancelled rather than adopted: what they committed is
kept, and no sample is computed by two jobs at a time.
"""

import uuid
from contextlib import suppress
from pathlib import Path
from typing import final

from infra.cluster.journal import Journal
from infra.cluster.slurm_commands import Slurm
from infra.cluster.slurm_errors import SlurmError
from infra.errors import UserError, storage_errors
from infra.files import FileLock, locked

__all__ = ["Owner", "end_orphans", "has_owner"]

_OWNER, _CHANGES = "owner.lock", "runs.lock"
# Seconds between two looks whether cancelled jobs are gone, and until that is given up. A job
# that ignores Slurm's request is killed by it half a minute later.
_LOOK, _PATIENCE = 2.0, 300.0


@final
class Owner:
    """The folder of one flow's jobs, which is the flow's as long as it lives.

    Parameters
    ----------
    folder : of everything in Slurm that concerns a dataset
    """

    def __init__(self, folder: Path) -> None:
        self.run = folder / f"run-{uuid.uuid4().hex[:12]}"
        self._changes, self._lock = folder / _CHANGES, FileLock(self.run / _OWNER)
        self._taken = False

    def take(self) -> None:
        """Make the folder and take it; nothing happens if that was done before."""
        if self._taken:
            return
        with storage_errors(self.run):
            self.run.mkdir(parents=True, exist_ok=True)
        with locked(self._changes):  # nobody may see the file before it is held
            self._lock.acquire()
        self._taken = True

    def release(self) -> None:
        """Say that no job of this flow is left; a folder that received none goes too."""
        if self._taken:
            _clear(self.run)
            self._lock.release()
            self._taken = False


def has_owner(folder: Path) -> bool:
    """Return whether a flow lives that has jobs of a dataset in Slurm.

    Parameters
    ----------
    folder : of everything in Slurm that concerns the dataset; it need not exist
    """
    for path in folder.glob(f"run-*/{_OWNER}"):
        lock = FileLock(path, make=False)
        with suppress(FileNotFoundError):  # it went in this moment
            if not lock.acquire(wait=False):
                return True
            lock.release()
    return False


def end_orphans(folder: Path, journal: Journal, slurm: Slurm | None = None) -> tuple[int, ...]:
    """Cancel the jobs of flows that were killed, and wait for their end.

    Parameters
    ----------
    folder : of everything in Slurm that concerns a dataset; it need not exist
    journal : receives what was found
    slurm : the commands; Slurm is asked only if a flow was killed

    Returns
    -------
    tuple of int
        Numbers of the jobs that were cancelled.

    Raises
    ------
    UserError
        If there may be such jobs, but no Slurm on this machine.
    SlurmError
        If Slurm does not answer, or cannot end them.
    """
    if not any(folder.glob(f"run-*/{_OWNER}")):
        return ()
    with locked(folder / _CHANGES):  # who comes second waits until these jobs are gone
        ended: list[int] = []
        for path in sorted(folder.glob(f"run-*/{_OWNER}")):
            lock = FileLock(path, make=False)
            if _left(lock):
                try:
                    ended += _end(path.parent, slurm or Slurm())
                    _clear(path.parent)
                finally:
                    lock.release()
    if ended:
        jobs = ", ".join(map(str, ended))
        journal.write("orphaned", f"a flow was killed; its jobs {jobs} were cancelled")
    return tuple(ended)


def _left(lock: FileLock) -> bool:
    """Take the lock of a flow that was killed; False if it lives, or has cleared up just now."""
    try:
        return lock.acquire(wait=False)
    except FileNotFoundError:
        return False


def _clear(run: Path) -> None:
    """Remove the word that a run may have jobs, and its folder if it never had any."""
    (run / _OWNER).unlink(missing_ok=True)
    with suppress(OSError):  # the scripts of its jobs are kept
        run.rmdir()


def _end(run: Path, slurm: Slurm) -> tuple[int, ...]:
    """Cancel all jobs of a run and wait until Slurm says that they are over."""
    names = sorted(path.stem for path in run.glob("*/*.sh"))
    try:
        found = left = slurm.going_on(names)
    except UserError as error:
        raise UserError(
            f"{run}: expected Slurm on this machine, for a flow that was killed may have left jobs "
            f"in it; received none. Start this where Slurm is or, if no such job is left, remove "
            f"{run / _OWNER}."
        ) from error
    waited = 0.0
    while left:
        if waited >= _PATIENCE:
            raise SlurmError(
                f"{run}: expected the end of cancelled jobs, received none of "
                f"{', '.join(map(str, left))} within {_PATIENCE:.0f} s. End them, or have their "
                "node looked at (`scontrol show job`), then start again."
            )
        slurm.cancel(left)
        slurm.sleep(_LOOK)
        waited += _LOOK
        left = slurm.going_on(names)
    return found
