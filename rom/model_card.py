"""What a reduced model says about itself: the readable part of its folder."""

import hashlib
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Literal, Self, final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra.errors import StoreError
from infra.field_space import FieldSpace
from infra.records import Json
from solvers.parameters import Parameter, ParameterSpace

__all__ = [
    "BasisCard",
    "FieldCard",
    "LocalCard",
    "ModelCard",
    "ParameterCard",
    "QuantityCard",
    "TimesCard",
    "TrainingCard",
    "TrustCard",
    "mesh_digest",
    "package_versions",
    "utc_now",
]

_PACKAGES = ("romflow", "numpy", "scipy", "scikit-learn", "safetensors")


class _Card(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


@final
class ParameterCard(_Card):
    """One parameter, as in `solvers.parameters.Parameter`; equal bounds: it is fixed."""

    name: str
    unit: str
    low: float
    high: float
    scale: Literal["linear", "log", "normal"]
    description: str


@final
class FieldCard(_Card):
    """One field; `size` values on the points of `location`."""

    name: str
    unit: str
    location: str
    size: int


@final
class QuantityCard(_Card):
    """One quantity of interest.

    Attributes
    ----------
    name, unit
        As in the dataset.
    per_time
        Whether there is a number for each time.
    error
        Root mean square error of trajectories left out, over the quantity's deviation; None:
        nothing is known of it.
    """

    name: str
    unit: str
    per_time: bool
    error: float | None


@final
class TimesCard(_Card):
    """Range of the times, s, and number of output times; 0, 0, 1 for a steady problem."""

    first: float
    last: float
    count: int


@final
class BasisCard(_Card):
    """How fields are represented; `discarded` is the relative projection error of the training."""

    rank: int
    tolerance: float
    discarded: float
    product: dict[str, Json]
    centred: bool
    method: str
    precision: Literal["float64", "float32"]


@final
class LocalCard(_Card):
    """Local bases.

    Attributes
    ----------
    clusters
        Their number.
    ranks
        Number of modes of each.
    classifier
        Name of what finds the cluster of a query.
    gain, misclassified
        The criterion g that they were chosen by, and the part of the points that the classifier
        gives to another cluster (`rom.local.criterion`).
    """

    clusters: int
    ranks: tuple[int, ...]
    classifier: str
    gain: float
    misclassified: float


@final
class TrustCard(_Card):
    """The indicator.

    Attributes
    ----------
    kind
        How it was made.
    level
        Probability that was asked for.
    coverage
        That the number of pairs allows: the statement.
    measured_coverage
        Part of the trajectories left out that were below an indicator without them.
    sharpness
        Median of indicator over error of these.
    pairs
        Number of trajectories left out.
    median_error, largest_error
        Their relative errors.
    range_factor, policy
        Settings of the range.
    """

    kind: str
    level: float
    coverage: float
    measured_coverage: float
    sharpness: float
    pairs: int
    median_error: float
    largest_error: float
    range_factor: float
    policy: Literal["flag", "refuse"]


@final
class TrainingCard(_Card):
    """What it was built from; `digest` is the SHA-256 of parameters and coefficients."""

    trajectories: int
    snapshots: int
    digest: str


@final
class ModelCard(_Card):
    """See the module; every number that a reader of the folder may ask for."""

    kind: Literal["fields", "structure"] = "fields"
    name: str
    description: str = ""
    created: str
    parameters: tuple[ParameterCard, ...]
    fields: tuple[FieldCard, ...]
    quantities: tuple[QuantityCard, ...]
    times: TimesCard
    regions: tuple[str, ...] = ()
    mesh: str
    basis: BasisCard
    local: LocalCard | None = None
    regression: dict[str, Json]
    trust: TrustCard
    training: TrainingCard
    versions: dict[str, str]
    settings: dict[str, Json] = Field(default_factory=dict)
    lineage: dict[str, Json] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def space(self) -> ParameterSpace:
        """The parameters as a space."""
        return ParameterSpace(
            tuple(
                Parameter(p.name, p.low, p.high, p.unit, p.description, p.scale)
                for p in self.parameters
            )
        )

    @classmethod
    def read(cls, text: object) -> Self:
        """Return the card of a JSON object.

        Raises
        ------
        StoreError
            If entries are missing or unknown.
        """
        try:
            return cls.model_validate(text)
        except ValidationError as error:
            raise StoreError(
                f"Expected the card of a reduced model; received: {error}. The folder is of "
                "another version of romflow: build the model again."
            ) from error


def mesh_digest(space: FieldSpace) -> str:
    """Return the SHA-256 (hex) of fields, points and cells."""
    digest = hashlib.sha256()
    for info in space.fields:
        digest.update(f"{info.name}:{info.size}:{info.location};".encode())
    for kind, arrays in (("points", space.points), ("cells", space.cells)):
        for name in sorted(arrays):
            form = "<f8" if kind == "points" else "<i8"
            digest.update(f"{kind}.{name};".encode())
            digest.update(np.ascontiguousarray(arrays[name], form).tobytes())
    return digest.hexdigest()


def package_versions() -> dict[str, str]:
    """Return the versions of the packages that numbers depend on."""
    return {name: _version(name) for name in _PACKAGES}


def utc_now() -> str:
    """Return date and time, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
