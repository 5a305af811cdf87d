"""Laws as text: what a study, a model card or the folder of a reduced model holds.

::

    {"kind": "elastoviscoplastic", "reference_temperature": 20.0,
     "coefficients": {"young": {"temperatures": [20, 900], "values": [2e5, 1.4e5]},
                      "poisson": 0.3, "norton_stress": 300, "norton_exponent": 30}}

A coefficient is a number or a table of temperatures (degrees Celsius) and values. Coefficients
that are not given are zero where zero means "without it", and an error where it does not.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal, final

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, field_validator

from infra.errors import UserError
from infra.records import Json
from solvers.laws.coefficients import Table
from solvers.laws.elasticity import Elasticity
from solvers.laws.elastoviscoplastic import ElastoViscoPlastic
from solvers.laws.j2 import LinearHardening
from solvers.laws.law import Law
from solvers.laws.thermoelastic import ThermoElastic

__all__ = ["LawDescription", "TableDescription", "law_from", "to_dict"]

_ELASTIC = ("young", "poisson", "expansion")
_OPTIONAL = frozenset(
    {"expansion", "hardening", "kinematic_modulus", "kinematic_recall", "saturation"}
    | {"saturation_rate"}
)


@final
class TableDescription(BaseModel):
    """A coefficient that depends on temperature."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperatures: tuple[FiniteFloat, ...] = Field(description="ascending, degrees Celsius")
    values: tuple[FiniteFloat, ...] = Field(description="one per temperature")


@final
class LawDescription(BaseModel):
    """A law and its coefficients, see the module."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["thermoelastic", "linear-hardening", "elastoviscoplastic"]
    reference_temperature: FiniteFloat = Field(20.0, description="degrees Celsius")
    coefficients: dict[str, FiniteFloat | TableDescription]

    @field_validator("coefficients", mode="before")
    @classmethod
    def _refuse_truth_values(cls, value: object) -> object:
        # Otherwise YAML's `yes` would silently become 1.0.
        if isinstance(value, Mapping):
            for name, entry in value.items():
                if isinstance(entry, bool):
                    raise ValueError(f"{name}: expected a number or a table, received {entry}")
        return value


def law_from(description: Mapping[str, Any] | LawDescription) -> Law:
    """Return the law that a description names.

    Parameters
    ----------
    description : see the module

    Raises
    ------
    UserError
        If the description is no such text, a coefficient is missing or unknown, or its value is
        impossible; the message names the entry.
    """
    text = _parsed(description)
    kind = _kinds()[text.kind]
    own = _own_names(kind)
    _require_names(text, (*_ELASTIC, *own))
    tables = {name: _table(text, name) for name in (*_ELASTIC, *own)}
    elastic = {name: tables[name] for name in _ELASTIC}
    elasticity = Elasticity(**elastic, reference_temperature=text.reference_temperature)
    return kind(elasticity, *(tables[name] for name in own))


def to_dict(law: Law) -> dict[str, Json]:
    """Return the JSON object from which `law_from` makes an equal law."""
    elastic = {name: getattr(law.elasticity, name) for name in _ELASTIC}
    own = {name: getattr(law, name) for name in _own_names(type(law))}
    return {
        "kind": law.name,
        "reference_temperature": law.reference_temperature,
        "coefficients": {name: _text(table) for name, table in (elastic | own).items()},
    }


def _kinds() -> dict[str, Any]:
    return {kind.name: kind for kind in (ThermoElastic, LinearHardening, ElastoViscoPlastic)}


def _own_names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind) if field.name != "elasticity")


def _parsed(description: Mapping[str, Any] | LawDescription) -> LawDescription:
    if isinstance(description, LawDescription):
        return description
    try:
        return LawDescription.model_validate(description)
    except ValidationError as error:
        raise UserError(
            "law: expected {kind, reference_temperature, coefficients} with a number or "
            f"{{temperatures, values}} per coefficient, received: {error}"
        ) from error


def _require_names(text: LawDescription, known: tuple[str, ...]) -> None:
    given = text.coefficients.keys()
    missing = [name for name in known if name not in given and name not in _optional(text.kind)]
    unknown = sorted(given - set(known))
    if missing or unknown:
        problems = [f"missing: {', '.join(missing)}"] if missing else []
        problems += [f"unknown: {', '.join(unknown)}"] if unknown else []
        raise UserError(
            f"law {text.kind}: coefficients: expected {', '.join(known)}; received "
            f"{', '.join(given) or 'none'} ({'; '.join(problems)})"
        )


def _optional(kind: str) -> frozenset[str]:
    # Without hardening the law is perfectly plastic, which must be said.
    return _OPTIONAL - {"hardening"} if kind == "linear-hardening" else _OPTIONAL


def _table(text: LawDescription, name: str) -> Table:
    entry = text.coefficients.get(name, 0.0)
    if isinstance(entry, float):
        return Table.constant(entry)
    try:
        return Table(entry.temperatures, entry.values)
    except UserError as error:
        raise UserError(f"law {text.kind}: coefficient {name}: {error}") from error


def _text(table: Table) -> Json:
    if len(table.values) == 1:
        return table.values[0]
    return {"temperatures": list(table.temperatures), "values": list(table.values)}
