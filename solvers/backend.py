"""The one place that loads DOLFINx and PETSc.

The wheels `dolfinx-solver-real` keep their libraries in a package of their own that has to be
imported before DOLFINx; a system FEniCSx (conda, Spack, Debian) has no such package and needs
nothing. Both are supported here and nowhere else: every heavy module imports this one first.
"""

from importlib.util import find_spec

if find_spec("dolfinx_solver") is not None:  # the wheel: its libraries must be loaded first
    import dolfinx_solver  # noqa: F401 - imported for its effect

import basix
import basix.ufl
import dolfinx
import dolfinx.fem.petsc
import ufl
from mpi4py import MPI
from petsc4py import PETSc

__all__ = ["MPI", "PETSc", "basix", "dolfinx", "ufl"]
