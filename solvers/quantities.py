r"""Quantities of interest of a flow, computed while it runs.

Forces are reactions of the discrete momentum equation: with the test function :math:`v` that is
one on the body's nodes and zero on all others,

.. math::
   F_d = -\sum_{cells} v^T \left(\tfrac{M(\alpha_0 u^{n+1} + \alpha_1 u^n + \alpha_2 u^{n-1})}
   {\Delta t} + C(w) u^{n+1} + \nu K u^{n+1} - D_d^T \pi \right)_d

which converges twice as fast as an integral of the stress over the surface (Babuska and Miller,
1984, 10.1002/nme.1620200610; John, 2004, 10.1002/fld.679). Only the layer of cells that touches
the body contributes.
"""

from collections.abc import Mapping
from typing import Any, final

import numpy as np

from solvers.backend import MPI, dolfinx
from solvers.bdf import differences
from solvers.flow_operators import FlowOperators
from solvers.incompressible import FlowState
from solvers.mesh import FloatArray
from solvers.problem import FlowCase, Force

__all__ = ["FlowMonitor"]


@final
class FlowMonitor:
    """Evaluate the quantities of a case; every call is collective.

    Parameters
    ----------
    operators : constant operators on the present geometry
    case : the flow, which names its forces and pressure differences
    """

    def __init__(self, operators: FlowOperators, case: FlowCase) -> None:
        self._operators = operators
        self._comm = operators.disc.mesh.comm
        self._viscosity = case.viscosity
        self._forces = [(force, _Layer(operators, force)) for force in case.forces]
        self._differences = [
            (d.name, self._signed_rows(d.first, d.second)) for d in case.differences
        ]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the quantities that `after_step` returns."""
        return (*(f.name for f, _ in self._forces), *(name for name, _ in self._differences))

    def after_step(
        self, state: FlowState, convection: FloatArray, pressure: Any, courant: float
    ) -> tuple[dict[str, float], float]:
        """Return forces and pressure differences after a step, and the largest Courant number.

        Parameters
        ----------
        state : the state that the step returned
        convection : (n_cells, n, n) matrices that the step used
        pressure : vector of the pressure that the momentum equation of the step used
        courant : this rank's Courant number
        """
        local = [
            force.scale * layer.reaction(state, convection, self._viscosity)
            for force, layer in self._forces
        ]
        local += [float(s @ state.pressure.array_r[i]) for _, (i, s) in self._differences]
        sums = self._comm.allreduce(np.array([*local, 0.0]), op=MPI.SUM)
        largest = self._comm.allreduce(courant, op=MPI.MAX)
        return dict(zip(self.names, sums[:-1].tolist(), strict=True)), largest
