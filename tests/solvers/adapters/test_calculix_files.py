"""Decks and readers of CalculiX without the program."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from infra.errors import UserError
from solvers.adapters.calculix.cards import number, set_card
from solvers.adapters.calculix.dat import read_displacements, read_stresses
from solvers.adapters.calculix.deck import deck
from solvers.adapters.calculix.frd import read_nodal
from solvers.adapters.calculix.material import material_cards
from solvers.adapters.calculix.sta import read_increments
from solvers.adapters.external import ExternalCase, MissingResultError, ResultMismatchError
from solvers.laws.description import law_from
from solvers.laws.law import Law
from solvers.loads import Amplitude, LoadCase, Prescribed, Pressure

E = {"young": 2e5, "poisson": 0.3}
NORTON = {"norton_stress": 300.0, "norton_exponent": 5.0, "yield_stress": 10.0}
RAMP = Amplitude((0.0, 1.0), (0.0, 1.0))


def law(kind: str = "thermoelastic", **coefficients: Any) -> Law:
    return law_from({"kind": kind, "coefficients": {**E, **coefficients}})


def lines_after(text: str, start: str) -> list[str]:
    """Return the data lines of the first card that begins so."""
    lines = text.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith(start)) + 1
    last = next(i for i in range(first, len(lines) + 1) if [*lines, "*"][i].startswith("*"))
    return lines[first:last]


@pytest.mark.parametrize("value", [0.0, -1.0 / 3.0, 1e-300, -1.7976931348623157e308, 2e5])
def test_numbers_fit_into_twenty_characters_and_keep_thirteen_digits(value: float) -> None:
    assert len(number(value)) <= 20
    assert float(number(value)) == pytest.approx(value, rel=1e-12)


def test_sets_have_at_most_sixteen_entries_a_line_and_count_from_one() -> None:
    lines = set_card("NSET", "A", range(40))
    assert lines[0] == "*NSET,NSET=A"
    assert [len(line.split(",")) for line in lines[1:]] == [16, 16, 8]
    assert lines[1].startswith("1,2,3")


def test_where_conditions_meet_the_deck_holds_the_later_one(boxes: Any) -> None:
    mesh = boxes.box((1, 1, 1))
    loads = LoadCase((Prescribed("x0", 2, 1.0), Prescribed("y0", 2, 2.0), Prescribed("x0", 0)))
    text = deck(ExternalCase(mesh, law(), loads, np.array([0.0, 1.0])), 1e-6)
    first = {int(n) - 1 for n in ",".join(lines_after(text, "*NSET,NSET=N0")).split(",")}
    assert first == set(mesh.nodes["x0"]) - set(mesh.nodes["y0"])
    assert lines_after(text, "*BOUNDARY") == [
        f"N0,3,3,{number(1.0)}",
        f"N1,3,3,{number(2.0)}",
        f"N2,1,1,{number(0.0)}",
    ]


def test_each_interval_is_one_step_with_the_loads_at_its_end(boxes: Any) -> None:
    loads = LoadCase((Prescribed("x0", 0),), (Pressure("x1", 8.0, RAMP),))
    times = np.array([0.0, 0.25, 1.0])
    text = deck(ExternalCase(boxes.box((1, 1, 1)), law(), loads, times), 1e-6)
    steps = text.split("*STEP")[1:]
    assert [lines_after(step, "*DLOAD")[0].split(",")[1:] for step in steps] == [
        ["P4", number(2.0)],
        ["P4", number(8.0)],
    ]
    assert [lines_after(step, "*STATIC")[0].split(",")[0] for step in steps] == [
        number(0.25),
        number(0.75),
    ]


def test_two_pressures_on_one_facet_are_refused(boxes: Any) -> None:
    twice = (Pressure("x1", 8.0, RAMP), Pressure("x1", 1.0, Amplitude.constant()))
    case = ExternalCase(
        boxes.box((1, 1, 1)), law(), LoadCase((Prescribed("x0", 0),), twice), np.array([0.0, 1.0])
    )
    with pytest.raises(UserError, match="received 1 facets with more than one"):
        deck(case, 1e-6)


def test_tables_of_the_material_share_all_temperatures() -> None:
    young = {"temperatures": [20.0, 600.0], "values": [2e5, 1e5]}
    poisson = {"temperatures": [20.0, 310.0], "values": [0.3, 0.4]}
    text = "\n".join(material_cards(law(young=young, poisson=poisson), None))
    rows = [list(map(float, row.split(","))) for row in lines_after(text, "*ELASTIC")]
    assert np.array(rows) == pytest.approx(
        np.array([[2e5, 0.3, 20.0], [1.5e5, 0.4, 310.0], [1e5, 0.4, 600.0]])
    )


def test_norton_flow_becomes_a_rate() -> None:
    text = "\n".join(material_cards(law("elastoviscoplastic", **NORTON), 8e-9))
    numbers = list(map(float, lines_after(text, "*CREEP")[0].split(",")))
    assert numbers == pytest.approx([300.0**-5, 5.0, 0.0], rel=1e-12, abs=0.0)
    assert float(lines_after(text, "*DENSITY")[0]) == pytest.approx(8e-9)
    assert float(lines_after(text, "*PLASTIC")[0].split(",")[0]) == 10.0


def test_creep_without_a_threshold_has_no_yield_table() -> None:
    cards = material_cards(law("elastoviscoplastic", **{**NORTON, "yield_stress": 0.0}), None)
    assert "*PLASTIC" not in cards


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kinematic_modulus": 1e5}, "Armstrong-Frederick"),
        ({"norton_stress": {"temperatures": [0.0, 1.0], "values": [1.0, 2.0]}}, "norton_stress as"),
        ({"norton_exponent": 30.0}, "expected at least 1e-20"),
    ],
)
def test_what_it_cannot_express_is_said(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        material_cards(law("elastoviscoplastic", **{**NORTON, **change}), None)


DAT = """
                        S T E P       1


 displacements (vx,vy,vz) for set NALL and time  0.5000000E+00

         1  1.000000E+00 -2.000000E+00  3.000000-101
         2  0.000000E+00  5.000000E-01 -6.000000E+00

 stresses (elem, integ.pnt.,sxx,syy,szz,sxy,sxz,syz) for set EALL and time  0.5000000E+00

         1   1  1.000000E+00  2.000000E+00  3.000000E+00  4.000000E+00  5.000000E+00  6.000000E+00

 displacements (vx,vy,vz) for set NALL and time  0.1000000E+01

         1  2.000000E+00 -2.000000E+00  3.000000E+00
         2  0.000000E+00  5.000000E-01 -6.000000E+00
