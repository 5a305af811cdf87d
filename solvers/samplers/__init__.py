"""Sampling methods, one per file; `solvers.sampling` gathers them and finds them by name."""
