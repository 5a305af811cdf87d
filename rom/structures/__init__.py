"""Hyper-reduced models of nonlinear structures, from displacements, mesh, law and loads alone."""
