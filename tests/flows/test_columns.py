"""Numbered names stand together, whatever else stands beside them."""

import pytest

from flows.columns import bundles, range_text
from solvers.parameters import Parameter, Scale

XI = [f"xi_{i}" for i in range(64)]


def parameter(name: str, low: float = 0.0, high: float = 1.0, scale: Scale = "linear") -> Parameter:
    return Parameter(name, low, high, "m", "a number", scale)


def test_each_name_is_in_one_bundle_and_the_order_stays() -> None:
    names = ["contrast", *XI, "k", "a_1", "a_2", "a_3", "b_7"]
    found = bundles(names)
    assert [name for bundle in found for name in bundle.names] == names
    assert [bundle.text for bundle in found if not bundle.single] == ["xi_0 ... xi_63"]


@pytest.mark.parametrize(
    "names", [XI[:3], ["xi_0", "xi_2", "xi_4", "xi_6"], ["a_1", "b_2", "c_3", "d_4"], []]
)
def test_few_or_unconnected_names_stand_alone(names: list[str]) -> None:
    assert all(bundle.single for bundle in bundles(names))


def test_ranges_are_said_once_for_equal_parameters() -> None:
    field = [parameter(name) for name in XI]
    contrast = parameter("contrast", 3.0, 1000.0, "log")
    assert range_text([contrast, *field]) == [
        "contrast: 3 to 1000 m, log",
        "xi_0 ... xi_63 (64, linear, 0 to 1 m)",
    ]


def test_a_bundle_with_another_range_inside_is_taken_apart() -> None:
    field = [parameter(name) for name in XI[:5]]
    field[2] = parameter("xi_2", high=2.0)
    assert len(range_text(field)) == 5
