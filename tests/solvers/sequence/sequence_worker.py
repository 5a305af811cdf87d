"""Families of small sequences, and a script that solves them under MPI.

``mpiexec -n p python sequence_worker.py FOLDER`` writes FOLDER/ranks-p.json with the reports and
FOLDER/ranks-p.npz with the solutions, put together from all ranks.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, final

import numpy as np
import scipy.sparse as sp
from scipy import fft

from solvers.backend import MPI, PETSc
from solvers.published_matrices import darcy_5_point, darcy_7_point
from solvers.sequence.report import LinearReport
from solvers.sequence.solver import SequenceSolver
from solvers.sequence.traits import Grid, Traits
from solvers.settings import LinearSettings

SAMPLES = 6


def permeability(shape: tuple[int, ...], contrast: float, seed: int) -> Any:
    """Return a smooth random field with values from 1 to `contrast`."""
    waves = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")
    decay = (np.pi**2 * sum(k**2 for k in waves) + 49.0) ** -1.25
    field = fft.idctn(decay * np.random.default_rng(seed).standard_normal(shape), norm="ortho")
    return contrast ** ((field - field.min()) / np.ptp(field))


def second_difference(cells: int) -> Any:
    ones = np.ones(cells)
    return sp.diags_array([-ones[1:], 2 * ones, -ones[1:]], offsets=[-1, 0, 1])


def convection_diffusion(cells: int, peclet: float, angle: float) -> Any:
    """-Laplace(u) + peclet w . grad(u), upwind, u = 0 around, times h^2."""
    ones, eye = np.ones(cells), sp.eye_array(cells)
    D, upwind = (
        second_difference(cells),
        sp.diags_array([-ones[1:], ones], offsets=[-1, 0]),
    )
    wind = peclet / cells * np.array([np.cos(angle), np.sin(angle)])
    across, along = D + wind[0] * upwind, D + wind[1] * upwind
    return sp.csr_array(sp.kron(across, eye) + sp.kron(eye, along))


def shifted_laplacian(cells: int, wave: float) -> Any:
    """-Laplace(u) - wave u, u = 0 around, times h^2: symmetric, indefinite for wave > 2 pi^2."""
    D, eye = second_difference(cells), sp.eye_array(cells)
    shift = wave / cells**2 * sp.eye_array(cells**2)
    return sp.csr_array(sp.kron(D, eye) + sp.kron(eye, D) - shift)


@final
@dataclass(frozen=True)
class Family:
    """Matrices of one pattern, by number, and what holds for all of them."""

    traits: Traits
    matrix: Callable[[int], Any]


def renumbered(matrix: Callable[[int], Any]) -> Callable[[int], Any]:
    """Hide the grid behind numbers without order, as meshes have them."""

    def hidden(number: int) -> Any:
        given = sp.csr_array(matrix(number))
        places = np.random.default_rng(3).permutation(given.shape[0])
        return sp.csr_array(given[places][:, places])

    return hidden


def families(cells: int = 30, contrast: float = 10.0) -> dict[str, Family]:
    """Return sequences of about ``cells ** 2`` unknowns; `contrast` is that of permeabilities."""

    def darcy(*shape: int) -> Callable[[int], Any]:
        assemble = darcy_5_point if len(shape) == 2 else darcy_7_point
        return lambda i: assemble(permeability(shape, contrast, i))

    spd = Traits(symmetric=True, definite=True)
    width, edge = cells + 4, round(cells ** (2 / 3))
    grid = Grid((width, cells), (1 / width, 1 / width))
    return {
        "spd-2d": Family(spd, renumbered(darcy(cells + 1, cells))),
        "spd-3d": Family(replace(spd, dimension=3), renumbered(darcy(edge, edge, edge))),
        "spd-grid": Family(replace(spd, grid=grid), darcy(*grid.shape)),
        "nonsymmetric": Family(
            Traits(), lambda i: convection_diffusion(cells, 20.0 + 2 * i, 0.03 * i)
        ),
        "indefinite": Family(
            Traits(symmetric=True), lambda i: shifted_laplacian(cells, 28.0 + 0.4 * i)
        ),
    }


def small_families() -> dict[str, Family]:
    """Return the families for several ranks, which share two cores in continuous integration."""
    found = families(10, 2.0)
    return {name: family for name, family in found.items() if name != "spd-grid"}


def local_rows(n: int, comm: Any) -> slice:
    return slice(n * comm.rank // comm.size, n * (comm.rank + 1) // comm.size)


def local_part(matrix: Any, comm: Any) -> tuple[Any, Any, Any]:
    """Return row starts, columns and values of this rank's rows, as PETSc wants them."""
    part = sp.csr_array(matrix)[local_rows(matrix.shape[0], comm)]
    return part.indptr.astype(PETSc.IntType), part.indices.astype(PETSc.IntType), part.data


def to_petsc(matrix: Any, comm: Any = MPI.COMM_SELF) -> Any:
    """Distribute a SciPy matrix that all ranks hold."""
    rows = local_rows(matrix.shape[0], comm)
    sizes = (rows.stop - rows.start, matrix.shape[0])
    made = PETSc.Mat().createAIJ((sizes, sizes), csr=local_part(matrix, comm), comm=comm)
    made.assemble()
    return made


