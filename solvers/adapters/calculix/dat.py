r"""Reader of CalculiX's ``.dat`` files: tables of numbers with seven digits.

A block has a header such as ``displacements (vx,vy,vz) for set NALL and time  0.1000000E+01``, an
empty line, and one line per node, or per integration point of an element. The numbering of the
integration points of CalculiX is changed to ours here.
"""

import re
from pathlib import Path

import numpy as np

from infra.errors import storage_errors
from solvers.adapters.external import MissingResultError, ResultMismatchError
from solvers.mesh import FloatArray, IntArray
from solvers.structure_mesh import StructureMesh
from solvers.structure_quadrature import CellKind

__all__ = ["read_displacements", "read_stresses"]

_HEADER = re.compile(
    r"^ *(?P<what>[a-z][^\n]*?) *\([^)\n]*\) for set \S+ and time +(?P<time>\S+)$", re.MULTILINE
)
# Fortran leaves the letter out of exponents with three digits.
_BARE_EXPONENT = re.compile(r"(?<=\d)([+-]\d{3})\b")
# Our order of the components from CalculiX's xx, yy, zz, xy, xz, yz, and their Mandel factors.
_COMPONENTS = (0, 1, 2, 5, 4, 3)
_FACTORS = (1.0, 1.0, 1.0, 2.0**0.5, 2.0**0.5, 2.0**0.5)
# CalculiX's first coordinate runs fastest in hexahedra; tetrahedra are as ours.
_POINTS = {
    "hexahedron": (0, 4, 2, 6, 1, 5, 3, 7),
    "tetrahedron": (0,),
    "tetrahedron10": (0, 1, 2, 3),
}


def read_displacements(path: Path, nodes: int) -> tuple[FloatArray, FloatArray]:
    """Return the displacements of all nodes.

    Parameters
    ----------
    path : of the ``.dat`` file
    nodes : number of nodes of the mesh

    Returns
    -------
    times : (T,) total times of the blocks, seconds
    displacements : (T, nodes, 3) mm

    Raises
    ------
    MissingResultError
        If the file or such blocks are missing, or a block is cut off.
    ResultMismatchError
        If the nodes are those of another mesh.
    """
    times, blocks = _blocks(path, "displacements", 4)
    _require_size(path, "nodes", blocks, nodes)
    for block in blocks:
        _require_numbers(path, "nodes", block[:, 0], np.arange(1, nodes + 1))
    return times, np.stack([block[:, 1:] for block in blocks])


def read_stresses(path: Path, mesh: StructureMesh) -> tuple[FloatArray, FloatArray]:
    """Return the stresses at the material points of a mesh, in its order.

    Returns
    -------
    times : (T,) seconds
    stresses : (T, C g, 6) MPa, Mandel components

    Raises
    ------
    MissingResultError, ResultMismatchError
        As `read_displacements`.
    """
    times, blocks = _blocks(path, "stresses", 8)
    _require_size(path, "integration points", blocks, mesh.n_material_points)
    cells = np.repeat(np.arange(1, mesh.n_cells + 1), mesh.points_per_cell)
    stresses = []
    for block in blocks:
        _require_numbers(path, "elements", block[:, 0], cells)
        parts = block[:, 2:][:, _COMPONENTS] * np.array(_FACTORS)
        stresses.append(parts[_places(mesh.kind, mesh.n_cells)])
    return times, np.stack(stresses)


def _places(kind: CellKind, cells: int) -> IntArray:
    order = np.argsort(_POINTS[kind])
    return np.asarray((np.arange(cells)[:, None] * len(order) + order).reshape(-1))


def _blocks(path: Path, what: str, columns: int) -> tuple[FloatArray, list[FloatArray]]:
    """Return times and tables of the blocks whose header begins with `what`."""
    if not path.is_file():
        raise MissingResultError(
            f"CalculiX: expected the result file {path}; there is none. Run the deck first, and "
            "look into its log"
        )
    with storage_errors(path):
        text = path.read_text()
    headers = list(_HEADER.finditer(text))
    ends = [header.start() for header in headers[1:]] + [len(text)] * bool(headers)
    times, tables = [], []
    for header, end in zip(headers, ends, strict=True):
        if header["what"].startswith(what):
            times.append(float(header["time"]))
            tables.append(_table(path, text[header.end() : end], columns))
    if not tables:
        raise MissingResultError(
            f"CalculiX: expected blocks of {what} in {path}; there are none. Ask for them in the "
            "deck (*NODE PRINT with U, *EL PRINT with S), and look into the log of the run"
        )
    return np.array(times), tables


def _table(path: Path, text: str, columns: int) -> FloatArray:
    words = text.split()
    try:
        values = np.array(words, dtype=np.float64)
    except ValueError:
        values = _repaired(path, words)
    if values.size % columns:
        raise MissingResultError(
            f"CalculiX: expected rows of {columns} numbers in {path}, received {values.size} "
            "numbers in a block; the file is cut off: run the deck again"
        )
    return values.reshape(-1, columns)


def _repaired(path: Path, words: list[str]) -> FloatArray:
    try:
        return np.array([_BARE_EXPONENT.sub(r"E\1", word) for word in words], dtype=np.float64)
    except ValueError as error:
        raise MissingResultError(
            f"CalculiX: expected numbers in {path}, received others ({error}); the file is "
            "damaged: run the deck again"
        ) from error


def _require_size(path: Path, what: str, blocks: list[FloatArray], expected: int) -> None:
    wrong = [len(block) for block in blocks if len(block) != expected]
    if wrong:
        raise ResultMismatchError(
            f"CalculiX: {path}: expected {expected} {what} per block, received {wrong[0]}; read "
            "the results of this very mesh"
        )


def _require_numbers(path: Path, what: str, received: FloatArray, expected: IntArray) -> None:
    if not (received == expected).all():
        raise ResultMismatchError(
            f"CalculiX: {path}: expected the {what} of the mesh in their order, received others; "
            "read the results of this very mesh"
        )
