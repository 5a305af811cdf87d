"""The card of a saved surrogate: everything about it but its numbers."""

from collections.abc import Mapping
from pathlib import Path
from typing import final

from pydantic import BaseModel, ConfigDict, ValidationError

from infra.errors import StoreError, UserError, storage_errors
from infra.records import Json
from surrogates.inputs import InputSpec
from surrogates.surrogate import Mode

__all__ = ["CARD", "CARD_VERSION", "ModelCard", "read_card"]

CARD = "card.json"
# Raised when a reader of the version before would misunderstand the folder.
CARD_VERSION = 1


@final
class ModelCard(BaseModel):
    """What ``card.json`` holds.

    Attributes
    ----------
    version
        Of the folder's format.
    architecture, mode, settings
        From which the network is built.
    inputs
        Names and ranges of the inputs, in their order, and the output times of the training.
    space
        Fields with units, and what is prescribed: `FieldSpace.describe`.
    n_parameters
        How many numbers were learned.
    checksums
        SHA-256 (hex) by file.
    metrics
        Errors and losses that the training reports.
    lineage
        Where it comes from: dataset, commit, versions, as the caller gives it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")

    version: int = CARD_VERSION
    architecture: str
    mode: Mode
    settings: Mapping[str, Json]
    inputs: InputSpec
    space: Mapping[str, Json]
    n_parameters: int
    checksums: Mapping[str, str]
    metrics: Mapping[str, Json]
    lineage: Mapping[str, Json]


def read_card(folder: Path) -> ModelCard:
    """Return the card of a saved surrogate.

    Parameters
    ----------
    folder
        Where `surrogates.saving.save_model` put it.

    Raises
    ------
    UserError
        If the folder holds no surrogate.
    StoreError
        If the card is damaged or of a newer version.
    """
    path = folder / CARD
    try:
        with storage_errors(path):
            text = path.read_bytes()
    except FileNotFoundError as error:
        raise UserError(
            f"Expected the folder of a saved surrogate; received {folder}, which has no {CARD}. "
            "Give the folder that the training reports."
        ) from error
    try:
        version = _Version.model_validate_json(text).version
        if version > CARD_VERSION:
            raise StoreError(
                f"Expected a surrogate of version {CARD_VERSION} or older in {folder}; received "
                f"version {version}. Use a newer romflow."
            )
        return ModelCard.model_validate_json(text)
    except ValidationError as error:
        raise StoreError(
            f"Expected a readable card in {path}; it is damaged or of another program: "
            f"{error.errors()[0]['msg']} at {error.errors()[0]['loc']}. Save the model again, or "
            "restore the folder from a copy."
        ) from error


@final
class _Version(BaseModel):
    """The only entry that every version has."""

    version: int
