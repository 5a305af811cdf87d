"""The problems of structures, found by name. Plain NumPy.

Modules are imported when their problem is asked for.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from types import MappingProxyType

from infra.errors import UserError
from solvers.problems.structures.problem import StructureProblem

__all__ = ["STRUCTURES", "structure_class"]

# name: (module, class)
STRUCTURES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "cube": ("solvers.problems.structures.cube", "Cube"),
        "notched-plate": ("solvers.problems.structures.notched_plate", "NotchedPlate"),
        "blade": ("solvers.problems.structures.blade", "Blade"),
    }
)


def structure_class(name: str) -> type[StructureProblem]:
    """Return the problem called `name`.

    Raises
    ------
    UserError
        If there is none; the message names the nearest and all known ones.
    """
    if name not in STRUCTURES:
        near = get_close_matches(name, STRUCTURES, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        known = ", ".join(STRUCTURES)
        raise UserError(f"structure: expected one of {known}, received {name!r}.{hint}")
    module, attribute = STRUCTURES[name]
    found: type[StructureProblem] = getattr(import_module(module), attribute)
    return found
