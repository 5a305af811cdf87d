"""What a problem of a structure is: parameters, a mesh, and one load case per parameter vector."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

from pydantic import BaseModel, ConfigDict

from infra.records import Json
from solvers.loads import LoadCase
from solvers.mesh import FloatArray
from solvers.parameters import ParameterSpace
from solvers.structure_mesh import StructureMesh

__all__ = ["StructureCase", "StructureProblem", "StructureSettingsBase"]


@final
@dataclass(frozen=True, eq=False)
class StructureCase:
    """A structure for one parameter vector.

    Attributes
    ----------
    mesh : the mesh, with the regions that the loads name
    law : description of the law, for `solvers.laws.description.law_from`
    loads : what acts
    times : (m,) s, the first one is that of the initial state
    """

    mesh: StructureMesh
    law: Mapping[str, Json]
    loads: LoadCase
    times: FloatArray


class StructureSettingsBase(BaseModel):
    """Choices of a problem that are not sampled: shape, resolution, law, number of cycles."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class StructureProblem(ABC):
    """A structure whose loads depend on parameters.

    Parameters
    ----------
    settings : an instance of the class's `Settings`

    Attributes
    ----------
    name, title : how it is called
    Settings : the class of its settings
    defaults : value of each parameter that is not given
    """

    name: ClassVar[str]
    title: ClassVar[str]
    Settings: ClassVar[type[StructureSettingsBase]]
    defaults: ClassVar[Mapping[str, float]]

    @abstractmethod
    def __init__(self, settings: Any) -> None: ...

    @abstractmethod
    def space(self) -> ParameterSpace:
        """Return the parameters with their widest admissible bounds."""

    @abstractmethod
    def mesh(self) -> StructureMesh:
        """Return the mesh; it is the same for all parameters."""

    @final
    def case(
        self, mu: Mapping[str, float] | None = None, mesh: StructureMesh | None = None
    ) -> StructureCase:
        """Return what parameters describe.

        Parameters
        ----------
        mu : parameters; those that are missing have their defaults
        mesh : what `mesh` returned, where it is at hand

        Raises
        ------
        UserError
            If a parameter is unknown or out of bounds.
        """
        complete = {**self.defaults, **(mu or {})}
        self.space().check(complete)
        return self._case(complete, self.mesh() if mesh is None else mesh)

    @abstractmethod
    def _case(self, mu: Mapping[str, float], mesh: StructureMesh) -> StructureCase:
        """Return what a complete and checked `mu` describes on `mesh`."""
