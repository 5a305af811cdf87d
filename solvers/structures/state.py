"""States of structures, their shares on MPI ranks, and what a step took. Plain NumPy."""

from dataclasses import dataclass, replace
from typing import Self, final

import numpy as np

from infra.errors import UserError
from solvers.mesh import FloatArray, IntArray

__all__ = ["Share", "StepReport", "StructureState"]


@final
@dataclass(frozen=True, eq=False)
class StructureState:
    """Everything that decides how a structure goes on: a run can start from any state.

    A state holds the whole mesh in the mesh's own numbering, or the share of a rank (`Share`).

    Attributes
    ----------
    time : s
    displacement : (nodes, 3) mm
    internal : (points, s) internal variables of the law at the material points
    stress : (points, 6) Mandel components, MPa
    temperature : (points,) degrees Celsius
    """

    time: float
    displacement: FloatArray
    internal: FloatArray
    stress: FloatArray
    temperature: FloatArray

    def require_fits(self, nodes: int, points: int, size: int) -> None:
        """Check the shapes.

        Parameters
        ----------
        nodes, points : of the mesh, or of a share of it
        size : number of columns of the law's state

        Raises
        ------
        UserError
            If an array has another shape, or holds numbers that are not finite.
        """
        expected = {
            "displacement": (nodes, 3),
            "internal": (points, size),
            "stress": (points, 6),
            "temperature": (points,),
        }
        for name, shape in expected.items():
            array = getattr(self, name)
            if array.shape != shape:
                raise UserError(
                    f"state: {name}: expected shape {shape}, received {array.shape}; start from a "
                    "state of the same mesh and law"
                )
            if not np.isfinite(array).all():
                raise UserError(
                    f"state: {name}: expected finite numbers, received NaN or infinite ones; start "
                    "from an earlier state"
                )

    def part(self, share: "Share") -> "StructureState":
        """Return the share of a rank of a whole state."""
        return StructureState(
            self.time,
            self.displacement[share.nodes],
            self.internal[share.points],
            self.stress[share.points],
            self.temperature[share.points],
        )


@final
@dataclass(frozen=True, eq=False)
class Share:
    """What a rank holds of a mesh, in ascending order; all of it on one rank.

    Attributes
    ----------
    nodes : (n,) numbers of its nodes in the mesh; nodes between ranks are held by both
    owned : (n,) bool, the nodes that count as this rank's
    points : (p,) numbers of its material points in the mesh; each has one rank
    """

    nodes: IntArray
    owned: "np.typing.NDArray[np.bool_]"
    points: IntArray


@final
@dataclass(frozen=True)
class StepReport:
    """What it took to reach a time.

    Attributes
    ----------
    increments : solved parts of the step, 1 without cuts
    cuts : how often an increment was halved
    iterations : Newton iterations, those of failed increments included
    evaluations : evaluations of the law at all points
    linear_iterations, linear_setups : of the linear systems
    linear_rescues : systems whose iteration did not arrive, so that they were factored
    linear_seconds, seconds : wall-clock time of the linear systems, and of everything
    residual : largest residual relative to its scale at the end of an increment
    """

    increments: int = 0
    cuts: int = 0
    iterations: int = 0
    evaluations: int = 0
    linear_iterations: int = 0
    linear_setups: int = 0
    linear_rescues: int = 0
    linear_seconds: float = 0.0
    seconds: float = 0.0
    residual: float = 0.0

    def plus(self, other: Self) -> Self:
        """Return both together."""
        sums = {
            name: getattr(self, name) + getattr(other, name)
            for name in self.__dataclass_fields__
            if name != "residual"
        }
        return replace(self, **sums, residual=max(self.residual, other.residual))
