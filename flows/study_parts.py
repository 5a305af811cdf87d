"""The groups of a study that do not depend on its problem."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, final

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    FiniteFloat,
    Tag,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from infra.errors import UserError
from solvers.chunk import validation_message
from solvers.parameters import Interval
from solvers.sampling import BreedSettings

__all__ = ["ParameterChoice", "ProblemChoice", "RunSettings", "SamplingSettings"]

_FORBID = ConfigDict(extra="forbid", frozen=True)
# Otherwise YAML's `yes` would silently be one sample, or one rank.
_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)


@final
class ProblemChoice(BaseModel):
    """Which problem, and its choices that are not sampled."""

    model_config = _FORBID

    name: str = Field("cylinder", description="name of the problem, see `romflow studies`")
    settings: dict[str, Any] = Field(
        default_factory=dict,
        description="resolution, kind of inflow and the like; each problem has its own",
    )


@final
class SamplingSettings(BaseModel):
    """How many samples, and where in the parameter box they lie."""

    model_config = _STRICT

    method: str = Field(
        "sobol", description="sobol, latin-hypercube, uniform, grid; breed in an online training"
    )
    samples: int = Field(4, ge=1, le=1_000_000, description="number of samples")
    seed: int = Field(2026, ge=0, description="seed of the design and of each sample's seed")
    settings: dict[str, Any] = Field(
        default_factory=dict, description="of breed: size, sigma and so on, see its documentation"
    )

    @model_validator(mode="after")
    def _settings_of_the_method(self) -> Self:
        if self.method == "breed":
            _breed_settings(self.settings)
        elif self.settings:
            raise ValueError(
                f"settings: expected none, for {self.method} has no settings, received "
                f"{self.settings}; remove them, or choose the method breed"
            )
        return self

    @property
    def breed(self) -> BreedSettings | None:
        """How samples are bred; None for designs that are fixed beforehand."""
        return _breed_settings(self.settings) if self.method == "breed" else None


@final
class RunSettings(BaseModel):
    """How the work is done; it changes the speed, not the results."""

    model_config = _STRICT

    ranks: int = Field(2, ge=1, le=4096, description="MPI processes of each chunk")
    chunk_size: int = Field(2, ge=1, description="samples computed one after another by one job")
    workers: int = Field(1, ge=1, le=4096, description="chunks computed side by side")
    runner: Literal["threads", "dask"] = Field("threads", description="Prefect's task runner")
    retries: int = Field(2, ge=0, le=20, description="further attempts after a crash of a chunk")
    profile: str = Field("local", description="where chunks run: file or name of a cluster profile")


def _breed_settings(settings: Mapping[str, Any]) -> BreedSettings:
    """Read the settings of breed; raises `ValueError` with what is wrong."""
    known: TypeAdapter[BreedSettings] = TypeAdapter(BreedSettings)
    try:
        return known.validate_json(json.dumps(dict(settings)), strict=True)
    except ValidationError as error:
        raise ValueError(f"settings: {validation_message(error)}") from error
    except (UserError, TypeError) as error:
        raise ValueError(f"settings: {error}") from error


def _no_truth_value(value: object) -> object:
    # Otherwise YAML's `yes` would silently become 1.0.
    if isinstance(value, bool):
        raise ValueError("expected a number, received a truth value")
    return value


# Decided by the form, so that errors speak of the one that was meant.
type ParameterChoice = Annotated[
    Annotated[FiniteFloat, BeforeValidator(_no_truth_value), Tag("number")]
    | Annotated[Interval, Tag("range")],
    Discriminator(lambda v: "range" if isinstance(v, Mapping | Interval) else "number"),
]
