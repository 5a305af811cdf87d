"""What a problem is: parameters, a reference mesh, and one case per parameter vector.

Everything here is plain NumPy, so that a study can be checked, listed and drawn without loading
PETSc. The full-order models turn a `FlowCase` into a trajectory (`solvers.model`), a `SteadyCase`
into one solution (`solvers.steady`), and a `TransientCase` into a trajectory (`solvers.transient`).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, final

import numpy as np
from pydantic import BaseModel, ConfigDict

from solvers.mesh import FloatArray, ReferenceMesh
from solvers.parameters import ParameterSpace
from solvers.steady_case import SteadyCase
from solvers.transient_case import TransientCase

__all__ = [
    "Case",
    "FlowCase",
    "Force",
    "Inflow",
    "Kind",
    "PressureDifference",
    "Problem",
    "ProblemSettings",
    "at_rest",
    "no_pressure",
]

type Kind = Literal["flow", "steady", "transient"]
type Field = Callable[[FloatArray, float], FloatArray]


@final
@dataclass(frozen=True)
class Inflow:
    """Prescribed velocity on the boundary part `part`.

    `velocity` maps points (n, gdim) in metres and a time in seconds to (n, gdim) m/s.
    """

    part: str
    velocity: Field


@final
@dataclass(frozen=True)
class Force:
    """Force of the fluid on the boundary part `part` along `axis`, times `scale`."""

    name: str
    long_name: str
    part: str
    axis: int
    scale: float
    units: str = "1"


@final
@dataclass(frozen=True)
class PressureDifference:
    """Kinematic pressure at vertex `first` minus that at vertex `second`, m^2/s^2."""

    name: str
    long_name: str
    first: int
    second: int
    units: str = "m2 s-2"


@final
@dataclass(frozen=True)
class FlowCase:
    """Incompressible flow for one parameter vector.

    Attributes
    ----------
    viscosity : kinematic viscosity, m^2/s
    conditions : prescribed velocities; where parts meet the later one holds
    outflow : boundary parts left open (do-nothing); none for an enclosed flow
    velocity, pressure : initial fields, functions of points (n, gdim) and time
    forces, differences : quantities of interest of this problem
    """

    viscosity: float
    conditions: tuple[Inflow, ...]
    outflow: tuple[str, ...]
    velocity: Field
    pressure: Callable[[FloatArray], FloatArray]
    forces: tuple[Force, ...] = ()
    differences: tuple[PressureDifference, ...] = ()


type Case = FlowCase | SteadyCase | TransientCase


class ProblemSettings(BaseModel):
    """Choices of a problem that are not sampled: resolution, kind of inflow and the like."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Problem(ABC):
    """A parametrised equation on a family of deformations of one reference mesh.

    Parameters
    ----------
    settings : an instance of the class's `Settings`

    Attributes
    ----------
    name, title, equations : how it is called, on the command line, in figures and in cards
    kind : ``flow`` (a `FlowCase`, in time), ``steady`` (a `SteadyCase`, one linear system) or
        ``transient`` (a `TransientCase`, a linear system per time step)
    Settings : the class of its settings
    """

    name: ClassVar[str]
    title: ClassVar[str]
    kind: ClassVar[Kind] = "flow"
    equations: ClassVar[str] = (
        "$\\partial_t u + (u\\cdot\\nabla)u - \\nu\\Delta u + \\nabla p = 0$, $\\nabla\\cdot u = 0$"
    )
    Settings: ClassVar[type[ProblemSettings]]

    @abstractmethod
    def __init__(self, settings: Any) -> None: ...

    @property
    @abstractmethod
    def defaults(self) -> Mapping[str, float]:
        """Value of each parameter that a study does not mention."""

    @property
    def random_parameters(self) -> tuple[str, ...]:
        """Names that vary over their whole range unless a study fixes them: random fields'."""
        return ()

    @abstractmethod
    def space(self) -> ParameterSpace:
        """Return the parameters with their widest admissible bounds."""

    @abstractmethod
    def reference_mesh(self) -> ReferenceMesh:
        """Return the mesh for the reference geometry, in canonical order."""

    def deform(self, points: FloatArray, mu: Mapping[str, float]) -> FloatArray:  # noqa: ARG002
        """Return the positions (n, gdim) of the reference `points` in the geometry of `mu`."""
        return points.copy()

    def check(self, mu: Mapping[str, float]) -> None:  # noqa: B027 - most accept all in bounds
        """Raise `UserError` if `mu` describes an impossible geometry, or no problem at all."""

    def features(self, mus: Sequence[Mapping[str, float]]) -> FloatArray | None:  # noqa: ARG002
        """Return what the distance of samples is measured by, shape (len(mus), d).

        None stands for the unit coordinates of the free parameters.
        """
        return None

    @abstractmethod
    def case(self, mu: Mapping[str, float], mesh: ReferenceMesh) -> Case:
        """Return what `mu` describes on `mesh`, the reference mesh."""


def at_rest(points: FloatArray, time: float) -> FloatArray:  # noqa: ARG001 - a Field
    """Return zero velocity (n, gdim)."""
    return np.zeros_like(points)


def no_pressure(points: FloatArray) -> FloatArray:
    """Return zero pressure (n,)."""
    return np.zeros(len(points))
