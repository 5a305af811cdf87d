"""Fields as VTKHDF, the format of ParaView: an unstructured grid, with time steps.

The file follows version 2.2 of the format (VTK, "VTKHDF File Format"): points, cells and values
are stored once; the group ``Steps`` says where the values of each time begin.
"""

from collections.abc import Mapping
from io import BytesIO
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

__all__ = ["VTKHDF", "vtkhdf_bytes"]

VTKHDF = "application/x-hdf5"

type _Floats = NDArray[np.float64]
type _Ints = NDArray[np.int64]

# Kind of a cell by its number of corners: line, triangle, tetrahedron.
_KINDS = {2: 3, 3: 5, 4: 10}


def vtkhdf_bytes(
    points: _Floats, cells: _Ints, times: _Floats, fields: Mapping[str, NDArray[np.floating]]
) -> bytes:
    """Return fields on a mesh of simplices as the bytes of a VTKHDF file.

    Parameters
    ----------
    points
        Positions, (n, d), m; d from 1 to 3.
    cells
        Corners, (m, d + 1).
    times
        (T,), s.
    fields
        Values at the points by name, (T, n).
    """
    sink = BytesIO()
    with h5py.File(sink, "w") as file:
        root = file.create_group("VTKHDF", track_order=True)
        root.attrs["Version"] = np.array([2, 2], np.int64)
        root.attrs.create("Type", np.bytes_("UnstructuredGrid"))
        _write_mesh(root, points, cells)
        data = root.create_group("PointData")
        for name, values in fields.items():
            data.create_dataset(name, data=np.ascontiguousarray(values).reshape(-1))
        _write_steps(root, times, fields, len(points))
    return sink.getvalue()


def _write_mesh(root: Any, points: _Floats, cells: _Ints) -> None:
    n, corners = len(points), cells.shape[1]
    padded = np.zeros((n, 3))
    padded[:, : points.shape[1]] = points
    root["NumberOfPoints"] = np.array([n], np.int64)
    root["NumberOfCells"] = np.array([len(cells)], np.int64)
    root["NumberOfConnectivityIds"] = np.array([cells.size], np.int64)
    root["Points"] = padded
    root["Connectivity"] = cells.reshape(-1)
    root["Offsets"] = np.arange(0, cells.size + 1, corners, dtype=np.int64)
    root["Types"] = np.full(len(cells), _KINDS[corners], np.uint8)


def _write_steps(
    root: Any, times: _Floats, fields: Mapping[str, NDArray[np.floating]], n: int
) -> None:
    count = len(times)
    steps = root.create_group("Steps")
    steps.attrs["NSteps"] = np.int64(count)
    steps["Values"] = times
    # The mesh is the same at all times: each step begins at its first point and cell.
    zero = np.zeros(count, np.int64)
    for name in ("PartOffsets", "PointOffsets"):
        steps[name] = zero
    for name in ("CellOffsets", "ConnectivityIdOffsets"):
        steps[name] = zero.reshape(-1, 1)
    steps["NumberOfParts"] = np.ones(count, np.int64)
    offsets = steps.create_group("PointDataOffsets")
    for name in fields:
        offsets[name] = np.arange(count, dtype=np.int64) * n
