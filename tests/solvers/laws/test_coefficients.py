"""Tables of coefficients, and what laws refuse."""

from typing import Any

import numpy as np
import pytest

from infra.errors import UserError
from solvers.laws.coefficients import Table

GOOD = {"young": 2e5, "poisson": 0.3}
VISCOUS = {**GOOD, "norton_stress": 300.0, "norton_exponent": 30.0, "yield_stress": 10.0}


def test_a_table_is_linear_inside_and_constant_outside() -> None:
    table = Table.of([0, 100, 300], [1, 2, 6])
    received = table.at(np.array([-50.0, 0.0, 50.0, 100.0, 200.0, 300.0, 900.0]))
    assert received == pytest.approx([1, 1, 1.5, 2, 4, 6, 6])
    assert not table.is_constant
    assert Table.of([0, 100], [3, 3]).is_constant


def test_a_constant_is_the_same_everywhere() -> None:
    assert Table.constant(4.0).at(np.array([-1e3, 1e3])) == pytest.approx([4.0, 4.0])
    assert Table.constant(4.0).is_constant


@pytest.mark.parametrize(
    ("temperatures", "values", "message"),
    [
        ([], [], "0 values"),
        ([1.0], [1.0, 2.0], "2 values and 1 temperatures"),
        ([2.0, 1.0], [1.0, 2.0], "ascending"),
        ([1.0, 1.0], [1.0, 2.0], "ascending"),
        ([0.0, 1.0], [1.0, float("nan")], "finite"),
    ],
)
def test_impossible_tables_are_refused(
    temperatures: list[float], values: list[float], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        Table.of(temperatures, values)


@pytest.mark.parametrize(
    ("kind", "name", "value", "expected"),
    [
        ("thermoelastic", "young", 0.0, "> 0"),
        ("thermoelastic", "young", -1.0, "> 0"),
        ("thermoelastic", "poisson", 0.5, "between -1 and 0.5"),
        ("thermoelastic", "poisson", -1.0, "between -1 and 0.5"),
        ("thermoelastic", "expansion", 12.0, "between -0.01 and 0.01 per K"),
        ("linear-hardening", "yield_stress", 0.0, "> 0"),
        ("linear-hardening", "hardening", -5.0, ">= 0"),
        ("elastoviscoplastic", "norton_stress", 0.0, "> 0"),
        ("elastoviscoplastic", "norton_exponent", 0.5, ">= 1"),
        ("elastoviscoplastic", "kinematic_modulus", -1.0, ">= 0"),
        ("elastoviscoplastic", "kinematic_recall", -1.0, ">= 0"),
        ("elastoviscoplastic", "yield_stress", -1.0, ">= 0"),
        ("elastoviscoplastic", "saturation", -1.0, ">= 0"),
    ],
)
def test_a_coefficient_that_is_impossible_is_named(
    tools: Any, kind: str, name: str, value: float, expected: str
) -> None:
    base = {
        "thermoelastic": GOOD,
        "linear-hardening": {**GOOD, "yield_stress": 100.0, "hardening": 0.0},
        "elastoviscoplastic": VISCOUS,
    }[kind]
    tools.law(kind, **base)
    with pytest.raises(UserError, match=f"coefficient {name}: expected {expected}") as caught:
        tools.law(kind, **{**base, name: value})
    assert f"received {value:g}" in str(caught.value)
