"""A cluster profile: where jobs run and what they ask for, as a site's users write it."""

import re
import shlex
from collections.abc import Collection, Iterable, Mapping
from itertools import takewhile
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self, final

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from infra.cluster.launcher import Launcher
from infra.cluster.packing import Pack
from infra.cluster.resources import Resources, memory_of, seconds_of

__all__ = ["Kind", "Profile"]

type Kind = Literal["local", "dask", "dask-slurm", "slurm"]

_BATCH = ("partition", "account", "qos", "nodes", "walltime", "memory", "setup", "directives")
_MPI = ("launcher", "launcher_options", "container", "container_command", "python")
# What each kind heeds; anything else in its profile would be without effect.
_KEYS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "local": (*_MPI, "workers", "ranks"),
        "dask": (*_MPI, "workers", "ranks", "scheduler"),
        "dask-slurm": (*_BATCH, *_MPI, "workers", "ranks", "slots", "scratch", "interface"),
        "slurm": (*_BATCH, *_MPI, "ranks", "throttle", "grace", "pack", "scratch"),
    }
)
_COMMON = ("name", "kind")
# Options of sbatch that romflow sets itself, with the keys of a profile that say them.
_OWN: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(("array", "dependency", "wrap", "parsable", "job-name", "output", "error"), "")
    | {"nodes": "nodes", "ntasks": "ranks", "time": "walltime", "mem": "memory"}
    | {"partition": "partition", "account": "account", "qos": "qos"}
)
# And those that it sets only for jobs that Slurm may requeue: those of kind slurm.
_OWN_OF_CHUNKS: Mapping[str, str] = MappingProxyType(
    {"signal": "grace", "ntasks-per-node": "ranks", "requeue": "", "no-requeue": ""}
    | {"open-mode": ""}
)
_SHORT: Mapping[str, str] = MappingProxyType(
    {"a": "array", "d": "dependency", "J": "job-name", "o": "output", "e": "error", "t": "time"}
    | {"N": "nodes", "n": "ntasks", "p": "partition", "A": "account", "q": "qos"}
)
# Chunks that one job may be told to take, one after another.
_MOST = 10_000
_WORD = re.compile(r"[A-Za-z0-9_.,@+-]+")


def _one_line(text: str) -> str:
    if not text.strip() or any(ord(character) < 32 for character in text):
        raise ValueError(f"expected one line of text, received {text!r}")
    return text


def _word(text: str) -> str:
    if not _WORD.fullmatch(text):
        raise ValueError(f"expected letters, digits, '_', '-', '.', received {text!r}")
    return text


def _options(text: str) -> list[str]:
    """Return the options of a line for sbatch, without their values and comments."""
    try:
        words = takewhile(lambda word: not word.startswith("#"), shlex.split(text))
        return [word.partition("=")[0] for word in words if word.startswith("-")]
    except ValueError as error:
        raise ValueError(f"expected each quote closed, received {text!r}") from error


def _name(option: str, known: Collection[str]) -> str | None:
    """Return which of these is meant by an option as sbatch reads it; None if it is another one."""
    if not option.startswith("--"):
        name = _SHORT.get(option[1:2])
        return name if name is not None and name in known else None
    # Names may be cut short; of the others none is the beginning of these.
    begun = [name for name in known if name.startswith(option[2:])]
    return min(begun, key=len, default=None)


def _refuse_own(texts: Iterable[str], own: Mapping[str, str]) -> None:
    """Refuse options that romflow sets itself."""
    for text in texts:
        for option in _options(text):
            name = _name(option, own)
            if name is not None:
                advice = f"use the key {own[name]}" if own[name] else "leave it out"
                raise ValueError(
                    f"expected an option that romflow does not set itself, received {text!r} "
                    f"(--{name}); {advice}"
                )


def _one_or_more(value: Any) -> Any:
    # A single text instead of a list of one is meant so.
    return (value,) if isinstance(value, str) else value


def _directive(text: str) -> str:
    if not text.startswith("--"):
        raise ValueError(f"expected an option of sbatch such as --constraint=ib, received {text!r}")
    return text


def _quoted(value: Any) -> Any:
    # YAML reads 1:30:00 without quotes as the number 5400, which may mean anything.
    if isinstance(value, int | float):
        raise ValueError(
            f'expected text in quotes, such as walltime: "01:30:00" or memory: 4G, received the '
            f"number {value}"
        )
    return value


def _pack(value: Any) -> Any:
    # One sentence for both kinds of values.
    whole = isinstance(value, int) and not isinstance(value, bool)
    if value != "auto" and not (whole and 1 <= value <= _MOST):
        raise ValueError(f"expected auto or a number from 1 to {_MOST}, received {value!r}")
    return value


type Line = Annotated[str, AfterValidator(_one_line)]
type Word = Annotated[str, AfterValidator(_word)]
type Lines = Annotated[tuple[Line, ...], BeforeValidator(_one_or_more)]


