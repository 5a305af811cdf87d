"""Requests of the service's own routes, checked before they reach a model."""

from typing import Annotated, Any, Literal, final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from rom.selection import Select
from rom.served_model import ServedModel
from rom.service.problem import ServiceError
from rom.service.question import Question
from rom.settings import Policy

__all__ = [
    "CompareText",
    "GradientText",
    "Number",
    "QueryText",
    "SelectText",
    "TimeText",
    "mu_array",
    "select_of",
    "times_of",
]

# Numbers, not texts or truth values that look like some; JSON has no NaN, but parsers take it.
type Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
type Name = Annotated[str, Field(min_length=1, max_length=200)]
type Names = Annotated[tuple[Name, ...], Field(max_length=1000)]
type Place = Annotated[int, Field(strict=True, ge=0, lt=1 << 53)]
type Point = Annotated[tuple[Number, ...], Field(min_length=1, max_length=3)]


class _Text(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


@final
class FieldsText(_Text):
    """Whole fields; without names all."""

    kind: Literal["fields"]
    names: Names = ()

    def select(self) -> Select:
        """Return the selection."""
        return Select.fields(*self.names)


@final
class RegionText(_Text):
    """Fields in a region that the model names."""

    kind: Literal["region"]
    region: Name
    names: Names = ()

    def select(self) -> Select:
        """Return the selection."""
        return Select.in_region(self.region, *self.names)


@final
class NodesText(_Text):
    """Fields at places of their mesh."""

    kind: Literal["nodes"]
    nodes: Annotated[tuple[Place, ...], Field(min_length=1)]
    names: Names = ()

    def select(self) -> Select:
        """Return the selection."""
        return Select.at_nodes(self.nodes, *self.names)


@final
class BoxText(_Text):
    """Fields at all points inside a box, m."""

    kind: Literal["box"]
    low: Point
    high: Point
    names: Names = ()

    def select(self) -> Select:
        """Return the selection.

        Raises
        ------
        ServiceError
            If the corners have different numbers of coordinates.
        """
        _require_equal([self.low, self.high])
        return Select.in_box(self.low, self.high, *self.names)


@final
class ProbesText(_Text):
    """Interpolated values of fields at positions, m."""

    kind: Literal["probes"]
    points: Annotated[tuple[Point, ...], Field(min_length=1)]
    names: Names = ()

    def select(self) -> Select:
        """Return the selection.

        Raises
        ------
        ServiceError
            If the points have different numbers of coordinates.
        """
        _require_equal(self.points)
        return Select.probes(self.points, *self.names)


@final
class QuantitiesText(_Text):
    """Quantities of interest; without names all."""

    kind: Literal["quantities"]
    names: Names = ()

    def select(self) -> Select:
        """Return the selection."""
        return Select.quantities(*self.names)


@final
class CoefficientsText(_Text):
    """Coefficients of the modes."""

    kind: Literal["coefficients"]

    def select(self) -> Select:
        """Return the selection."""
        return Select.coefficients()


type _Choice = Annotated[
    FieldsText | RegionText | NodesText | BoxText | ProbesText | QuantitiesText | CoefficientsText,
    Field(discriminator="kind"),
]


def _is_word(value: Any) -> str:
    return "word" if isinstance(value, str) else "choice"


# A word for the whole, or an object that says which part.
type SelectText = Annotated[
    Annotated[Literal["quantities", "fields", "coefficients"], Tag("word")]
    | Annotated[_Choice, Tag("choice")],
    Discriminator(_is_word),
]


def _is_mapping(value: Any) -> str:
    return "mapping" if isinstance(value, dict) else "table"


def _is_list(value: Any) -> str:
    return "many" if isinstance(value, list | tuple) else "one"


type _Numbers = Annotated[
    Annotated[Number, Tag("one")] | Annotated[tuple[Number, ...], Tag("many")],
    Discriminator(_is_list),
]
# By name, one number or one per query each; or a table with one row per query.
type MuText = Annotated[
    Annotated[dict[Name, _Numbers], Tag("mapping")]
    | Annotated[tuple[tuple[Number, ...], ...], Tag("table")],
    Discriminator(_is_mapping),
]
type TimeText = _Numbers | None


class _AskText(_Text):
    mu: MuText
    time: TimeText = Field(None, description="s; by default the output times of the training")
    select: SelectText = "quantities"
    units: dict[Name, str] = Field(
        default_factory=dict, description="units of mu by name, which must be those of the model"
    )
    version: Annotated[int, Field(ge=1, lt=1 << 31)] | None = Field(
        None, description="by default the newest"
    )

    def question(self, model: ServedModel, policy: Policy | None = None) -> Question:
        """Return what is asked of a model.

        Raises
        ------
        UserError
            If parameters are missing, unknown or of unequal number.
        """
        return Question(
            mu_array(model, self.mu),
            times_of(self.time),
            select_of(self.select),
            policy,
            tuple(sorted(self.units.items())),
        )


_EXAMPLE: Any = {"mu": {"reynolds": 100.0}, "time": [0.5, 1.0], "select": "quantities"}


@final
class QueryText(_AskText):
    """One query or several.

    Attributes
    ----------
    mu
        Parameters in the units of the model: by name a number, or one number per query; or a
        table with one row per query, columns in the order of the model's free parameters.
    time
        Times, s.
    select
        What is asked for.
    units
        Units in which `mu` is given, to be checked.
    version
        Of the model.
    policy
        Whether queries out of the trained range are flagged or refused; by default as the model
        says.
    precision
        Of numbers in binary replies.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [_EXAMPLE]}
    )

    policy: Policy | None = None
    precision: Literal["float64", "float32"] = "float64"


@final
class GradientText(_AskText):
    """As a query; the reply holds derivatives by the free parameters, per unit of each."""


@final
class CompareText(_Text):
    """Parameters at which the full-order model shall be computed."""

    mu: dict[Name, Number]
    version: Annotated[int, Field(ge=1, lt=1 << 31)] | None = None


def select_of(text: SelectText) -> Select:
    """Return the selection of a text."""
    return Select.of(text) if isinstance(text, str) else text.select()


def mu_array(model: ServedModel, mu: Any) -> NDArray[np.float64]:
    """Return parameters as (q, d).

    Raises
    ------
    UserError
        If parameters are missing, unknown or of unequal number.
    ServiceError
        If rows of a table have different lengths.
    """
    names = model.parameters.names
    if isinstance(mu, dict) and mu.keys() == set(names) and _single(mu):
        # The usual query: all free parameters, one number each.
        return np.array([[mu[name] for name in names]])
    if not isinstance(mu, dict):
        _require_equal(mu)
        return model.parameters.values(
            np.array(mu, np.float64).reshape(len(mu), -1 if len(mu) else 0)
        )
    return model.parameters.values({n: np.array(v, np.float64) for n, v in mu.items()})


def times_of(time: Any) -> tuple[float, ...] | None:
    """Return times, s, of a text; None stays None."""
    if time is None:
        return None
    return tuple(time) if isinstance(time, tuple) else (time,)


def _require_equal(rows: Any) -> None:
    lengths = sorted({len(row) for row in rows})
    if len(lengths) > 1:
        raise ServiceError.of(
            422, "invalid_query", "rows of equal length", f"rows of {lengths} numbers"
        )


def _single(mu: dict[str, Any]) -> bool:
    return all(isinstance(value, float) for value in mu.values())
