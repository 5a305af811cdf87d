"""What the configurations of one sequence share: preconditioners, and the mean of the matrices."""

from typing import final

from solvers.sequence.preconditioner import GAMG, Preconditioner, mumps_options, own_options
from solvers.sequence.scaling import ScaledMean
from solvers.sequence.system import System

__all__ = ["Toolbox"]


@final
class Toolbox:
    """Preconditioners by name, made when first asked for.

    Parameters
    ----------
    system : matrix and traits

    Attributes
    ----------
    mean : mean of the scaled matrices; whoever sees a new one adds it
    """

    def __init__(self, system: System) -> None:
        self._system = system
        self._known: dict[str, Preconditioner] = {}
        self.mean = ScaledMean()

    def get(self, name: str) -> Preconditioner:
        """Return ``factor``, ``mumps``, ``gamg``, ``icc`` or ``ilu``."""
        if name not in self._known:
            self._known[name] = Preconditioner(self._system, self._options(name))
        return self._known[name]

    def factored(self, version: int) -> str | None:
        """Return the name of a factor of this version of the matrix, if there is one."""
        for name in ("factor", "mumps"):
            if name in self._known and self._known[name].content == version:
                return name
        return None

    def destroy(self) -> None:
        """Free all of them."""
        for one in self._known.values():
            one.destroy()
        self._known.clear()
        self.mean.destroy()
        self.mean = ScaledMean()

    def _options(self, name: str) -> dict[str, str]:
        local = {"icc": "icc", "ilu": "ilu"}
        if name in local and self._system.matrix.comm.size > 1:
            # Zero entries and symmetry are kept block by block.
            return {"pc_type": "bjacobi", "sub_pc_type": local[name]}
        if name in local:
            return {"pc_type": local[name]}
        known = {"factor": own_options, "mumps": mumps_options}
        return known[name](self._system) if name in known else dict(GAMG)
