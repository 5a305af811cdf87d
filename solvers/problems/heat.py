r"""Heat conduction in a square between walls of given temperatures, from a uniform start.

.. math::
   \partial_t T = \alpha\,\Delta T, \qquad T(0) = T_0, \qquad
   T = T_p \text{ on the sides } p = \text{left, right, bottom, top}

on the unit square with :math:`\alpha = 1` m2/s; at the corners the values of bottom and top hold.
Only data change from sample to sample, the operator does not: one factorisation serves all steps
of a study. It is the case of the papers on online training with Melissa (Meyer et al., 2023,
arXiv:2309.16743), with five temperatures from 100 K to 500 K.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, final

import numpy as np
from pydantic import Field

from solvers.boxes import box_mesh
from solvers.functionals import Functionals, Remembered
from solvers.mesh import FloatArray, ReferenceMesh
from solvers.parameters import Parameter, ParameterSpace
from solvers.problem import Kind, Problem, ProblemSettings
from solvers.sequence.traits import Traits
from solvers.steady_case import Quantity, TransportEquation, Unknown, constant
from solvers.transient_case import TransientCase, held_parts

__all__ = ["Heat", "HeatSettings"]

# Where sides meet the later one holds.
_HELD: Mapping[str, str] = MappingProxyType(
    {part: f"temperature_{part}" for part in ("left", "right", "bottom", "top")}
)
_LOW, _HIGH = 100.0, 500.0


@final
class HeatSettings(ProblemSettings):
    """Resolution."""

    cells: int = Field(32, ge=2, le=1024, description="cells along each side of the square")


@final
class Heat(Problem):
    """A square plate whose sides are held at temperatures other than its own."""

    name: ClassVar[str] = "heat"
    title: ClassVar[str] = "Heat conduction in a square"
    kind: ClassVar[Kind] = "transient"
    equations: ClassVar[str] = (
        "$\\partial_t T = \\alpha\\Delta T$, $\\alpha = 1$ m²/s; $T$ uniform at $t = 0$ and given "
        "on each side"
    )
    Settings: ClassVar[type[ProblemSettings]] = HeatSettings
    defaults: ClassVar[Mapping[str, float]] = {
        "temperature_initial": 200.0,
        "temperature_left": 500.0,
        "temperature_right": 100.0,
        "temperature_bottom": 300.0,
        "temperature_top": 300.0,
    }

    def __init__(self, settings: HeatSettings) -> None:
        self.settings = settings
        self._functionals = Remembered(Functionals)

    @property
    def random_parameters(self) -> tuple[str, ...]:
        """All of them: a study that names none varies all temperatures."""
        return tuple(self.defaults)

    def space(self) -> ParameterSpace:
        """Return the five temperatures."""
        texts = {"initial": "initial temperature", **{p: f"temperature, {p}" for p in _HELD}}
        return ParameterSpace(
            tuple(
                Parameter(f"temperature_{part}", _LOW, _HIGH, "K", text)
                for part, text in texts.items()
            )
        )

    def reference_mesh(self) -> ReferenceMesh:
        """Return the unit square."""
        return box_mesh(2, self.settings.cells)

    def case(self, mu: Mapping[str, float], mesh: ReferenceMesh) -> TransientCase:
        """Return the plate with these temperatures."""
        n_cells = len(mesh.cells)
        functionals, start = self._functionals(mesh), mu["temperature_initial"]

        def gain(u: FloatArray) -> float:
            return float(functionals.measure * (functionals.weights @ u[:, 0] - start))

        text = "heat taken up since the start, over density times specific heat"
        return TransientCase(
            unknown=Unknown("temperature", "K", "temperature"),
            equation=TransportEquation(
                diffusion=np.ones(n_cells),
                source=np.zeros(n_cells),
                prescribed=held_parts(_HELD, mu),
            ),
            capacity=np.ones(n_cells),
            initial=constant(start),
            traits=Traits(symmetric=True, definite=True, dimension=2, constant=True),
            held=_HELD,
            quantities=(
                functionals.mean("mean_temperature", "K", "mean temperature"),
                Quantity("heat_gain", "K m2", text, gain),
            ),
        )