def to_dense(block: Any, comm: Any = MPI.COMM_SELF) -> Any:
    """Distribute a NumPy array (n, m) that all ranks hold by rows."""
    rows = local_rows(len(block), comm)
    sizes = ((rows.stop - rows.start, len(block)), (None, block.shape[1]))
    values: Any = block[rows].ravel(order="F")
    made = PETSc.Mat().createDense(sizes, array=values, comm=comm)
    made.assemble()
    return made


def right_hand_side(n: int, number: int) -> Any:
    return 1.0 + 0.3 * np.random.default_rng([7, number]).standard_normal(n)


@final
class Run:
    """A solver with its matrix and vectors, driven with SciPy matrices and NumPy vectors."""

    def __init__(self, first: Any, traits: Traits, comm: Any = MPI.COMM_SELF, **how: Any) -> None:
        settings = LinearSettings(
            method=how.pop("method", "auto"),
            cost=how.pop("cost", "operations"),
            rtol=how.pop("rtol", 1e-8),
        )
        self.comm, self.scipy = comm, first
        self.matrix = to_petsc(first, comm)
        self.x, self.b = self.matrix.createVecs()
        self.solver = SequenceSolver(
            self.matrix, name="test", settings=settings, traits=traits, **how
        )

    def refill(self, matrix: Any) -> None:
        """Give the same PETSc matrix new values."""
        self.matrix.setValuesCSR(*local_part(matrix, self.comm))
        self.matrix.assemble()
        self.scipy = matrix
        self.solver.refilled()

    def solve(self, b: Any, context: tuple[float, ...] = ()) -> LinearReport:
        """Solve for a vector that all ranks hold."""
        self.b.setArray(b[local_rows(len(b), self.comm)])
        return self.solver.solve(self.b, self.x, context)

    def solution(self) -> Any:
        """Return the whole solution on every rank."""
        return np.concatenate(self.comm.allgather(self.x.getArray(readonly=True)))

    def residual(self, b: Any) -> float:
        """Return the true relative residual, measured by SciPy."""
        left = b - self.scipy @ self.solution()
        return float(np.linalg.norm(left) / np.linalg.norm(b))

    def destroy(self) -> None:
        """Free everything."""
        self.solver.destroy()
        for owned in (self.x, self.b, self.matrix):
            owned.destroy()


def solve_sequence(
    family: Family, comm: Any = MPI.COMM_SELF, samples: int = SAMPLES, **how: Any
) -> tuple[list[dict[str, Any]], Any]:
    """Solve systems 0 to `samples`; return what was measured and the (samples, n) solutions."""
    run = Run(family.matrix(0), family.traits, comm, **how)
    facts, solutions = [], []
    for number in range(samples):
        matrix = family.matrix(number)
        run.refill(matrix)
        b = right_hand_side(matrix.shape[0], number)
        report = run.solve(b)
        facts.append(measure(run, b, report))
        solutions.append(run.solution())
    run.destroy()
    return facts, np.array(solutions)


def measure(run: Run, b: Any, report: LinearReport) -> dict[str, Any]:
    return {
        "configuration": report.configuration,
        "reason": report.reason,
        "claimed": report.residual,
        "residual": run.residual(b),
        "iterations": report.work.iterations,
        "setups": report.work.setups,
        "tried": [list(one) for one in report.tried],
    }


def arms(family: Family, comm: Any) -> tuple[str, ...]:
    """Return the names of the configurations offered."""
    run = Run(family.matrix(0), family.traits, comm)
    found = run.solver.arms
    run.destroy()
    return found


def odd_clock(rank: int) -> Callable[[], float]:
    """Return a clock that counts the looks at it on rank 0 and stands still elsewhere."""
    looks = count()
    return lambda: 0.0 if rank else float(next(looks))


def cases(comm: Any) -> Iterator[tuple[str, Family, dict[str, Any]]]:
    """Yield all configurations of the small families, and decisions by operations and by clocks."""
    for name, family in small_families().items():
        for arm in arms(family, comm):
            yield f"{name}/{arm}", family, {"method": arm, "samples": 3}
        yield f"{name}/auto", family, {"samples": 5}
    lagged = {"method": "lagged-factor", "cost": "seconds", "samples": 5}
    yield "spd-2d/clock-lagged", small_families()["spd-2d"], lagged
    yield "spd-2d/clock-auto", small_families()["spd-2d"], {"cost": "seconds", "samples": 8}


def main(folder: Path) -> None:
    """Solve all cases, those by clocks with clocks that disagree."""
    comm = MPI.COMM_WORLD
    facts: dict[str, Any] = {}
    solutions: dict[str, Any] = {}
    for name, family, how in cases(comm):
        if "cost" in how:
            time.perf_counter = odd_clock(comm.rank)
        mine, found = solve_sequence(family, comm, **how)
        # What every rank saw; the solutions are the same on all of them.
        facts[name], solutions[name] = comm.allgather(mine), found
    if comm.rank == 0:
        (folder / f"ranks-{comm.size}.json").write_text(json.dumps(facts))
        np.savez(folder / f"ranks-{comm.size}.npz", **solutions)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
