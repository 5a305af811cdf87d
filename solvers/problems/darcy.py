r"""Flow through a porous medium with a random permeability, in linear finite elements.

On the unit square or cube,

.. math:: -\nabla\cdot(K \nabla p) = 1, \qquad p = 0 \text{ on the boundary},

with K of `solvers.random_medium`, constant in each cell; units are such that the side, the source
and the smallest permeability are one.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, final

import numpy as np

from solvers.boxes import box_mesh
from solvers.fields import cosine_tables
from solvers.functionals import Functionals, Remembered
from solvers.mesh import FloatArray, ReferenceMesh
from solvers.parameters import ParameterSpace
from solvers.problem import Problem, ProblemSettings
from solvers.random_medium import RandomMedium, RandomMediumSettings, require_variation
from solvers.sequence.traits import Traits
from solvers.steady_case import (
    Coefficient,
    Prescribed,
    SteadyCase,
    TransportEquation,
    Unknown,
    constant,
)

__all__ = ["Darcy"]


@final
class Darcy(Problem):
    """Pressure in a random medium."""

    name: ClassVar[str] = "darcy"
    title: ClassVar[str] = "Flow through a porous medium"
    kind: ClassVar[Literal["flow", "steady"]] = "steady"
    equations: ClassVar[str] = "$-\\nabla\\cdot(K\\nabla p) = 1$, $p = 0$ on the boundary"
    Settings: ClassVar[type[ProblemSettings]] = RandomMediumSettings

    def __init__(self, settings: RandomMediumSettings) -> None:
        self.settings = settings
        self._medium = RandomMedium(settings)
        self._functionals = Remembered(Functionals)
        largest = self._medium.field.largest
        self._tables = Remembered(
            lambda mesh: cosine_tables(self._functionals(mesh).centres, largest)
        )

    @property
    def defaults(self) -> Mapping[str, float]:
        """Contrast 25, and the smoothest mode alone."""
        return self._medium.defaults

    @property
    def random_parameters(self) -> tuple[str, ...]:
        """The coefficients of the random field."""
        return self._medium.field.names

    def space(self) -> ParameterSpace:
        """Return contrast and coefficients."""
        return self._medium.space

    def reference_mesh(self) -> ReferenceMesh:
        """Return the unit square or cube."""
        return box_mesh(self.settings.dimension, self.settings.cells)

    def check(self, mu: Mapping[str, float]) -> None:
        """Refuse a field without any variation."""
        require_variation(self._medium.field, mu)

    def features(self, mus: Sequence[Mapping[str, float]]) -> FloatArray:
        """Return numbers whose distance is that of the fields and contrasts."""
        return self._medium.features(mus)

    def case(self, mu: Mapping[str, float], mesh: ReferenceMesh) -> SteadyCase:
        """Return the pressure that a uniform source drives."""
        permeability = self._medium.permeability(mu, self._tables(mesh))
        equation = TransportEquation(
            diffusion=permeability,
            source=np.ones(len(permeability)),
            prescribed=tuple(Prescribed(side, constant(0.0)) for side in mesh.names),
        )
        functionals = self._functionals(mesh)
        return SteadyCase(
            unknowns=(Unknown("pressure", "1", "pressure"),),
            equation=equation,
            traits=Traits(symmetric=True, definite=True, dimension=mesh.gdim),
            coefficients=(Coefficient("permeability", "1", "permeability", permeability),),
            quantities=(
                functionals.mean("mean_pressure", "1", "mean pressure"),
                functionals.outflow(
                    "outflow_right", "1", "flow out of the right side", "right", equation
                ),
            ),
            context={"log_contrast": float(np.log(mu["contrast"]))},
        )
