"""Test matrices, and a script that solves sequences with them under MPI.

``mpiexec -n p python krylov_worker.py FOLDER`` writes FOLDER/ranks-p.json with what it measured and
FOLDER/ranks-p.npz with the recycle spaces, put together from all ranks.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import LinearOperator, spsolve

from solvers.backend import MPI, PETSc
from solvers.krylov.deflated_cg import DeflatedCG
from solvers.krylov.gcrodr import GCRODR
from solvers.krylov.linear_operator import Operator
from solvers.krylov.recycle_space import RecycleSpace
from solvers.krylov.result import Tolerance

TOLERANCE = Tolerance(1e-9, 0.0, 2000)


def second_difference(cells: int) -> Any:
    ones = np.ones(cells)
    return sp.diags([-ones[1:], 2 * ones, -ones[1:]], [-1, 0, 1])


def darcy(cells: int, contrast: float = 3.0, seed: int = 0) -> Any:
    """5-point finite volumes of -div(K grad u) with u = 0 around, K smooth in [1, contrast]."""
    rng = np.random.default_rng(seed)
    x, modes = (np.arange(cells) + 0.5) / cells, np.arange(8)
    waves = np.cos(np.pi * np.outer(modes, x))
    decay = (np.pi**2 * (modes[:, None] ** 2 + modes**2) + 49) ** -1.25
    field = waves.T @ (rng.standard_normal((8, 8)) * decay) @ waves
    field = (field - field.min()) / np.ptp(field)
    K = contrast**field

    def faces(K: Any) -> Any:
        inside = 2 * K[1:] * K[:-1] / (K[1:] + K[:-1])
        return np.vstack([2 * K[:1], inside, 2 * K[-1:]])

    across, along = faces(K), faces(K.T).T
    n = cells * cells
    matrix = sp.diags((across[1:] + across[:-1] + along[:, 1:] + along[:, :-1]).ravel())
    right = np.pad(along[:, 1:-1], ((0, 0), (0, 1))).ravel()[: n - 1]
    up = across[1:-1].ravel()
    return (matrix - sp.diags([up, right, right, up], [-cells, -1, 1, cells])).tocsr()


def convection_diffusion(cells: int, peclet: float = 50.0, angle: float = 0.5) -> Any:
    """-Laplace(u) + peclet w . grad(u), upwind, u = 0 around."""
    ones, eye = np.ones(cells), sp.eye(cells)
    D, upwind = second_difference(cells), sp.diags([-ones[1:], ones], [-1, 0])
    wind = peclet / cells * np.array([np.cos(angle), np.sin(angle)])
    matrix = sp.kron(D + wind[0] * upwind, eye) + sp.kron(eye, D + wind[1] * upwind)
    return matrix.tocsr()


def shifted_laplacian(cells: int, wave: float = 200.0) -> Any:
    """-Laplace(u) - wave u, u = 0 around: symmetric indefinite."""
    D, eye = second_difference(cells), sp.eye(cells)
    return (sp.kron(D, eye) + sp.kron(eye, D) - wave / cells**2 * sp.eye(cells**2)).tocsr()


def to_petsc(matrix: Any, comm: Any = MPI.COMM_SELF) -> Any:
    """Distribute a SciPy matrix that all ranks hold."""
    n = matrix.shape[0]
    first, last = n * comm.rank // comm.size, n * (comm.rank + 1) // comm.size
    part = matrix[first:last].tocsr()
    sizes = (last - first, n)
    result = PETSc.Mat().createAIJ(
        (sizes, sizes), csr=(part.indptr, part.indices, part.data), comm=comm
    )
    result.assemble()
    return result


def preconditioner(matrix: Any, kind: str) -> Any:
    pc = PETSc.PC().create(matrix.comm)
    pc.setOperators(matrix)
    pc.setType(kind)
    pc.setUp()
    return pc


def operator(matrix: Any, kind: str = "jacobi", comm: Any = MPI.COMM_SELF) -> Operator:
    """Return a SciPy matrix with a preconditioner as an operator."""
    made = to_petsc(matrix, comm)
    return Operator(made, preconditioner(made, kind))


class Counted(LinearOperator):
    """A SciPy matrix that counts its products."""

    def __init__(self, matrix: Any) -> None:
        super().__init__(matrix.dtype, matrix.shape)
        self.products = 0
        self._matrix = matrix

    def _matvec(self, x: Any) -> Any:
        self.products += 1
        return self._matrix @ x


class Shell:
    """Context of a PETSc shell matrix that applies another."""

    def __init__(self, matrix: Any) -> None:
        self._matrix = matrix

    def mult(self, _: Any, x: Any, y: Any) -> None:
        self._matrix.mult(x, y)


def cases() -> dict[str, tuple[Any, list[Any]]]:
    """Methods and sequences of two different matrices, each solved twice."""
    recycling, cells = GCRODR(16, 6), 14
    return {
        "cg": (DeflatedCG(6, 20), [darcy(cells), darcy(cells, 5.0)]),
        "spd": (recycling, [darcy(cells), darcy(cells, 5.0)]),
        "nonsymmetric": (
            recycling,
            [convection_diffusion(cells), convection_diffusion(cells, 60.0)],
        ),
        # Three ranks share two rows: one of them owns none.
        "tiny": (GCRODR(2, 1), [sp.csr_matrix([[2.0, 1.0], [0.5, 3.0]])] * 2),
        "tiny-cg": (DeflatedCG(1), [sp.csr_matrix([[2.0, 1.0], [1.0, 3.0]])] * 2),
        "indefinite": (recycling, [shifted_laplacian(cells, 60.0), shifted_laplacian(cells, 65.0)]),
    }


def solve_sequence(method: Any, matrices: list[Any], comm: Any) -> tuple[list[dict[str, Any]], Any]:
    """Solve twice with each matrix; return what was measured, and the last space."""
    facts, space, rng = [], None, np.random.default_rng(3)
    for matrix in matrices:
        system = operator(matrix, comm=comm)
        n, local = matrix.shape[0], system.n_local
        first = comm.exscan(local) or 0
        for same in (False, True):
            b, x = rng.standard_normal(n), np.zeros(local)
            space = RecycleSpace.empty(local) if space is None else space
            result = method.solve(
                system, b[first : first + local], x, space, same=same, tolerance=TOLERANCE
            )
            space = result.space
            whole = {
                name: np.concatenate(comm.allgather(array))
                for name, array in {"U": space.U, "C": space.C, "x": x}.items()
            }
            facts.append(measure(matrix, b, whole, result, isinstance(method, DeflatedCG)))
    return facts, whole["U"]


def measure(matrix: Any, b: Any, whole: Any, result: Any, energy: bool) -> dict[str, Any]:
    exact = spsolve(matrix.tocsc(), b)
    U, C = whole["U"], whole["C"]
    gram = U.T @ C if energy else C.T @ C
    return {
        "reason": result.reason.value,
        "residual": float(np.linalg.norm(b - matrix @ whole["x"]) / np.linalg.norm(b)),
        "error": float(np.linalg.norm(whole["x"] - exact) / np.linalg.norm(exact)),
        "claimed": result.residual,
        "size": U.shape[1],
        "normal": float(np.abs(gram - np.eye(U.shape[1])).max()),
        "image": float(np.abs(matrix @ U - C).max() / np.abs(C).max()),
        "iterations": result.iterations,
        "inner": result.inner_reductions,
        "reductions": result.reductions,
        "cycles": result.cycles,
        "recycled": result.recycle_products,
        "products": result.products,
    }


def main(folder: Path) -> None:
    comm = MPI.COMM_WORLD
    facts, spaces = {}, {}
    for name, (method, matrices) in cases().items():
        facts[name], spaces[name] = solve_sequence(method, matrices, comm)
    if comm.rank == 0:
        (folder / f"ranks-{comm.size}.json").write_text(json.dumps(facts))
        np.savez(folder / f"ranks-{comm.size}.npz", **spaces)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
