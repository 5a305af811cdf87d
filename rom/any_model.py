"""Published models of all kinds on disk: what is in a folder decides what is read."""

from pathlib import Path

from infra.array_folder import read_folder
from rom.model_folder import load_model, save_model
from rom.reduced_model import ReducedModel
from rom.structures.published import PublishedStructure
from rom.structures.published_folder import KIND, load_published, save_published

__all__ = ["AnyModel", "load_any", "save_any"]

type AnyModel = ReducedModel | PublishedStructure


def load_any(folder: Path, *, version: int = 0, verify: bool = True) -> AnyModel:
    """Return the model of a folder.

    Parameters
    ----------
    folder
        What `save_any` wrote.
    version
        Its version in a registry.
    verify
        Whether checksums are computed again.

    Raises
    ------
    UserError
        If there is no model.
    ChecksumError
        If a file differs from what was written.
    StoreError
        If the folder is of another version of romflow.
    """
    _, text = read_folder(folder, verify=False)
    load = load_published if text.get("kind") == KIND else load_model
    return load(folder, version=version, verify=verify)


def save_any(model: AnyModel, folder: Path) -> None:
    """Write a model into a new folder, which appears as a whole or not at all.

    Raises
    ------
    UserError
        If the folder exists.
    StorageFullError, StorageAccessError
        If it cannot be written.
    """
    if isinstance(model, PublishedStructure):
        save_published(model, folder)
    else:
        save_model(model, folder)
