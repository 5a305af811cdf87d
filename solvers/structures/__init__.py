"""The full-order model of structures: small strains, laws with internal variables, MPI.

`solvers.structures.model` loads DOLFINx and PETSc; states, settings, histories and loads are plain
NumPy.
"""
