"""Stresses and strains of a loaded block as a cubature benchmark meets them.

Displacements of some load cycles on a block of 12^3 trilinear hexahedra with 8 Gauss points each:
bending, torsion, stretch and a wave, each with its own pace, and a dent that wanders. Stresses
follow from them by an elastic-plastic law of deformation type (the deviator saturates), so that
they have kinks where the material yields. POD of both gives 30 displacement modes and 30 stress
modes, and the work of each stress on each strain, 900 integrands.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from rom.basis import pod
from rom.cubature.integrands import ProductIntegrands
from rom.products import Diagonal, SparseProduct
from rom.structures.mass import mass_matrix
from rom.structures.strain_operator import strain_operator
from solvers.structure_mesh import StructureMesh

__all__ = ["Block", "block", "integrands"]

type _Floats = NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class Block:
    """A mesh and the fields on it.

    Attributes
    ----------
    mesh
        Of hexahedra.
    strains
        Of displacements, (k, G, 6).
    stresses
        (k, G, 6), MPa.
    displacements
        (k, 3 N), mm.
    """

    mesh: StructureMesh
    strains: _Floats
    stresses: _Floats
    displacements: _Floats


def block(n: int, cycles: int, times: int, seed: int = 0) -> Block:
    """Return fields for some cycles of different loads on n^3 elements."""
    mesh = _cube(n)
    rng = np.random.default_rng(seed)
    rows = np.concatenate([_displacements(mesh.points, times, rng) for _ in range(cycles)])
    strains = np.asarray(strain_operator(mesh) @ rows.T).T.reshape(len(rows), -1, 6)
    return Block(mesh, strains, _stress(strains), rows)


def integrands(fields: Block, modes: int, stresses: int) -> ProductIntegrands:
    """Return the work of stress modes, with their singular values, on strains of modes."""
    volumes = fields.mesh.material_weights
    psi = pod(fields.displacements, SparseProduct(mass_matrix(fields.mesh)), rank=modes)
    strains = np.asarray(strain_operator(fields.mesh) @ psi.modes).reshape(-1, 6, modes)
    flat = fields.stresses.reshape(len(fields.stresses), -1)
    sigma = pod(flat, Diagonal(np.repeat(volumes, 6)), rank=stresses, centre=False)
    scaled = sigma.modes * sigma.singular_values[:stresses]
    return ProductIntegrands(scaled.reshape(-1, 6, stresses), strains, volumes)


def _cube(n: int) -> StructureMesh:
    axis = np.linspace(0.0, 1.0, n + 1)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    number = np.arange((n + 1) ** 3).reshape(n + 1, n + 1, n + 1)
    lower, upper = slice(None, -1), slice(1, None)
    corners = [
        (lower, lower, lower),
        (upper, lower, lower),
        (upper, upper, lower),
        (lower, upper, lower),
        (lower, lower, upper),
        (upper, lower, upper),
        (upper, upper, upper),
        (lower, upper, upper),
    ]
    cells = np.stack([number[corner].ravel() for corner in corners], axis=1)
    return StructureMesh(points, cells.astype(np.int64), "hexahedron")


def _displacements(x: _Floats, times: int, rng: np.random.Generator) -> _Floats:
    """Return the displacements (times, 3 N) of a cycle; they vanish on the face x = 0."""
    shapes = _shapes(x, rng)
    speeds, phases = rng.uniform(0.5, 2.0, len(shapes)), rng.uniform(0, 2 * np.pi, len(shapes))
    start, end, width = rng.uniform(0.2, 0.8, 3), rng.uniform(0.2, 0.8, 3), rng.uniform(0.2, 0.4)
    push = 2e-3 * width * rng.standard_normal(3)
    rows = []
    for t in np.linspace(0.0, 1.0, times):
        u = np.tensordot(np.sin(2 * np.pi * speeds * t + phases), shapes, 1)
        centre = start + t * (end - start)
        u += push * np.exp(-((x - centre) ** 2).sum(axis=1) / (2 * width**2))[:, np.newaxis]
        rows.append((u * np.minimum(1.0, 3 * x[:, :1])).reshape(-1))
    return np.array(rows)


def _shapes(x: _Floats, rng: np.random.Generator) -> _Floats:
    """Return stretch, bending, torsion and a wave, (4, N, 3), mm."""
    stretch, bend, twist = np.zeros((3, *x.shape))
    stretch[:, 0], stretch[:, 1] = x[:, 0], -0.3 * (x[:, 1] - 0.5)
    bend[:, 1] = x[:, 0] ** 2
    twist[:, 1], twist[:, 2] = -x[:, 0] * (x[:, 2] - 0.5), x[:, 0] * (x[:, 1] - 0.5)
    waves, phases = rng.integers(1, 3, 3) * np.pi, rng.uniform(0, np.pi, 3)
    wave = np.prod(np.sin(waves * x + phases), axis=1, keepdims=True) * rng.standard_normal(3)
    sizes = rng.standard_normal(4) * (4e-3, 4e-3, 3e-3, 1e-3)
    return np.asarray(sizes[:, np.newaxis, np.newaxis] * np.array([stretch, bend, twist, wave]))


def _stress(strains: _Floats) -> _Floats:
    """Return stresses (k, G, 6) in MPa whose deviator saturates at 200 MPa, with hardening."""
    young, poisson, limit = 2e5, 0.3, 200.0
    mean = strains[..., :3].sum(axis=-1, keepdims=True) / 3
    unit = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    trial = young / (1 + poisson) * (strains - mean * unit)
    size = np.sqrt(1.5 * (trial**2).sum(axis=-1, keepdims=True))
    factor = np.where(size > limit, (limit + 0.02 * (size - limit)) / np.maximum(size, 1.0), 1.0)
    return np.asarray(factor * trial + young / (1 - 2 * poisson) * mean * unit)
