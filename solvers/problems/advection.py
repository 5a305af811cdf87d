r"""A pulse carried across a square by a constant oblique wind, with weak diffusion.

.. math::
   \partial_t c + w\cdot\nabla c - D\,\Delta c = 0, \qquad
   c(0) = \exp\left(-\tfrac{|x - x_0|^2}{2 s^2}\right)

on the unit square with the wind :math:`w = W (\cos\theta, \sin\theta)`. Nothing flows in: where the
wind enters, :math:`D\,\partial_n c = (w\cdot n)\,c`, and where it leaves,
:math:`D\,\partial_n c = 0`. Far from the boundary the solution is known,

.. math::
   c = \frac{s^2}{s^2 + 2 D t} \exp\left(-\frac{|x - x_0 - w t|^2}{2 (s^2 + 2 D t)}\right).

Cells whose Peclet number is above one get streamline diffusion (Brooks and Hughes, 1982,
10.1016/0045-7825(82)90071-8), which tests the time derivative too: the order stays two.
"""

from collections.abc import Mapping
from typing import ClassVar, final

import numpy as np
from pydantic import Field

from solvers.boxes import box_mesh
from solvers.functionals import Functionals, Remembered
from solvers.mesh import FloatArray, ReferenceMesh
from solvers.parameters import Parameter, ParameterSpace
from solvers.problem import Kind, Problem, ProblemSettings
from solvers.sequence.traits import Traits
from solvers.steady_case import Quantity, Robin, TransportEquation, Unknown, constant
from solvers.transient_case import TransientCase

__all__ = ["Advection", "AdvectionSettings"]

# Outer normals of the sides.
_NORMALS = (
    ("left", (-1.0, 0.0)),
    ("right", (1.0, 0.0)),
    ("bottom", (0.0, -1.0)),
    ("top", (0.0, 1.0)),
)


@final
class AdvectionSettings(ProblemSettings):
    """Resolution."""

    cells: int = Field(64, ge=2, le=1024, description="cells along each side of the square")


@final
class Advection(Problem):
    """A smooth pulse in a constant wind."""

    name: ClassVar[str] = "advection"
    title: ClassVar[str] = "A pulse in a constant wind"
    kind: ClassVar[Kind] = "transient"
    equations: ClassVar[str] = (
        "$\\partial_t c + w\\cdot\\nabla c = D\\Delta c$, $w$ constant; $c$ a Gaussian pulse at "
        "$t = 0$; nothing flows in"
    )
    Settings: ClassVar[type[ProblemSettings]] = AdvectionSettings
    defaults: ClassVar[Mapping[str, float]] = {
        "wind_speed": 1.0,
        "wind_angle": 0.6,
        "pulse_x": 0.3,
        "pulse_y": 0.3,
        "pulse_width": 0.08,
        "diffusivity": 0.001,
    }

    def __init__(self, settings: AdvectionSettings) -> None:
        self.settings = settings
        self._functionals = Remembered(Functionals)

    @property
    def random_parameters(self) -> tuple[str, ...]:
        """All of them: a study that names none varies wind, pulse and diffusivity."""
        return tuple(self.defaults)

    def space(self) -> ParameterSpace:
        """Return wind, pulse and diffusivity."""
        return ParameterSpace(
            (
                Parameter("wind_speed", 0.1, 2.0, "m s-1", "speed of the wind"),
                Parameter("wind_angle", -np.pi, np.pi, "rad", "direction of the wind, from x"),
                Parameter("pulse_x", 0.1, 0.9, "m", "x of the pulse's centre at the start"),
                Parameter("pulse_y", 0.1, 0.9, "m", "y of the pulse's centre at the start"),
                Parameter("pulse_width", 0.03, 0.2, "m", "standard deviation of the pulse"),
                Parameter("diffusivity", 1e-5, 0.1, "m2 s-1", "diffusivity", "log"),
            )
        )

    def reference_mesh(self) -> ReferenceMesh:
        """Return the unit square."""
        return box_mesh(2, self.settings.cells)

    def case(self, mu: Mapping[str, float], mesh: ReferenceMesh) -> TransientCase:
        """Return the pulse of one sample."""
        n_cells, wind = len(mesh.cells), _wind(mu)
        functionals = self._functionals(mesh)
        equation = TransportEquation(
            diffusion=np.full(n_cells, mu["diffusivity"]),
            source=np.zeros(n_cells),
            wind=np.tile(wind, (n_cells, 1)),
            robin=tuple(
                Robin(part, constant(0.0), constant(max(0.0, -float(wind @ np.array(normal)))))
                for part, normal in _NORMALS
            ),
            streamline=True,
        )
        return TransientCase(
            unknown=Unknown("concentration", "1", "concentration over that of the pulse's centre"),
            equation=equation,
            capacity=np.ones(n_cells),
            initial=lambda points: self.exact(mu, points, 0.0),
            traits=Traits(dimension=2),
            quantities=(
                functionals.mean("mean_concentration", "1", "mean concentration"),
                Quantity("peak", "1", "largest concentration", lambda u: float(u.max())),
            ),
        )

    def exact(self, mu: Mapping[str, float], points: FloatArray, time: float) -> FloatArray:
        """Return the concentration (n,) in a plane without boundary.

        Parameters
        ----------
        mu : parameters
        points : (n, 2) metres
        time : s
        """
        centre = np.array([mu["pulse_x"], mu["pulse_y"]]) + time * _wind(mu)
        start = mu["pulse_width"] ** 2
        spread = start + 2.0 * mu["diffusivity"] * time
        squares = ((points - centre) ** 2).sum(axis=1)
        return np.asarray(start / spread * np.exp(-squares / (2.0 * spread)))


def _wind(mu: Mapping[str, float]) -> FloatArray:
    angle = mu["wind_angle"]
    return mu["wind_speed"] * np.array([np.cos(angle), np.sin(angle)])
