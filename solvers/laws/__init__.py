"""Constitutive laws at material points: plain NumPy, vectorised over points.

The full-order model and the reduced model evaluate the same law objects. Units: mm, MPa, N, s,
degrees Celsius. Symmetric tensors are vectors of six Mandel components, see `solvers.laws.mandel`.
"""
