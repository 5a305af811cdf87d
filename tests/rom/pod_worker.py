"""Bases whose rows are split over MPI ranks; also imported by the tests for one process.

``mpiexec -n p python pod_worker.py FOLDER`` writes FOLDER/ranks-p.npz: the modes, put together by
this script and not by the code under test, singular values, and the size of the largest message.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from infra.errors import UserError
from infra.field_space import FieldInfo, FieldSpace
from rom.basis import pod
from rom.compressed import Compression
from rom.field_product import field_product
from rom.hierarchical import HierarchicalPod
from rom.products import Diagonal, Euclidean
from rom.reduction import Reducer

SNAPSHOTS, TRAJECTORIES, RANK = 40, 4, 8


def mesh(cells: int = 12) -> tuple[Any, Any]:
    axis = np.linspace(0.0, 1.0, cells + 1) ** 1.5
    points = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    number = np.arange(len(points)).reshape(cells + 1, cells + 1)
    a, b, c, d = number[:-1, :-1], number[1:, :-1], number[:-1, 1:], number[1:, 1:]
    halves = [np.stack(t, axis=-1).reshape(-1, 3) for t in ((a, b, d), (a, d, c))]
    return points, np.concatenate(halves)


def snapshots(points: Any) -> Any:
    """Return waves of many lengths; each rank can make those at its own points."""
    k = np.arange(SNAPSHOTS)[:, None]
    x, y = points.T
    return 2.0 + np.sin(0.11 * k * x + y) * np.exp(-0.05 * k * y) + 0.3 * np.cos((1 + k % 7) * x)


def space(points: Any, cells: Any) -> FieldSpace:
    info = FieldInfo("u", "1", len(points), "vertex")
    return FieldSpace((info,), {"vertex": points}, {"vertex": cells})


def own_cells(cells: Any, rank: int, size: int) -> tuple[Any, Any]:
    """Return the vertices of this rank's part of the mesh, and its cells numbered by them."""
    part = cells[len(cells) * rank // size : len(cells) * (rank + 1) // size]
    vertices, places = np.unique(part, return_inverse=True)
    return vertices, places.reshape(part.shape)


def bases(rank: int, size: int, reducers: Any) -> dict[str, tuple[Any, Any, Reducer]]:
    """Return by case the places of this rank's rows, its basis, and the reducer."""
    points, cells = mesh()
    n = len(points)
    rows = np.arange(n * rank // size, n * (rank + 1) // size)
    vertices, local = own_cells(cells, rank, size)
    made: dict[str, tuple[Any, Any, Reducer]] = {}
    weights = 1.0 + points[rows, 0]
    for name, make in {
        "euclidean": lambda r: Euclidean(len(rows), r),
        "weights": lambda r: Diagonal(weights, r),
        "mass": lambda r: field_product(space(points[vertices], local), "mass", reducer=r),
        "h1": lambda r: field_product(space(points[vertices], local), "h1", reducer=r),
    }.items():
        places = vertices if name in ("mass", "h1") else rows
        for method in ("gram", "qr"):
            reducer = reducers()
            values = snapshots(points[places])
            basis = pod(values, make(reducer), rank=RANK, method=method)  # type: ignore[arg-type]
            basis.projection_error(values)
            made[f"{name}-{method}"] = (places, basis, reducer)
    reducer = reducers()
    product = field_product(space(points[vertices], local), "mass", reducer=reducer)
    hierarchical = HierarchicalPod(Compression(product, 1e-4))
    for block in np.split(snapshots(points[vertices]), TRAJECTORIES):
        hierarchical.add(block)
    made["hierarchical"] = (vertices, hierarchical.basis()[0], reducer)
    return made


def refused(rank: int, reducer: Reducer) -> bool:
    """Return whether all ranks refuse snapshots of which one holds a NaN on the last rank."""
    values = np.random.default_rng(rank).standard_normal((4, 5))
    values[1, 1] = np.nan if rank == reducer.size - 1 else 0.0
    try:
        pod(values, Euclidean(5, reducer))
    except UserError:
        return True
    return False


def main(folder: Path) -> None:
    from mpi4py import MPI

    from rom.reduction import Communicator

    comm = MPI.COMM_WORLD
    result: dict[str, Any] = {}
    n = len(mesh()[0])
    for name, (places, basis, reducer) in bases(
        comm.rank, comm.size, lambda: Communicator(comm)
    ).items():
        for part, centre, rows in comm.allgather((basis.modes, basis.centre, places)):
            whole = result.setdefault(f"{name}.modes", np.full((n, part.shape[1]), np.nan))
            mean = result.setdefault(f"{name}.centre", np.full(n, np.nan))
            shared = ~np.isnan(mean[rows])
            # Rows that two ranks hold are the same on both.
            np.testing.assert_allclose(whole[rows][shared], part[shared], rtol=1e-12, atol=1e-14)
            whole[rows], mean[rows] = part, centre
        result[f"{name}.sigma"] = basis.singular_values
        bits = comm.allgather(basis.singular_values.tobytes())
        assert len(set(bits)) == 1
        result[f"{name}.largest"] = max(comm.allgather(reducer.largest))
        result[f"{name}.messages"] = reducer.messages
    result["refused"] = all(comm.allgather(refused(comm.rank, Communicator(comm))))
    if comm.rank == 0:
        np.savez(folder / f"ranks-{comm.size}.npz", **result)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
