"""A displacement history of any solver, with the loads that made it."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError
from solvers.loads import LoadCase
from solvers.structure_mesh import StructureMesh

__all__ = ["Trajectory"]

type _Floats = NDArray[np.float64]

# Prescribed displacements are met up to this part of the largest displacement.
_MET = 1e-5


@final
@dataclass(frozen=True, eq=False)
class Trajectory:
    """Everything that a reduced model learns from a full-order run.

    The material is virgin at the first time.

    Attributes
    ----------
    times
        Of the steps of the solver, (T + 1,), ascending, s.
    displacement
        In the mesh's numbering, (T + 1, N, 3), mm.
    loads
        That acted.
    """

    times: _Floats
    displacement: _Floats
    loads: LoadCase

    def __post_init__(self) -> None:
        expected = (len(self.times), *self.displacement.shape[1:])
        if self.displacement.ndim != 3 or self.displacement.shape != expected:
            raise UserError(
                f"Expected one displacement (N, 3) per time, {len(self.times)} in all; received "
                f"shape {self.displacement.shape}."
            )
        if len(self.times) < 2 or not (np.diff(self.times) > 0).all():
            raise UserError(
                "Expected at least two ascending times of a displacement history; received "
                f"{np.asarray(self.times).tolist()}."
            )
        if not np.isfinite(self.displacement).all():
            raise UserError(
                "Expected finite displacements; received NaN or infinite ones. Leave the frames "
                "out after the solver failed."
            )

    def require_fits(self, mesh: StructureMesh) -> None:
        """Check that the history belongs to a mesh, and meets the prescribed displacements.

        Raises
        ------
        UserError
            If it does not.
        """
        if self.displacement.shape[1:] != mesh.points.shape:
            raise UserError(
                f"Expected displacements of the {mesh.n_nodes} nodes of the mesh, shape "
                f"(T, {mesh.n_nodes}, 3); received {self.displacement.shape}. Give the mesh that "
                "the solver used, in its numbering."
            )
        self.loads.require_fits(mesh)
        size = float(np.abs(self.displacement).max())
        for time, frame in zip(self.times[1:], self.displacement[1:], strict=True):
            mask, values = self.loads.fixed(mesh, float(time))
            away = float(np.abs(np.where(mask > 0, frame - values, 0.0)).max())
            if away > _MET * size:
                raise UserError(
                    f"Expected displacements that meet the prescribed ones; at t = {time:g} s they "
                    f"are {away:.3g} mm away. Check the numbering of the nodes, and that these "
                    "loads are those of the run."
                )