@final
class Profile(BaseModel):
    """Where jobs run and what they ask for.

    Attributes
    ----------
    name : for people
    kind : ``local`` this machine; ``dask`` workers here or behind `scheduler`; ``dask-slurm`` Dask
        workers in Slurm jobs, with MPI started inside them; ``slurm`` a Slurm job for each chunk
    partition, account, qos : of Slurm; none: the site's default
    nodes : of each Slurm job
    ranks : MPI processes of each chunk; none: as the study says
    walltime : of each Slurm job, such as ``"01:30:00"``
    memory : of each node, such as ``4G``; none: what the partition gives
    setup : shell lines before anything else, such as ``module load gcc``; one may stand alone,
        without a list, also in `directives` and `launcher_options`
    directives : further options of sbatch, such as ``--constraint=ib``; none that romflow sets
    launcher, launcher_options : ``mpiexec`` or ``srun``, and its options, such as ``--mpi=pmi2``
    container, container_command : image in which the ranks run, and the words before it
    python : interpreter on the compute nodes; none: the one that submits
    scratch : folder on the compute nodes for temporary files
    throttle : Slurm jobs of one study that run at once
    grace : seconds before the walltime at which a chunk is closed
    pack : chunks that a Slurm job takes one after another; ``auto``: as many as fit into its
        walltime by what finished chunks have cost, and one each as long as none has finished
    workers : chunks side by side, or Dask workers; none: as the study says
    slots : chunks side by side in one Dask worker
    scheduler : address of a running Dask scheduler
    interface : network interface over which Dask's workers talk, such as ib0
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = "local"
    kind: Kind = "local"
    partition: Word | None = None
    account: Word | None = None
    qos: Word | None = None
    nodes: int = Field(1, ge=1, le=100_000, strict=True)
    ranks: int | None = Field(None, ge=1, le=1_000_000, strict=True)
    walltime: Annotated[str, BeforeValidator(_quoted)] = "01:00:00"
    memory: Annotated[str | None, BeforeValidator(_quoted)] = None
    setup: Lines = ()
    directives: Lines = ()
    launcher: Literal["mpiexec", "srun"] = "mpiexec"
    launcher_options: Lines = ()
    container: Line | None = None
    container_command: tuple[Line, ...] = ("apptainer", "exec")
    python: Line | None = None
    scratch: Path | None = None
    throttle: int | None = Field(None, ge=1, le=100_000, strict=True)
    grace: int = Field(60, ge=5, le=3600, strict=True)
    pack: Annotated[Pack, BeforeValidator(_pack)] = "auto"
    workers: int | None = Field(None, ge=1, le=100_000, strict=True)
    slots: int = Field(1, ge=1, le=1024, strict=True)
    scheduler: str | None = None
    interface: Word | None = None

    @field_validator("walltime")
    @classmethod
    def _is_time(cls, text: str) -> str:
        seconds_of(text)
        return text

    @field_validator("memory")
    @classmethod
    def _is_memory(cls, text: str | None) -> str | None:
        if text is not None:
            memory_of(text)
        return text

    @field_validator("directives")
    @classmethod
    def _are_further_options(cls, texts: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        _refuse_own(texts, _OWN)
        if info.data.get("kind") == "slurm":
            _refuse_own(texts, _OWN_OF_CHUNKS)
        return tuple(map(_directive, texts))

    @field_validator("scheduler")
    @classmethod
    def _is_address(cls, address: str | None) -> str | None:
        if address is not None and not re.fullmatch(r"(tcp|tls|ws|wss)://\S+:\d+", address):
            raise ValueError(f"expected an address such as tcp://login1:8786, received {address!r}")
        return address

    @field_validator("scratch")
    @classmethod
    def _is_absolute(cls, folder: Path | None) -> Path | None:
        if folder is not None:
            _one_line(str(folder))
            if not folder.is_absolute():
                raise ValueError(f"expected an absolute path, received {folder}")
        return folder

    @model_validator(mode="after")
    def _only_what_has_an_effect(self) -> Self:
        heeded = (*_COMMON, *_KEYS[self.kind])
        for key in sorted(self.model_fields_set):
            default = type(self).model_fields[key].default
            if key not in heeded and getattr(self, key) != default:
                raise ValueError(
                    f"{key}: expected none, for it has no effect with kind {self.kind}, received "
                    f"{getattr(self, key)!r}; keys of this kind are {', '.join(heeded)}"
                )
        if self.kind == "slurm" and self.grace >= seconds_of(self.walltime):
            raise ValueError(
                f"grace: expected fewer seconds than the walltime {self.walltime}, received "
                f"{self.grace}; give the jobs more time, or less grace"
            )
        if self.ranks is not None and self.ranks < self.nodes:
            raise ValueError(
                f"ranks: expected at least one on each of the {self.nodes} nodes, received "
                f"{self.ranks}; ask for more ranks or fewer nodes"
            )
        return self

    @property
    def uses_slurm(self) -> bool:
        """Whether jobs are given to Slurm."""
        return self.kind in ("dask-slurm", "slurm")

    @property
    def resources(self) -> Resources:
        """Time and memory of a first attempt."""
        memory = None if self.memory is None else memory_of(self.memory)
        return Resources(seconds_of(self.walltime), memory)

    def launch(self) -> Launcher:
        """Return how the processes of a chunk are started."""
        wrapper = () if self.container is None else (*self.container_command, self.container)
        # An mpiexec that sees an allocation starts even its local processes through Slurm.
        alone = self.uses_slurm and self.nodes == 1 and self.launcher == "mpiexec"
        return Launcher(
            program=self.launcher,
            options=self.launcher_options,
            wrapper=wrapper,
            python=self.python or ("python3" if wrapper else ""),
            hide_allocation=alone,
        )
