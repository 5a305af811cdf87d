"""The problems, one equation and geometry per file, found by name.

Modules are imported when their problem is asked for.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from types import MappingProxyType

from infra.errors import UserError
from solvers.problem import Problem

__all__ = ["PROBLEMS", "problem_class"]

# name: (module, class)
PROBLEMS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "cylinder": ("solvers.problems.cylinder", "Cylinder"),
        "cavity": ("solvers.problems.cavity", "Cavity"),
        "backward-step": ("solvers.problems.backward_step", "BackwardStep"),
        "taylor-green": ("solvers.problems.taylor_green", "TaylorGreen"),
        "darcy": ("solvers.problems.darcy", "Darcy"),
        "darcy-fv": ("solvers.problems.darcy_fv", "DarcyFiniteVolumes"),
        "thermal": ("solvers.problems.thermal", "Thermal"),
        "poisson": ("solvers.problems.poisson", "Poisson"),
        "helmholtz": ("solvers.problems.helmholtz", "Helmholtz"),
        "convection-diffusion": ("solvers.problems.convection_diffusion", "ConvectionDiffusion"),
        "heat": ("solvers.problems.heat", "Heat"),
        "advection": ("solvers.problems.advection", "Advection"),
        "skr-darcy": ("solvers.problems.skr_darcy", "SkrDarcy"),
        "skr-helmholtz": ("solvers.problems.skr_helmholtz", "SkrHelmholtz"),
    }
)


def problem_class(name: str) -> type[Problem]:
    """Return the problem called `name`.

    Raises
    ------
    UserError
        If there is none; the message names the nearest and all known ones.
    """
    if name not in PROBLEMS:
        near = get_close_matches(name, PROBLEMS, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UserError(f"problem: expected one of {', '.join(PROBLEMS)}, received {name!r}.{hint}")
    module, attribute = PROBLEMS[name]
    found: type[Problem] = getattr(import_module(module), attribute)
    return found
