"""The file in which clients find the trainer, and by which a new trainer shuts out an old one.

Every trainer that starts claims the file and thereby gets an epoch larger than all before: the
fencing token. All messages carry it. A client that is told of another epoch reads the file again;
a trainer that finds a larger epoch there stops.
"""

import os
import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import final

from pydantic import ConfigDict, TypeAdapter, ValidationError

from infra.errors import FencedError, StreamError, UserError, storage_errors
from infra.files import locked
from infra.streaming.frames import StreamSpec
from infra.streaming.keys import StreamKeys
from infra.streaming.private import require_private_folder, write_private

__all__ = ["Rendezvous", "check_epoch", "claim", "release"]


@final
@dataclass(frozen=True)
class Rendezvous:
    """Where the trainer of a study is, and what it expects.

    Attributes
    ----------
    spec
        The study's stream.
    endpoints
        Addresses in ZeroMQ's form, of which clients take the first; none while no trainer is there.
    epoch
        Number of the trainer: 1, 2, 3, ...
    token
        Secret that clients show. It keeps strangers out; with `keys` it is encrypted on the way.
    host, pid
        Where the trainer runs.
    spool
        Folder for frames that it does not take at once; all clients see it.
    spool_limit
        Bytes that may lie there.
    keys
        By which clients get in where frames go over a network; None: they stay on this machine.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")
    spec: StreamSpec
    endpoints: tuple[str, ...]
    epoch: int
    token: str
    host: str
    pid: int
    spool: Path
    spool_limit: int
    keys: StreamKeys | None = None

    @property
    def study(self) -> str:
        """Digest that names the study and its version."""
        return self.spec.study

    @classmethod
    def read(cls, path: Path) -> "Rendezvous":
        """Read the file.

        Raises
        ------
        UserError
            If there is none.
        StreamError
            If it is something else.
        StorageAccessError
            If it may not be read.
        """
        try:
            with storage_errors(path):
                return _adapter().validate_json(path.read_bytes())
        except FileNotFoundError as error:
            raise UserError(
                f"Expected the file of a trainer at {path}; received nothing. "
                "Start the trainer first, or give the path that it writes."
            ) from error
        except ValidationError as error:
            raise StreamError(
                f"Expected the file of a trainer at {path}; received something else: {error}. "
                "Give the path that the trainer writes."
            ) from error


def claim(
    path: Path,
    spec: StreamSpec,
    endpoints: tuple[str, ...],
    spool: Path,
    spool_limit: int,
    keys: StreamKeys | None = None,
) -> Rendezvous:
    """Take over a stream: all clients turn to this process, and former trainers stop.

    Parameters
    ----------
    path
        The file; its folder is made if it does not exist, for its owner only.
    spec, endpoints, spool, spool_limit, keys
        As in `Rendezvous`.

    Returns
    -------
    Rendezvous
        What was written, with the new epoch.

    Raises
    ------
    UserError
        If the file belongs to another study.
    StorageFullError, StorageAccessError
        If it cannot be written, or others could read or replace the keys.
    """
    with storage_errors(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if keys is not None:
        require_private_folder(path.parent)
    with locked(_lock(path)):
        former = Rendezvous.read(path) if path.exists() else None
        if former is not None and former.spec != spec:
            raise UserError(
                f"Expected a trainer of the study {former.study[:12]} at {path}; received "
                f"{spec.study[:12]}. Start a new run in another folder."
            )
        made = Rendezvous(
            spec=spec,
            endpoints=endpoints,
            epoch=1 if former is None else former.epoch + 1,
            token=secrets.token_hex(16),
            host=socket.gethostname(),
            pid=os.getpid(),
            spool=spool.absolute(),
            spool_limit=spool_limit,
            keys=keys,
        )
        _write(path, made)
    return made


def release(path: Path, own: Rendezvous) -> None:
    """Leave a stream: clients spool until another trainer comes. Does nothing to a newer one."""
    with locked(_lock(path)), suppress(UserError):
        if Rendezvous.read(path).epoch == own.epoch:
            _write(path, replace(own, endpoints=()))


def check_epoch(path: Path, own: Rendezvous) -> None:
    """Raise `FencedError` if another trainer has claimed the file."""
    try:
        epoch = Rendezvous.read(path).epoch
    except UserError:
        return  # removed with its folder; nobody else can have taken over
    if epoch != own.epoch:
        raise FencedError(
            f"Expected epoch {own.epoch} in {path}; received {epoch}: another trainer has taken "
            "over. This one must stop; nothing that it does from now on counts."
        )


def _write(path: Path, rendezvous: Rendezvous) -> None:
    """Replace the file, whole or not at all, readable by its owner only."""
    data = _adapter().dump_json(rendezvous, indent=1)
    write_private(path, data, secret=rendezvous.keys is not None)


def _lock(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


@cache
def _adapter() -> TypeAdapter[Rendezvous]:
    return TypeAdapter(Rendezvous)
