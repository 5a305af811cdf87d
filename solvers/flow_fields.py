"""A flow's fields at an output time: gathered on rank 0 in canonical order, with their norms."""

from typing import Any, final

import numpy as np

from solvers.backend import MPI
from solvers.flow_operators import FlowOperators
from solvers.incompressible import FlowState
from solvers.mesh import FloatArray
from solvers.snapshots import AXES

__all__ = ["FieldReader"]


@final
class FieldReader:
    """Read frames from a state; every call is collective.

    Parameters
    ----------
    operators : constant operators on the present geometry
    """

    def __init__(self, operators: FlowOperators) -> None:
        self._operators = operators
        self._disc = operators.disc
        self._comm = operators.disc.mesh.comm
        self._velocity_work = operators.mass.createVecLeft()
        self._pressure_work = operators.pressure_mass.createVecLeft()
        self._volume = float(self._comm.allreduce(operators.volume()))

    def frame(self, state: FlowState) -> dict[str, Any]:
        """Return fields (empty on other ranks than 0), kinetic energy and divergence.

        Velocities are (n_nodes,) in m/s. The pressure (n_vertices,), m^2/s^2, has zero mean
        where there is no outlet, for it is known up to a constant there.
        """
        values: dict[str, Any] = {}
        for axis, vector in enumerate(state.velocity[0]):
            values[f"velocity_{AXES[axis]}"] = self._disc.gather_quadratic(vector.array_r)
        pressure = self._disc.gather_linear(state.pressure.array_r)
        values["pressure"] = pressure - self._mean(state.pressure)
        values["kinetic_energy"] = np.float64(self._kinetic_energy(state))
        values["divergence"] = np.float64(self._divergence(state))
        return values

    def courant_rate(self, state: FlowState) -> float:
        """Return the largest rate at which cells are crossed, 1/s."""
        velocity = self._operators.cell_values(state.velocity[0])
        _, rate = self._operators.convection(velocity)
        return float(self._comm.allreduce(rate, op=MPI.MAX))

    def destroy(self) -> None:
        """Free PETSc's objects; collective."""
        self._velocity_work.destroy()
        self._pressure_work.destroy()

    def _mean(self, pressure: Any) -> float:
        if not self._operators.enclosed:
            return 0.0
        self._operators.pressure_mass.mult(pressure, self._pressure_work)
        return float(self._pressure_work.sum()) / self._volume

    def _kinetic_energy(self, state: FlowState) -> float:
        energy = 0.0
        for vector in state.velocity[0]:
            self._operators.mass.mult(vector, self._velocity_work)
            energy += 0.5 * float(vector.dot(self._velocity_work))
        return energy

    def _divergence(self, state: FlowState) -> float:
        """Return the L2 norm of the divergence, which is linear on each cell."""
        operators = self._operators
        cells, tensors = operators.geometry, operators.tensors
        velocity: FloatArray = operators.cell_values(state.velocity[0])
        # At vertex v: sum over nodes k, axes d of dphi_k/dX_a (v) dX_a/dx_d w_kd.
        crossing = velocity @ np.swapaxes(cells.inverse, 1, 2)
        at_corners = np.einsum("cka,avk->cv", crossing, tensors.corner_gradients)
        masses = tensors.linear_masses(cells)
        local = float(np.einsum("ci,cij,cj->", at_corners, masses, at_corners))
        return float(np.sqrt(self._comm.allreduce(local)))
