"""Surrogates on disk: a folder of numbers in safetensors, and a card in JSON; nothing is pickled.

::

    <folder>/weights.safetensors   weights and statistics of the normalisation
             space.safetensors     points, cells, prescribed places
             card.json             how to build it again, checksums, metrics, lineage
"""

import hashlib
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file as load_arrays
from safetensors.numpy import save as arrays_to_bytes
from safetensors.torch import load_file as load_tensors
from safetensors.torch import save as tensors_to_bytes
from torch import Tensor

from infra.errors import ChecksumError, StoreError, UserError, storage_errors
from infra.field_space import FieldSpace
from infra.files import flush_folder, flush_tree, write_durably
from infra.records import Json
from surrogates.architectures import build_surrogate
from surrogates.card import CARD, ModelCard, read_card
from surrogates.surrogate import Surrogate

__all__ = ["load_model", "model_tensors", "save_model"]

_WEIGHTS, _SPACE = "weights.safetensors", "space.safetensors"


def save_model(
    surrogate: Surrogate,
    folder: Path,
    *,
    metrics: Mapping[str, Json] | None = None,
    lineage: Mapping[str, Json] | None = None,
) -> ModelCard:
    """Save a surrogate as a whole: readers see the old folder or the new one.

    Parameters
    ----------
    surrogate
        The trained surrogate, on any device.
    folder
        Where to; a surrogate that is there already is replaced.
    metrics
        Errors and losses, by name.
    lineage
        Digest of the dataset, commit, package versions and the like.

    Returns
    -------
    ModelCard
        The card that was written.

    Raises
    ------
    UserError
        If the folder holds something else.
    StorageFullError, StorageAccessError
        If it cannot be written; an older surrogate stays.
    """
    _require_ours(folder)
    staged = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    with storage_errors(folder):
        staged.mkdir(parents=True)
        try:
            card = _write(surrogate, staged, metrics or {}, lineage or {})
            flush_tree(staged)
            _exchange(staged, folder)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    return card


def load_model(folder: Path) -> Surrogate:
    """Return a saved surrogate, on the CPU.

    Its predictions are those of the surrogate that was saved, to the last bit on a machine of the
    same kind.

    Raises
    ------
    UserError
        If the folder holds no surrogate, or one of an unknown architecture.
    StoreError
        If the folder is of a newer version or its parts do not fit together.
    ChecksumError
        If a file differs from what was saved.
    """
    card = read_card(folder)
    for name, expected in card.checksums.items():
        _check(folder / name, expected)
    try:
        space = FieldSpace.assemble(card.space, load_arrays(folder / _SPACE))
        weights = load_tensors(folder / _WEIGHTS)
        surrogate = build_surrogate(
            card.architecture, space, card.inputs, card.mode, card.settings, seed=0
        )
        surrogate.load_state_dict(weights)
    except (SafetensorError, RuntimeError, OSError) as error:
        raise StoreError(
            f"Expected weights of the model {card.architecture!r} in {folder}; they do not fit: "
            f"{error}. The folder mixes two models or versions: save the model again."
        ) from error
    return surrogate


def model_tensors(surrogate: Surrogate) -> dict[str, Tensor]:
    """Return the state of a surrogate as separate, contiguous tensors on the CPU, by name."""
    return {
        name: tensor.detach().cpu().contiguous().clone()
        for name, tensor in surrogate.state_dict().items()
    }


def _write(
    surrogate: Surrogate, folder: Path, metrics: Mapping[str, Json], lineage: Mapping[str, Json]
) -> ModelCard:
    # Written here, not by safetensors, whose errors do not say that the device is full.
    write_durably(folder / _WEIGHTS, tensors_to_bytes(model_tensors(surrogate)))
    arrays = {name: np.ascontiguousarray(a) for name, a in surrogate.space.arrays().items()}
    write_durably(folder / _SPACE, arrays_to_bytes(arrays))
    card = ModelCard(
        architecture=surrogate.name,
        mode=surrogate.mode,
        settings=surrogate.settings.model_dump(mode="json"),
        inputs=surrogate.inputs,
        space=surrogate.space.describe(),
        n_parameters=sum(p.numel() for p in surrogate.parameters()),
        checksums={name: _sha256(folder / name) for name in (_WEIGHTS, _SPACE)},
        metrics=metrics,
        lineage=lineage,
    )
    write_durably(folder / CARD, (card.model_dump_json(indent=2) + "\n").encode())
    return card


def _require_ours(folder: Path) -> None:
    """Refuse to replace anything but a surrogate: the old folder is removed afterwards."""
    if folder.exists() and not (folder / CARD).is_file():
        empty = folder.is_dir() and not any(folder.iterdir())
        if not empty:
            raise UserError(
                f"Expected a new folder or one of a saved surrogate; {folder} holds something "
                "else. Choose another folder."
            )


def _exchange(staged: Path, folder: Path) -> None:
    old = staged.with_name(f"{staged.name}.old")
    if folder.exists():
        folder.rename(old)
    staged.rename(folder)
    flush_folder(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def _check(path: Path, expected: str) -> None:
    if not path.is_file():
        raise StoreError(
            f"Expected the file {path.name} in {path.parent}; there is none. Restore the folder "
            "from a copy, or save the model again."
        )
    with storage_errors(path):
        received = _sha256(path)
    if received != expected:
        raise ChecksumError(
            f"Expected the SHA-256 {expected[:12]}... of {path}; received {received[:12]}.... The "
            "file is damaged or was replaced: restore it from a copy, or save the model again."
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
