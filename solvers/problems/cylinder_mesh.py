"""The reference mesh of the cylinder problem, made by gmsh."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from infra.errors import UserError
from infra.signals import signals_kept
from solvers.mesh import ReferenceMesh, reorder_for_locality

__all__ = ["CENTRE", "HEIGHT", "LENGTH", "RADIUS", "channel_mesh"]

LENGTH, HEIGHT = 2.2, 0.41
CENTRE, RADIUS = (0.2, 0.2), 0.05
# The cells grow from the cylinder's size to the far size over this distance, metres.
_GROWTH = (0.03, 0.45)
_PARTS = {"inlet": 1, "outlet": 2, "walls": 3, "cylinder": 4}


def channel_mesh(size: float, far_size: float) -> ReferenceMesh:
    """Mesh the channel around the cylinder.

    Parameters
    ----------
    size, far_size : edge lengths at the cylinder and far from it, metres

    Raises
    ------
    UserError
        If gmsh's library cannot be loaded.
    """
    gmsh = _load()
    with _session(gmsh):
        gmsh.option.setNumber("General.Terminal", 0)
        gmsh.model.add("channel")
        curves = _geometry(gmsh.model.geo)
        gmsh.model.geo.synchronize()
        _sizes(gmsh, curves["cylinder"], size, far_size)
        gmsh.model.mesh.generate(2)
        return _extract(gmsh.model.mesh, curves)


@contextmanager
def _session(gmsh: Any) -> Iterator[None]:
    with signals_kept():  # its own PETSc sets them to their defaults when it goes,
        with signals_kept():  # and before takes them for itself
            gmsh.initialize(interruptible=False)
        try:
            yield
        finally:
            gmsh.finalize()


def _load() -> Any:
    try:
        import gmsh
    except OSError as error:
        raise UserError(
            f"gmsh cannot be loaded ({error}): expected its system libraries. Install them, on "
            "Debian and Ubuntu: apt-get install libglu1-mesa libxrender1 libxcursor1 libxft2 "
            "libxinerama1"
        ) from error
    return gmsh


def _geometry(geo: Any) -> dict[str, list[int]]:
    """Draw the channel; four arcs put vertices at the cylinder's front, back, top and bottom."""
    ends = ((0, 0), (LENGTH, 0), (LENGTH, HEIGHT), (0, HEIGHT))
    corners = [geo.addPoint(x, y, 0) for x, y in ends]
    sides = [geo.addLine(corners[i], corners[(i + 1) % 4]) for i in range(4)]
    centre = geo.addPoint(*CENTRE, 0)
    steps = ((1, 0), (0, 1), (-1, 0), (0, -1))
    poles = [geo.addPoint(CENTRE[0] + RADIUS * i, CENTRE[1] + RADIUS * j, 0) for i, j in steps]
    arcs = [geo.addCircleArc(poles[i], centre, poles[(i + 1) % 4]) for i in range(4)]
    geo.addPlaneSurface([geo.addCurveLoop(sides), geo.addCurveLoop(arcs)])
    bottom, outlet, top, inlet = sides
    return {"inlet": [inlet], "outlet": [outlet], "walls": [bottom, top], "cylinder": arcs}


def _sizes(gmsh: Any, arcs: list[int], size: float, far_size: float) -> None:
    """Let the edge length grow linearly with the distance from the cylinder."""
    field = gmsh.model.mesh.field
    distance = field.add("Distance")
    field.setNumbers(distance, "CurvesList", arcs)
    field.setNumber(distance, "Sampling", 200)
    growth = field.add("Threshold")
    numbers = {"InField": distance, "SizeMin": size, "SizeMax": far_size}
    limits = {"DistMin": _GROWTH[0], "DistMax": _GROWTH[1]}
    for key, value in (numbers | limits).items():
        field.setNumber(growth, key, value)
    field.setAsBackgroundMesh(growth)
    for source in ("ExtendFromBoundary", "FromPoints", "FromCurvature"):
        gmsh.option.setNumber(f"Mesh.MeshSize{source}", 0)


def _extract(mesh: Any, curves: dict[str, list[int]]) -> ReferenceMesh:
    """Read triangles and tagged boundary edges, dropping nodes that no triangle uses."""
    numbers, positions, _ = mesh.getNodes()
    lookup = np.zeros(int(numbers.max()) + 1, dtype=np.int64)
    lookup[numbers.astype(np.int64)] = np.arange(len(numbers))
    _, triangles = mesh.getElementsByType(2)
    used, cells = np.unique(lookup[triangles.astype(np.int64)], return_inverse=True)
    compact = np.zeros(len(numbers), dtype=np.int64)
    compact[used] = np.arange(len(used))
    facets, tags = [], []
    for part, members in curves.items():
        for curve in members:
            _, ends = mesh.getElementsByType(1, curve)
            facets.append(compact[lookup[ends.astype(np.int64)]].reshape(-1, 2))
            tags.append(np.full(len(facets[-1]), _PARTS[part], dtype=np.int64))
    points = positions.reshape(-1, 3)[used, :2].copy()
    return reorder_for_locality(
        ReferenceMesh(
            points, cells.reshape(-1, 3), np.concatenate(facets), np.concatenate(tags), _PARTS
        )
    )