"""


def test_displacements_are_read_with_short_exponents(tmp_path: Path) -> None:
    (tmp_path / "a.dat").write_text(DAT)
    times, values = read_displacements(tmp_path / "a.dat", 2)
    assert times.tolist() == [0.5, 1.0]
    assert values[0].tolist() == [[1.0, -2.0, 3e-101], [0.0, 0.5, -6.0]]
    assert values.shape == (2, 2, 3)


def test_stresses_become_mandel_components(boxes: Any, tmp_path: Path) -> None:
    (tmp_path / "a.dat").write_text(DAT)
    tet = boxes.box((1, 1, 1), kind="tetrahedron")
    with pytest.raises(ResultMismatchError, match="expected 6 integration points"):
        read_stresses(tmp_path / "a.dat", tet)
    row = "         1   1  1.000000E+00  2.000000E+00  3.000000E+00  4.0E+00  5.0E+00  6.0E+00\n"
    rows = "".join(row.replace("         1", f"{cell:10d}", 1) for cell in range(1, 7))
    head = " stresses (elem, integ.pnt.,sxx,syy,szz,sxy,sxz,syz) for set EALL and time  0.1E+01\n\n"
    (tmp_path / "b.dat").write_text(head + rows)
    _, stress = read_stresses(tmp_path / "b.dat", tet)
    root = np.sqrt(2.0)
    assert stress[0, 0] == pytest.approx([1.0, 2.0, 3.0, 6.0 * root, 5.0 * root, 4.0 * root])


def test_results_that_are_missing_or_of_another_mesh_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.dat"
    with pytest.raises(MissingResultError, match="there is none"):
        read_displacements(path, 2)
    path.write_text("nothing here\n")
    with pytest.raises(MissingResultError, match="blocks of displacements"):
        read_displacements(path, 2)
    path.write_text(DAT)
    with pytest.raises(ResultMismatchError, match="expected 3 nodes per block, received 2"):
        read_displacements(path, 3)
    path.write_text(DAT.replace("         2  0.0", "         7  0.0"))
    with pytest.raises(ResultMismatchError, match="in their order"):
        read_displacements(path, 2)
    path.write_text(DAT[: -len("-6.000000E+00\n")])
    with pytest.raises(MissingResultError, match="cut off"):
        read_displacements(path, 2)
    path.write_text(DAT.replace("5.000000E-01", "5.0000xxE-01"))
    with pytest.raises(MissingResultError, match="damaged"):
        read_displacements(path, 2)


FRD = """\
    1C
    2C                            2                                     1
 -1         1 0.00000E+00 0.00000E+00 0.00000E+00
 -1         2 1.00000E+00 0.00000E+00 0.00000E+00
 -3
    1PSTEP                         1           1           1
  100CL  101 5.00000E-01           2                     0    1           1
 -4  DISP        4    1
 -5  D1          1    2    1    0
 -5  ALL         1    2    0    0    1ALL
 -1         1-1.00000E+00-2.00000E+00 3.00000E+00
 -1         2 1.00000E+00 2.00000E+00-3.00000E+00
 -3
 9999
