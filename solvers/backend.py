"""The one place that loads DOLFINx and PETSc.

The wheels `dolfinx-solver-real` keep their libraries in a package of their own that has to be
imported before DOLFINx; a system FEniCSx (conda, Spack, Debian) has no such package and needs
nothing. Both are supported here and nowhere else: every heavy module imports this one first.

PETSc is started without its signal handlers. They end the process at a broken pipe, which Python
ignores so that writing raises an exception that can be dealt with, and at SIGTERM they call MPI
from wherever the process happens to be, which can wait for ever.
"""

import sys
from importlib.util import find_spec

if find_spec("dolfinx_solver") is not None:  # the wheel: its libraries must be loaded first
    import dolfinx_solver  # noqa: F401 - imported for its effect

if "petsc4py.PETSc" not in sys.modules:  # whoever has started it before keeps what he chose
    import petsc4py

    petsc4py.init(["romflow", "-no_signal_handler"])  # else DOLFINx starts it

import basix
import basix.ufl
import dolfinx
import dolfinx.fem.petsc
import ufl
from mpi4py import MPI
from petsc4py import PETSc

__all__ = ["MPI", "PETSc", "basix", "dolfinx", "ufl"]
