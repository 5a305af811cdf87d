r"""GCRO-DR: flexible GMRES with deflated restarting that recycles across systems.

Each cycle minimises the residual over :math:`[U\; Z]`, keeps the k harmonic Ritz vectors with the
smallest values as the new U, and starts again; the last U goes to the next system. Source: Parks,
de Sturler, Mackey, Johnson and Maiti (2006), doi:10.1137/040607277. Here U lies in solution space,
the preconditioner is on the right and may vary, each step costs one global reduction, and U is
updated at the end of every solve, also of one that converged early.
"""

from typing import final

import numpy as np

from solvers.krylov.arnoldi import Arnoldi
from solvers.krylov.blocks import Block, Vector, combine, subtract
from solvers.krylov.method import RecyclingMethod, Solve
from solvers.krylov.recycle_space import RecycleSpace
from solvers.krylov.refresh import orthonormal
from solvers.krylov.result import KrylovStop, Reason
from solvers.krylov.ritz import harmonic_ritz
from solvers.krylov.staleness import Gate, whiten

__all__ = ["GCRODR"]

# A method that gains less than one per cent in ten cycles will not arrive.
_CYCLES, _GAIN = 10, 0.99
# Square lengths below this, relatively, are rounding.
_NULL = 1e-12


@final
class GCRODR(RecyclingMethod):
    """GCRO-DR(m, k).

    Parameters
    ----------
    restart : largest dimension m of the search space, recycled vectors included
    size : recycled vectors k; 0 makes it restarted flexible GMRES
    staleness : largest sine of a principal angle by which a recycled direction's image may have
        turned (see `Gate`)
    """

    def __init__(self, restart: int = 40, size: int = 20, staleness: float = 1.0) -> None:
        self.restart, self.size = restart, min(size, restart - 1)
        self._gate = Gate(staleness)

    def run(self, solve: Solve) -> Reason:
        """Iterate over cycles."""
        r = solve.begin()
        cycle = _Cycle(solve, self.restart, self.size)
        cycle.install(self._gate)
        norms: list[float] = []
        while not cycle.project(r):
            norms.append(solve.residual)
            reason = self._give_up(solve, cycle, norms)
            if reason is not None:
                return reason
            cycle.advance(r)
            solve.operator.residual(solve.b, solve.x, r)
        return Reason.CONVERGED

    def _give_up(self, solve: Solve, cycle: "_Cycle", norms: list[float]) -> Reason | None:
        """Return a reason to stop before the next cycle, if there is one."""
        if solve.iterations >= solve.tolerance.max_it:
            return Reason.ITERATION_LIMIT
        if cycle.promised:
            solve.refuse_round_off()
        if cycle.arnoldi.exhausted and len(norms) > 1 and norms[-1] > 0.5 * norms[-2]:
            return Reason.SINGULAR if cycle.singular else Reason.BREAKDOWN
        if len(norms) > _CYCLES and norms[-1] > _GAIN * norms[-1 - _CYCLES]:
            return Reason.SINGULAR if cycle.nearly_singular() else Reason.STAGNATION
        return None


