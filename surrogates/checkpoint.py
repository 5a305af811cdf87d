"""Checkpoints of a training: one folder each, whole or not there, without pickle.

::

    checkpoints/000012/
        weights.safetensors     weights and normalisation
        optimiser.safetensors   moments of the optimiser, PyTorch's generator
        feed.npz                arrays of reservoir, pool and ledger
        state.json              counters, generators, identity; sizes and checksums of the files

A checkpoint is written beside, flushed to the device and renamed; the last two are kept. The
newest one whose checksums are right is used.
"""

import json
import shutil
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import google_crc32c
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from infra.errors import StoreError, UserError, storage_errors
from infra.files import flush_folder, flush_tree
from infra.records import Json
from surrogates.states import State

__all__ = ["Checkpoint", "CheckpointFolder", "read_tensors", "require_budget",
           "require_identity"]  # fmt: skip

_VERSION = 1
_KEPT = 2
_STATE = "state.json"
_FILES = ("weights.safetensors", "optimiser.safetensors", "feed.npz")
_PIECE = 1 << 22
# Before the names of arrays, some of which NumPy's writer would take for its own arguments.
_PREFIX = "feed."


@final
@dataclass(frozen=True)
class Checkpoint:
    """What a training needs to go on as if nothing had happened.

    Attributes
    ----------
    weights, optimiser
        Tensors by name.
    feed
        State of the feed: arrays, and what JSON holds.
    trainer
        Counters, early stopping and the like.
    identity
        What model and study it belongs to.
    """

    weights: Mapping[str, Tensor]
    optimiser: Mapping[str, Tensor]
    feed: State
    trainer: Mapping[str, Json]
    identity: Mapping[str, Json]


@final
class CheckpointFolder:
    """The checkpoints of one run.

    Parameters
    ----------
    root
        Folder that holds them; it is made when the first one is written.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, checkpoint: Checkpoint) -> Path:
        """Write a checkpoint, and remove all but the last two.

        Returns
        -------
        Path
            Its folder.

        Raises
        ------
        StorageFullError, StorageAccessError
            If it cannot be written; the earlier ones are as they were.
        """
        with storage_errors(self._root):
            self._root.mkdir(parents=True, exist_ok=True)
            known = self._numbered()
            path = self._root / f"{int(known[-1].name) + 1 if known else 1:06d}"
            staged = self._root / f".{uuid.uuid4().hex}"
            try:
                _write(staged, checkpoint)
                staged.rename(path)
            finally:
                shutil.rmtree(staged, ignore_errors=True)
            flush_folder(self._root)
            self._remove_old()
        return path

    def newest(self) -> Path | None:
        """Return the newest whole checkpoint, or None if there is none.

        A damaged one is named on standard error and passed over.
        """
        for path in reversed(self._numbered()):
            problem = _problem(path)
            if problem is None:
                return path
            print(f"{path}: {problem}; an earlier checkpoint is used if any", file=sys.stderr)
        return None

    def read(self, path: Path) -> Checkpoint:
        """Read a checkpoint that `newest` returned.

        Raises
        ------
        StoreError
            If it is damaged.
        """
        state = _read_state(path)
        with np.load(path / "feed.npz", allow_pickle=False) as arrays:
            named = {name.removeprefix(_PREFIX): arrays[name] for name in arrays.files}
        feed: State = {**state["feed"], **named}
        return Checkpoint(*read_tensors(path), feed, state["trainer"], state["identity"])

    def _numbered(self) -> list[Path]:
        if not self._root.is_dir():
            return []
        return sorted(path for path in self._root.iterdir() if path.name.isdigit())

    def _remove_old(self) -> None:
        # What a killed writer left goes too.
        for path in [*self._numbered()[:-_KEPT], *self._root.glob(".*")]:
            shutil.rmtree(path, ignore_errors=True)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Read weights and optimiser of a checkpoint.

    Raises
    ------
    StoreError
        If a file is missing or damaged.
    """
    try:
        weights, optimiser = (load_file(path / name) for name in _FILES[:2])
    except (OSError, SafetensorError) as error:
        raise StoreError(
            f"{path}: expected a checkpoint, received: {error}. Remove this folder; an earlier "
            "checkpoint is then used, or the training starts anew."
        ) from error
    return weights, optimiser


def require_identity(path: Path, expected: Mapping[str, Json], found: Mapping[str, Json]) -> None:
    """Check that a checkpoint belongs to this model and study.

    Raises
    ------
    UserError
        If it does not; the message names what differs.
    """
    plain = json.loads(json.dumps(dict(expected)))
    for name in sorted({*plain, *found}):
        if plain.get(name) != found.get(name):
            raise UserError(
                f"{path}: expected a checkpoint with {name} {plain.get(name)}, received "
                f"{found.get(name)}. Give the training another name or another folder."
            )


def require_budget(
    path: Path, asked: Mapping[str, Json], trained: Mapping[str, Json], *, finished: bool
) -> None:
    """Check that a training that goes on, or is over, is asked for what it began with.

    Parameters
    ----------
    path
        The checkpoint.
    asked, trained
        Budget, batch, reservoir and seed of this start, and of the checkpoint; ``seconds`` may
        change as long as the training is not finished.
    finished
        Whether it came to its end.

    Raises
    ------
    UserError
        If something differs; the message names what.
    """
    free = () if finished else ("seconds",)
    names = [n for n in asked if n not in free and asked[n] != trained.get(n)]
    if names:
        done = "was finished" if finished else "was begun"
        before = ", ".join(f"{name} {_said(trained.get(name))}" for name in names)
        now = ", ".join(f"{name} {_said(asked[name])}" for name in names)
        raise UserError(
            f"{path}: expected {before}, with which this training {done}; received {now}. Budget, "
            "batch, reservoir and seed of a training do not change. Give the new training another "
            "name, or train from the archive."
        )


def _said(value: Json) -> str:
    return "none" if value is None else str(value)


def _write(folder: Path, checkpoint: Checkpoint) -> None:
    folder.mkdir()
    arrays = {k: v for k, v in checkpoint.feed.items() if isinstance(v, np.ndarray)}
    text = {k: v for k, v in checkpoint.feed.items() if k not in arrays}
    save_file(_plain(checkpoint.weights), folder / _FILES[0])
    save_file(_plain(checkpoint.optimiser), folder / _FILES[1])
    _save_arrays(folder / _FILES[2], arrays)
    state = {
        "version": _VERSION,
        "identity": dict(checkpoint.identity),
        "trainer": dict(checkpoint.trainer),
        "feed": text,
        "files": {name: _checksum(folder / name) for name in _FILES},
    }
    (folder / _STATE).write_text(json.dumps(state), encoding="utf-8")
    flush_tree(folder)


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    # The format refuses tensors that share memory or have gaps.
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _save_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    with path.open("wb") as file:
        named: Any = {f"{_PREFIX}{name}": array for name, array in arrays.items()}
        np.savez(file, allow_pickle=False, **named)


def _read_state(path: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((path / _STATE).read_text(encoding="utf-8"))
    return state


def _problem(path: Path) -> str | None:
    """Say what is wrong with a checkpoint, if anything."""
    try:
        state = _read_state(path)
        if state["version"] != _VERSION:
            return f"expected version {_VERSION}, received {state['version']}"
        for name in _FILES:
            if _checksum(path / name) != state["files"][name]:
                return f"{name} differs from its checksum"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"not readable ({error})"
    return None


def _checksum(path: Path) -> list[int]:
    """Return size and CRC-32C of a file."""
    crc = 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            crc = google_crc32c.extend(crc, piece)
    return [path.stat().st_size, crc]
