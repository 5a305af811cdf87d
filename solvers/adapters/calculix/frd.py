"""Reader of CalculiX's ``.frd`` files in ASCII: nodal results with six digits.

Fixed columns (CalculiX GraphiX manual, "Result Format"): a result block begins with ``100C`` and
its time, ``-4`` names it, ``-5`` lines name its components, ``-1`` lines hold a node in ten columns
and numbers in twelve columns each, ``-3`` ends it. ``.dat`` files hold one more digit.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from infra.errors import storage_errors
from solvers.adapters.external import MissingResultError, ResultMismatchError
from solvers.mesh import FloatArray

__all__ = ["read_nodal"]

_NODE, _WIDTH = 13, 12


def read_nodal(path: Path, name: str, nodes: int, components: int) -> tuple[FloatArray, FloatArray]:
    """Return a nodal result at all times of a file.

    Parameters
    ----------
    path : of the ``.frd`` file
    name : of the result, for example ``"DISP"`` or ``"STRESS"``
    nodes : number of nodes of the mesh; the file must hold them all, numbered from one
    components : how many numbers per node to return: 3 of ``DISP``, 6 of ``STRESS`` (xx, yy, zz,
        xy, yz, zx)

    Returns
    -------
    times : (T,) seconds
    values : (T, nodes, components)

    Raises
    ------
    MissingResultError
        If the file or such a block is missing, or a block is cut off.
    ResultMismatchError
        If the nodes are those of another mesh.
    """
    if not path.is_file():
        raise MissingResultError(
            f"CalculiX: expected the result file {path}; there is none. Run the deck first, and "
            "look into its log"
        )
    with storage_errors(path):
        lines = path.read_text(errors="replace").splitlines()
    found = [
        (time, _values(path, rows, nodes, components))
        for time, title, rows in _blocks(path, lines)
        if title == name
    ]
    if not found:
        raise MissingResultError(
            f"CalculiX: expected blocks {name} in {path}; there are none. Ask for them in the deck "
            "(*NODE FILE with U, *EL FILE with S) as ASCII, and look into the log of the run"
        )
    times, values = zip(*found, strict=True)
    return np.array(times), np.stack(values)


def _blocks(path: Path, lines: list[str]) -> Iterator[tuple[float, str, list[str]]]:
    """Yield time, name and data lines of each result block."""
    time, name, start = 0.0, "", -1
    for place, line in enumerate(lines):
        if line.startswith("  100C"):
            time = _number(path, line[12:24])
        elif line.startswith(" -4"):
            name, start = line[5:13].strip(), -1
        elif line.startswith(" -1") and name and start < 0:
            start = place
        elif line.startswith(" -3"):
            if name:
                yield time, name, lines[start:place] if start >= 0 else []
            name, start = "", -1
    if name:
        raise MissingResultError(
            f"CalculiX: expected the end of block {name} in {path}; the file is cut off: run the "
            "deck again"
        )


def _values(path: Path, rows: list[str], nodes: int, components: int) -> FloatArray:
    places = [int(_number(path, row[3:_NODE])) for row in rows]
    if places != list(range(1, nodes + 1)):
        raise ResultMismatchError(
            f"CalculiX: {path}: expected the nodes 1 to {nodes} in their order, received "
            f"{len(places)} nodes; read the results of this very mesh"
        )
    starts = [_NODE + _WIDTH * c for c in range(components)]
    return np.array([[_number(path, row[s : s + _WIDTH]) for s in starts] for row in rows])


def _number(path: Path, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise MissingResultError(
            f"CalculiX: expected a number in {path}, received {text!r}; the file is damaged or "
            "binary: ask for ASCII and run the deck again"
        ) from error
