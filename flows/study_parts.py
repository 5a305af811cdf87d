"""The groups of a study that do not depend on its problem."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, final

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    FiniteFloat,
    Tag,
)

from solvers.parameters import Interval

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

    method: str = Field("sobol", description="sobol, latin-hypercube, uniform or grid")
    samples: int = Field(4, ge=1, le=1_000_000, description="number of samples")
    seed: int = Field(2026, ge=0, description="seed of the design and of each sample's seed")


@final
class RunSettings(BaseModel):
    """How the work is done; it changes the speed, not the results."""

    model_config = _STRICT

    ranks: int = Field(2, ge=1, le=4096, description="MPI processes of each chunk")
    chunk_size: int = Field(2, ge=1, description="samples computed one after another by one job")
    workers: int = Field(1, ge=1, le=4096, description="chunks computed side by side")
    runner: Literal["threads", "dask"] = Field("threads", description="Prefect's task runner")
    retries: int = Field(2, ge=0, le=20, description="further attempts after a crash of a chunk")


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