@final
class _Cycle:
    """Blocks of the running solve and what one cycle does with them.

    Attributes
    ----------
    promised : the last cycle's recurrence said that the tolerance was met
    singular : the last cycle met a vector that the matrix maps to zero
    """

    def __init__(self, solve: Solve, dimension: int, size: int) -> None:
        self.arnoldi = Arnoldi(solve.operator, solve.reducer, dimension)
        self.promised = self.singular = False
        self._solve, self._size = solve, size
        self._images: Block = np.empty((0, solve.operator.n_local))
        self._rest = np.inf
        self._age = 0

    def install(self, gate: Gate) -> None:
        """Carry the recycle space over to this matrix."""
        solve = self._solve
        if not solve.space.size or not self._size:
            return
        held = orthonormal(solve.operator, solve.reducer, solve.space, solve.same, gate)
        solve.stale, solve.recycle_products = held.stale, held.products
        self._age = held.age
        self._keep(held.U[: self._size], held.C[: self._size], held.T[: self._size])

    def _keep(self, U: Block, C: Block, T: Block) -> None:
        """Take these vectors as the recycle space, here and for the next system."""
        k = len(U)
        self.arnoldi.directions[:k], self.arnoldi.basis[:k], self._images = U, C, T
        self._solve.space = RecycleSpace(U.T, C.T, T.T, self._age, normal="image")

    def project(self, r: Vector) -> bool:
        """Take the recycled part out of a true residual; return whether that was converged."""
        solve, W, k = self._solve, self.arnoldi.basis, len(self._images)
        part, (rr,) = solve.reducer.sums(W[:k] @ r, np.atleast_1d(r @ r))
        if not np.isfinite(rr):
            raise KrylovStop(Reason.NOT_FINITE)
        if solve.confirm(float(np.sqrt(rr))):
            return True
        self._rest = float(np.sqrt(max(rr - part @ part, 0.0)))
        subtract(solve.x, -part, self.arnoldi.directions[:k])
        subtract(r, part, W[:k])
        return False

    def advance(self, r: Vector) -> None:
        """One cycle: grow the space, add the best correction to x, choose the new U."""
        solve, arnoldi = self._solve, self.arnoldi
        solve.cycles += 1
        arnoldi.begin(len(self._images))[:] = r
        estimate, before = self._rest, solve.reducer.count
        # Rounding in the recurrence must not cost another cycle.
        goal = 0.999 * solve.target
        while (
            estimate > goal
            and arnoldi.top < len(arnoldi.directions)
            and not arnoldi.exhausted
            and solve.iterations < solve.tolerance.max_it
        ):
            estimate = arnoldi.step()
            solve.iterations += 1
            solve.record(estimate)
        solve.inner_reductions += solve.reducer.count - before
        self.promised = estimate <= solve.target
        if arnoldi.top > arnoldi.recycled:
            overlap = arnoldi.finish(self._images)
            self._correct()
            self._update(overlap)

    def _correct(self) -> None:
        """Add the correction of smallest residual to x."""
        arnoldi, p = self.arnoldi, self.arnoldi.top
        relation = arnoldi.relation[: p + 1, :p]
        weights, _, rank, _ = np.linalg.lstsq(relation, arnoldi.start[: p + 1], rcond=1e-14)
        self.singular = bool(rank < p) and self._met_null_vector(relation)
        (weights,) = self._solve.reducer.same(weights * arnoldi.scale[:p])
        subtract(self._solve.x, -weights, arnoldi.directions[:p])

    def _met_null_vector(self, relation: Block) -> bool:
        """Return whether the vector with image zero is not zero itself."""
        arnoldi, p = self.arnoldi, self.arnoldi.top
        null = np.linalg.svd(relation)[2][-1] * arnoldi.scale[:p]
        vector = null @ arnoldi.directions[:p]
        lengths = np.einsum("ij,ij->i", arnoldi.directions[:p], arnoldi.directions[:p])
        length, parts = self._solve.reducer.sums(np.atleast_1d(vector @ vector), lengths)
        return bool(length[0] > _NULL * (null**2 @ parts))

    def nearly_singular(self) -> bool:
        """Return whether a recycled vector has an image that is nothing but rounding."""
        U, C = self._solve.space.U.T, self._solve.space.C.T
        size = self._solve.operator.norm()
        if not len(U) or size is None:
            return False
        own, image = self._solve.reducer.sums(U @ U.T, C @ C.T)
        unit = whiten(image)
        return bool(np.linalg.eigvalsh(unit.T @ own @ unit)[-1] * _NULL * size**2 > _NULL**-1)

    def _update(self, overlap: Block) -> None:
        """Replace the recycle space by the harmonic Ritz vectors of the cycle."""
        if not self._size:
            return
        arnoldi, k, p = self.arnoldi, self.arnoldi.recycled, self.arnoldi.top
        relation = arnoldi.relation[: p + 1, :p]
        gram = np.eye(p + 1, p)
        gram[:, :k] = overlap
        chosen = harmonic_ritz(relation, gram, self._size)
        if not chosen.shape[1]:
            return
        image, upper = np.linalg.qr(relation @ chosen)
        weights = np.linalg.solve(upper.T, chosen.T).T
        weights, image = self._solve.reducer.same(weights, image)
        U = combine(weights * arnoldi.scale[:p, None], arnoldi.directions[:p])
        C = combine(image, arnoldi.basis[: p + 1])
        T = combine(weights[k:], arnoldi.basis[k:p])
        T += combine(weights[:k], self._images)
        self._keep(U, C, T)
