"""Laws go to text and back, and bad text is named."""

import json
from typing import Any

import numpy as np
import pytest

from infra.errors import UserError
from solvers.laws.description import LawDescription, law_from, to_dict
from solvers.laws.law import Law

GOOD: dict[str, Any] = {"kind": "thermoelastic", "coefficients": {"young": 2e5, "poisson": 0.3}}


def test_a_law_goes_to_json_and_back(law: Law) -> None:
    text = json.dumps(to_dict(law))
    assert law_from(json.loads(text)) == law


def test_a_parsed_description_serves_too() -> None:
    assert law_from(LawDescription.model_validate(GOOD)) == law_from(GOOD)


def test_without_an_expansion_there_is_no_thermal_strain() -> None:
    assert not law_from(GOOD).thermal_strain(np.array([900.0])).any()


def test_the_reference_temperature_is_the_laws() -> None:
    law = law_from(GOOD | {"reference_temperature": 650.0})
    assert law.reference_temperature == 650.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "glass"}, "kind"),
        ({"colour": 1}, "colour"),
        ({"coefficients": {"young": 2e5}}, "missing: poisson"),
        ({"coefficients": {"young": 2e5, "poisson": 0.3, "nu": 0.3}}, "unknown: nu"),
        ({"coefficients": {"young": True, "poisson": 0.3}}, "young"),
        ({"coefficients": {"young": "stiff", "poisson": 0.3}}, "young"),
        ({"coefficients": {"young": float("inf"), "poisson": 0.3}}, "young"),
        (
            {"coefficients": {"young": {"temperatures": [1], "values": []}, "poisson": 0.3}},
            "coefficient young: table",
        ),
    ],
)
def test_bad_descriptions_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        law_from(GOOD | change)


def test_perfect_plasticity_must_be_said() -> None:
    given = {"young": 2e5, "poisson": 0.3, "yield_stress": 100.0}
    with pytest.raises(UserError, match="missing: hardening"):
        law_from({"kind": "linear-hardening", "coefficients": given})