"""


def test_fixed_columns_are_read_though_numbers_touch(tmp_path: Path) -> None:
    (tmp_path / "a.frd").write_text(FRD)
    times, values = read_nodal(tmp_path / "a.frd", "DISP", 2, 3)
    assert times.tolist() == [0.5]
    assert values[0].tolist() == [[-1.0, -2.0, 3.0], [1.0, 2.0, -3.0]]


def test_an_incomplete_frd_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.frd"
    with pytest.raises(MissingResultError, match="there is none"):
        read_nodal(path, "DISP", 2, 3)
    path.write_text(FRD)
    with pytest.raises(MissingResultError, match="blocks STRESS"):
        read_nodal(path, "STRESS", 2, 6)
    with pytest.raises(ResultMismatchError, match="nodes 1 to 5"):
        read_nodal(path, "DISP", 5, 3)
    path.write_text(FRD[: FRD.index(" -3\n 9999")])
    with pytest.raises(MissingResultError, match="cut off"):
        read_nodal(path, "DISP", 2, 3)
    path.write_text(FRD.replace("3.00000E+00", "3.000\x00\x01E+00"))
    with pytest.raises(MissingResultError, match="damaged or binary"):
        read_nodal(path, "DISP", 2, 3)


STA = """SUMMARY OF JOB INFORMATION
  STEP      INC     ATT  ITRS     TOT TIME     STEP TIME      INC TIME
     1          1     1     2  0.250000E+00  0.250000E+00  0.250000E+00
     2          1     1U    4  0.250000E+00  0.000000E+00  0.500000E+00
     2          1     2     3  0.375000E+00  0.125000E+00  0.125000E+00
     2          2     1     2  0.750000E+00  0.500000E+00  0.375000E+00
"""


def test_attempts_that_failed_are_no_increments(tmp_path: Path) -> None:
    path = tmp_path / "a.sta"
    with pytest.raises(MissingResultError, match="there is none"):
        read_increments(path, 2)
    path.write_text(STA)
    assert read_increments(path, 2).tolist() == [1, 2]
    with pytest.raises(MissingResultError, match="expected 3 steps"):
        read_increments(path, 3)
