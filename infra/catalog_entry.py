"""One entry of the catalogue: what a person reads before opening a dataset."""

from datetime import datetime
from typing import Any, final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra.errors import UserError
from infra.records import Json

__all__ = ["CatalogEntry", "EntryArray", "EntryParameter", "EntryProvenance", "json_schema"]

_NAME = r"^[a-z0-9][a-z0-9._-]*$"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


@final
class EntryParameter(_Strict):
    """One parameter of the study, with its range."""

    name: str
    units: str
    low: float
    high: float
    description: str = ""


@final
class EntryArray(_Strict):
    """One array of the dataset."""

    name: str
    dims: tuple[str, ...]
    units: str
    long_name: str
    dtype: str


@final
class EntryProvenance(_Strict):
    """Summary of the provenance of all samples; provenance.json holds it in full."""

    git_commits: tuple[str, ...] = ()
    packages: dict[str, str] = Field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    started: str = ""
    finished: str = ""


@final
class CatalogEntry(_Strict):
    """One dataset of the catalogue.

    Attributes
    ----------
    name
        Folder of the entry: lower-case letters, digits, dots, dashes and underscores.
    title, description
        One line, and a paragraph.
    created
        When the entry was written, with time zone.
    problem
        Name of the problem that was solved.
    study
        The study that generates the dataset again.
    location
        Path of the dataset's folder.
    n_samples, n_committed, n_failed
        How many samples were asked for, are complete, failed.
    parameters, arrays
        What varies, and what is stored.
    size_bytes
        Size on disk.
    checksum
        SHA-256 (hex) over the checksums of all commit records, see `infra.catalog.digest_of`.
    provenance
        Summary.
    licence
        SPDX identifier.
    figures
        Files of the entry's folder that the card shows.
    """

    name: str = Field(pattern=_NAME)
    title: str
    description: str
    created: datetime
    problem: str
    study: dict[str, Json]
    location: str
    n_samples: int = Field(ge=1)
    n_committed: int = Field(ge=0)
    n_failed: int = Field(ge=0)
    parameters: tuple[EntryParameter, ...]
    arrays: tuple[EntryArray, ...]
    size_bytes: int = Field(ge=0)
    checksum: str = Field(pattern=r"^[0-9a-f]{64}$")
    provenance: EntryProvenance = EntryProvenance()
    licence: str = "CC-BY-4.0"
    figures: tuple[str, ...] = ()

    def to_yaml(self) -> str:
        """Return YAML text with the entries in their documented order."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

    @classmethod
    def from_yaml(cls, text: str, source: str) -> "CatalogEntry":
        """Read what `to_yaml` wrote.

        Parameters
        ----------
        text
            The YAML.
        source
            Name of the file, for the message.

        Raises
        ------
        UserError
            If the text is not YAML, or an entry is missing, unknown or wrong.
        """
        try:
            return cls.model_validate(yaml.safe_load(text))
        except yaml.YAMLError as error:
            raise UserError(f"Expected YAML in {source}; received: {error}. Correct it.") from error
        except ValidationError as error:
            details = "; ".join(
                f"{'.'.join(map(str, item['loc'])) or 'file'}: {item['msg']}"
                for item in error.errors()
            )
            raise UserError(
                f"Expected a catalogue entry in {source}; received one with these faults: "
                f"{details}. Correct them, or write the entry again."
            ) from error


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of `CatalogEntry`, for editors and for publication."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **CatalogEntry.model_json_schema(),
    }
