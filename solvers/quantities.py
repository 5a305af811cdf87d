r"""Forces and pressure differences of a flow, computed after each step.

Forces are reactions of the discrete momentum equation: with the test function :math:`v` that is
one on the body's nodes and zero on all others,

.. math::
   F_d = -\sum_{cells} v^T \left(\tfrac{M(\alpha_0 u^{n+1} + \alpha_1 u^n + \alpha_2 u^{n-1})}
   {\Delta t} + C(w) u^{n+1} + \nu K u^{n+1} - D_d^T \pi \right)_d

which converges twice as fast as an integral of the stress over the surface (Babuska and Miller,
1984, 10.1002/nme.1620200610; John, 2004, 10.1002/fld.679). Only the layer of cells that touches
the body contributes.
"""

from typing import Any, final

import numpy as np

from solvers.backend import MPI
from solvers.flow_operators import FlowOperators
from solvers.incompressible import FlowState, StepTerms
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
        self._differences = [(d.name, *self._probe(d.first, d.second)) for d in case.differences]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the quantities that `after_step` returns."""
        return (*(f.name for f, _ in self._forces), *(d[0] for d in self._differences))

    def after_step(self, state: FlowState, terms: StepTerms) -> tuple[dict[str, float], float]:
        """Return the quantities after a step, and its Courant number.

        Parameters
        ----------
        state : the state that the step left
        terms : what the step returned
        """
        local = [
            force.scale * layer.reaction(state, terms, self._viscosity)
            for force, layer in self._forces
        ]
        pressure = state.pressure.array_r
        local += [float(signs @ pressure[rows]) for _, rows, signs in self._differences]
        courant = self._comm.allreduce(terms.courant_rate * terms.step, op=MPI.MAX)
        if not local:
            return {}, courant
        sums = np.empty(len(local))
        self._comm.Allreduce(np.array(local), sums, op=MPI.SUM)
        return dict(zip(self.names, sums.tolist(), strict=True)), courant

    def _probe(self, first: int, second: int) -> tuple[Any, FloatArray]:
        """Return the owned rows of two vertices, with signs +1 and -1."""
        disc = self._operators.disc
        owned = disc.corners[: disc.linear.dofmap.index_map.size_local]
        rows = [np.flatnonzero(owned == vertex) for vertex in (first, second)]
        signs = np.repeat([1.0, -1.0], [len(r) for r in rows])
        return np.concatenate(rows), signs


@final
class _Layer:
    """The cells of this rank that touch a body, with everything constant summed over its nodes."""

    def __init__(self, operators: FlowOperators, force: Force) -> None:
        disc, tensors = operators.disc, operators.tensors
        on_body = np.isin(disc.nodes, disc.reference.facet_nodes(force.part))
        chosen = on_body[operators.cell_nodes]
        self._cells = np.flatnonzero(chosen.any(axis=1))
        self._test = chosen[self._cells].astype(np.float64)
        self._nodes = operators.cell_nodes[self._cells]
        self._corners = disc.linear.dofmap.list[self._cells]
        geometry = operators.geometry.subset(self._cells)
        test = self._test[:, :, None]
        self._mass = (tensors.masses(geometry) * test).sum(axis=1)
        self._stiffness = (tensors.stiffnesses(geometry) * test).sum(axis=1)
        gradient = tensors.divergences(geometry, force.axis)
        self._gradient = (gradient * self._test[:, None, :]).sum(axis=2)
        self._axis = force.axis

    def reaction(self, state: FlowState, terms: StepTerms, viscosity: float) -> float:
        """Return this rank's part of the force of the fluid on the body."""
        scheme = terms.scheme
        new, now, before = (self._values(level[self._axis]) for level in state.velocity)
        rate = (scheme.now * new + scheme.last * now + scheme.before * before) / terms.step
        transport = np.einsum("ci,cij->cj", self._test, terms.convection[self._cells])
        residual = self._mass * rate + (viscosity * self._stiffness + transport) * new
        with terms.pressure.localForm() as local:
            pressure = local.getArray(readonly=True)[self._corners]
        return float((self._gradient * pressure).sum() - residual.sum())

    def _values(self, vector: Any) -> FloatArray:
        with vector.localForm() as local:
            return np.asarray(local.getArray(readonly=True)[self._nodes])
