r"""The linear systems of a time step: one matrix for damped and for Crank-Nicolson steps.

In linear elements the equation is :math:`M \dot u + K u = F`. Half a step :math:`\tau` of backward
Euler from u solves

.. math:: \left(\tfrac1\tau M + K\right) v = \tfrac1\tau M u + F,

and the Crank-Nicolson step of length :math:`2\tau` is :math:`2 v - u`: both have the same matrix.
Streamline diffusion tests the time derivative as well, so that it stays consistent: M is then
that of the test functions :math:`\phi_i + \tau_T\, w\cdot\nabla\phi_i` of `TransportElements`.
"""

from dataclasses import replace
from typing import Any, final

import numpy as np

from solvers.linear_space import LinearSpace
from solvers.mesh import FloatArray
from solvers.steady_case import SteadyCase
from solvers.steady_system import coo_matrix, fill
from solvers.transient_case import TransientCase
from solvers.transport_elements import CellCoefficients
from solvers.transport_system import TransportSystem

__all__ = ["HalfStepSystem"]


@final
class HalfStepSystem:
    """See the module.

    Parameters
    ----------
    space : P1 space on the mesh
    case : a case of the sequence; it gives the boundary parts
    half : half the time step, s
    """

    def __init__(self, space: LinearSpace, case: TransientCase, half: float) -> None:
        self._space = space
        self._half = half
        self._system = TransportSystem(space, self._steady(case))
        parts = [space.on_part(condition.part) for condition in case.equation.prescribed]
        self._prescribed = [dofs[dofs < space.n_owned] for dofs in parts]
        self._fixed = np.unique(np.concatenate([np.empty(0, np.int64), *self._prescribed]))
        self._values = np.empty(0)
        self._load = np.empty(0)
        self._make_mass(parts)

    @property
    def matrix(self) -> Any:
        """The PETSc matrix of all half steps; its pattern never changes."""
        return self._system.matrix

    def refill(self, case: TransientCase) -> None:
        """Give the matrices the values of a case; collective."""
        self._system.refill(self._steady(case))
        density = replace(case.equation, reaction=case.capacity / self._half)
        given = CellCoefficients.of(density, self._space.cells)
        masses = self._system.elements.masses(given).ravel()
        masses[self._without] = 0.0
        fill(self._mass, masses)

    def begin(self, case: TransientCase) -> FloatArray:
        """Take the data of a case and return its owned initial values; collective."""
        self._load = self._system.right(self._steady(case))
        place = self._space.reference.points[self._space.vertices[: self._space.n_owned]]
        values = np.array(case.initial(place), dtype=np.float64)
        for condition, dofs in zip(case.equation.prescribed, self._prescribed, strict=True):
            values[dofs] = condition.value(place[dofs])
        self._values = values[self._fixed]
        return values

    def right(self, before: Any, vector: Any) -> None:
        """Compute the right-hand side of half a step from the vector `before`; collective."""
        self._mass.mult(before, vector)
        with vector as owned:
            owned += self._load

    def hold(self, vector: Any) -> None:
        """Give the prescribed values, which a solver returns with rounding errors, exactly."""
        with vector as owned:
            owned[self._fixed] = self._values

    def gather(self, owned: FloatArray) -> FloatArray:
        """Return the values (n_vertices, 1) on rank 0, others get no entries; collective."""
        return self._system.gather(owned)

    def destroy(self) -> None:
        """Free PETSc's objects; collective."""
        self._system.destroy()
        self._mass.destroy()

    def _steady(self, case: TransientCase) -> SteadyCase:
        """Return half a step as a steady problem: the capacity is a reaction."""
        reaction = case.capacity / self._half
        if case.equation.reaction is not None:
            reaction = reaction + case.equation.reaction
        return SteadyCase((case.unknown,), replace(case.equation, reaction=reaction), case.traits)

    def _make_mass(self, parts: list[Any]) -> None:
        """Collect rows and columns; rows of prescribed values have zeros."""
        dofs = self._space.dofs
        shape = (*dofs.shape, dofs.shape[1])
        fixed = np.zeros(len(self._space.vertices), dtype=np.bool_)
        for on_part in parts:
            fixed[on_part] = True
        self._without = np.broadcast_to(fixed[dofs][:, :, None], shape).ravel()
        numbers = self._space.global_numbers(dofs)
        rows, columns = numbers[:, :, None], numbers[:, None, :]
        self._mass = coo_matrix(
            self._space.comm,
            self._space.n_owned,
            np.broadcast_to(rows, shape).ravel(),
            np.broadcast_to(columns, shape).ravel(),
        )
