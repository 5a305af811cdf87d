"""Full-order models on PETSc and DOLFINx; parameters, sampling and problems are plain NumPy."""
