"""Learn the choice among solver configurations while solving; plain NumPy and SciPy, no PETSc."""
