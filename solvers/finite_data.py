"""Look for NaN and infinite values in the data of linear problems; plain NumPy."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from solvers.mesh import FloatArray, IntArray, ReferenceMesh
from solvers.steady_case import Coefficient, MatrixEquation, TransportEquation

__all__ = ["not_finite_text"]


def not_finite_text(
    equation: TransportEquation | MatrixEquation,
    coefficients: Sequence[Coefficient],
    mesh: ReferenceMesh,
    **further: FloatArray,
) -> str:
    """Return what is wrong with the data of a case; an empty text if all of them are finite.

    Parameters
    ----------
    equation, coefficients : of the case
    mesh : reference mesh
    further : other arrays, under the names that the text gives them
    """
    named: dict[str, Any] = {**further, **{c.name: c.values for c in coefficients}}
    if isinstance(equation, MatrixEquation):
        named |= {"matrix": equation.matrix.data, "right-hand side": equation.right}
    else:
        parts = ("diffusion", "source", "reaction", "wind")
        named |= {part: getattr(equation, part) for part in parts}
        named |= _boundary_data(equation, mesh)
    bad = [name for name, v in named.items() if v is not None and not np.isfinite(v).all()]
    if not bad:
        return ""
    return (
        f"{', '.join(bad)}: expected finite values, received NaN or infinite ones. Check "
        "the parameters of this sample."
    )


def _boundary_data(equation: TransportEquation, mesh: ReferenceMesh) -> dict[str, Any]:
    """Return the values of the conditions at the points where systems take them."""
    # Where parts meet the later value holds.
    held = np.zeros(mesh.n_vertices, dtype=np.complex128)
    named: dict[str, Any] = {"prescribed values": held}
    for prescribed in equation.prescribed:
        vertices = np.unique(_corners(mesh, prescribed.part))
        held[vertices] = prescribed.value(mesh.points[vertices])
    for robin in equation.robin:
        corners = _corners(mesh, robin.part)
        named[f"data on {robin.part}"] = robin.data(mesh.points[np.unique(corners)])
        if robin.exchange is not None:
            centres = mesh.points[corners].mean(axis=1)
            named[f"exchange on {robin.part}"] = robin.exchange(centres)
    return named


def _corners(mesh: ReferenceMesh, part: str) -> IntArray:
    """Return the vertices (n_facets, gdim) of the facets of a boundary part."""
    return mesh.facets[mesh.tags == mesh.names[part]]
