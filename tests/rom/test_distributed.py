"""Bases over MPI ranks and Dask workers equal those of one process, and no field is gathered.

The MPI numbers come from ``mpiexec -n p python pod_worker.py``.
"""

import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from infra.errors import UserError
from rom.basis import pod
from rom.field_product import field_product
from rom.hierarchical import hierarchical_pod
from rom.products import Diagonal, Euclidean
from rom.reduction import Serial
from rom.row_blocks import pod_of_row_blocks

WORKER = Path(__file__).with_name("pod_worker.py")
CASES = [
    *(f"{p}-{m}" for p in ("euclidean", "weights", "mass", "h1") for m in ("gram", "qr")),
    "hierarchical",
]


@pytest.fixture(scope="module")
def worker() -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(WORKER)))


@pytest.fixture(scope="module")
def serial(worker: SimpleNamespace) -> dict[str, Any]:
    return {name: basis for name, (_, basis, _) in worker.bases(0, 1, Serial).items()}


@pytest.fixture(scope="module")
def measured(
    tmp_path_factory: pytest.TempPathFactory, run_worker: Callable[..., None]
) -> Callable[[int], Any]:
    """Give a function that returns what the worker found on some ranks."""
    folder = tmp_path_factory.mktemp("pod")

    def run(ranks: int) -> Any:
        found = folder / f"ranks-{ranks}.npz"
        if not found.exists():
            run_worker(WORKER, ranks, folder)
        return np.load(found)

    return run


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("case", CASES)
def test_the_number_of_ranks_changes_no_basis(
    serial: dict[str, Any], measured: Any, case: str, ranks: int
) -> None:
    one, found = serial[case], measured(ranks)
    for name, expected in (("modes", one.modes), ("centre", one.centre)):
        worst = np.abs(found[f"{case}.{name}"] - expected).max() / np.abs(expected).max()
        assert worst <= 1e-10, f"{name}: {worst:.1e}"
    sigma = one.singular_values[: one.rank]
    np.testing.assert_allclose(
        found[f"{case}.sigma"][: one.rank], sigma, rtol=0, atol=1e-10 * sigma[0]
    )  # fmt: skip


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [2, 3])
@pytest.mark.parametrize("case", CASES)
def test_no_message_is_larger_than_the_matrix_of_products_of_snapshots(
    worker: SimpleNamespace, measured: Any, case: str, ranks: int
) -> None:
    found = measured(ranks)
    k = worker.SNAPSHOTS // (worker.TRAJECTORIES if case == "hierarchical" else 1)
    r = found[f"{case}.modes"].shape[1]
    assert 0 < found[f"{case}.largest"] <= max(k, 2 * r + 1) ** 2
    # A field of this mesh alone would be: 169 values, and 40 of them 6760.
    assert found[f"{case}.messages"] > 0


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [2, 3])
def test_what_is_wrong_on_one_rank_is_refused_on_all(measured: Any, ranks: int) -> None:
    assert measured(ranks)["refused"]


def cut(rows: Any, weights: Any) -> tuple[list[Any], list[Any]]:
    parts = np.array_split(np.arange(rows.shape[1]), 3)
    return [rows[:, p] for p in parts], [Diagonal(weights[p]) for p in parts]


@pytest.fixture
def waves(worker: SimpleNamespace) -> Any:
    return worker.snapshots(worker.mesh()[0])


@pytest.mark.parametrize("centre", [True, False])
def test_blocks_of_rows_give_the_basis_of_the_whole(waves: Any, centre: bool) -> None:
    weights = np.linspace(1.0, 2.0, waves.shape[1])
    blocks, products = cut(waves, weights)
    found = pod_of_row_blocks(blocks, products, tolerance=3e-3, centre=centre)
    one = pod(waves, Diagonal(weights), tolerance=3e-3, centre=centre)
    assert found.rank == one.rank > 5
    np.testing.assert_allclose(np.concatenate(found.modes), one.modes, rtol=0, atol=1e-10)
    if centre:
        np.testing.assert_allclose(np.concatenate(found.centres), one.centre)
    else:
        assert found.centres is None


def test_blocks_refuse_what_they_cannot_do(waves: Any) -> None:
    blocks = [waves[:, :80], waves[:, 80:]]
    assert pod_of_row_blocks(blocks, rank=3).rank == 3
    with pytest.raises(UserError, match="method of snapshots resolves"):
        pod_of_row_blocks(blocks, tolerance=1e-9)
    with pytest.raises(UserError, match="snapshots that differ"):
        pod_of_row_blocks([np.ones((4, 3))] * 2, tolerance=1e-3)
    blocks[1] = blocks[1].copy()
    blocks[1][0, 0] = np.nan
    with pytest.raises(UserError, match="NaN or infinite"):
        pod_of_row_blocks(blocks, tolerance=1e-3)


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """Give a client of two worker processes."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as made,
    ):
        yield made


def test_leaves_that_dask_workers_compress_give_the_basis_of_one_process(
    client: Any, pulses: Any
) -> None:
    study = pulses(8, 5)
    product = field_product(study.space)

    def mapper(leaf: Any, groups: Any) -> Any:
        return client.gather(client.map(leaf, list(groups)))

    basis, report = hierarchical_pod(study, product, 1e-4, rows=5, mapper=mapper)
    one, alone = hierarchical_pod(study, product, 1e-4, rows=5)
    assert report.n_leaves == alone.n_leaves == 8
    np.testing.assert_allclose(basis.modes, one.modes, atol=1e-9)


def test_leaves_are_used_as_they_come(client: Any, pulses: Any) -> None:
    from distributed import as_completed

    study = pulses(6, 5)
    product, rows = field_product(study.space), study.matrix()

    def mapper(leaf: Any, groups: Any) -> Any:
        return (future.result() for future in as_completed(client.map(leaf, list(groups))))

    basis, report = hierarchical_pod(study, product, 1e-4, rows=5, mapper=mapper)
    errors = basis.projection_error(rows, relative=False)
    assert (errors**2).sum() <= 1e-8 * report.energy


def test_dask_keeps_the_rows_of_the_modes_on_its_workers(client: Any, waves: Any) -> None:
    parts, _ = cut(waves, np.ones(waves.shape[1]))
    blocks = client.scatter(parts)
    found = pod_of_row_blocks(
        blocks, rank=6, run=lambda *a: client.gather(client.map(*a)), keep=client.map
    )
    one = pod(waves, Euclidean(waves.shape[1]), rank=6, method="gram")
    modes = np.concatenate(client.gather(list(found.modes)))
    np.testing.assert_allclose(modes, one.modes, atol=1e-9)
