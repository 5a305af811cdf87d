"""What an animation shows: values of one field on a mesh that stays, frame by frame."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast, final

import numpy as np

from flows.figures.fields import QUANTITIES, FieldName, FlowReader, Quantity
from flows.figures.limits import Limits, field_limits
from flows.figures.panels import Box
from flows.figures.steady import chosen_fields
from flows.figures.steady_fields import SteadyReader, fields_of, is_transient
from flows.figures.steady_scales import scale_of
from infra.errors import UserError
from infra.store import SnapshotStore
from solvers.mesh import FloatArray, IntArray

__all__ = ["Film", "film_of"]

# The colour limits look at this many frames.
_PROBES = 8


@final
@dataclass(frozen=True)
class Film:
    """A field of one sample over time.

    Attributes
    ----------
    box : what is shown of the plane
    triangles, points : the mesh, (n_triangles, 3) and (n, 2) metres
    quantity, limits : name, unit and colours, for all frames
    values : gives the values (n,) of a frame; one frame is read at a time
    """

    box: Box
    triangles: IntArray
    points: FloatArray
    quantity: Quantity
    limits: Limits
    values: Callable[[int], FloatArray]


def film_of(store: SnapshotStore, sample: int, field: str | None) -> Film:
    """Return the film of a sample of a flow, or of a linear problem in time.

    Parameters
    ----------
    store, sample : what is shown
    field : name of the field; None stands for the vorticity of a flow, or for the solution

    Raises
    ------
    UserError
        If the sample is not committed, or there is no such field.
    """
    if is_transient(store.description):
        return _transient_film(store, sample, field)
    return _flow_film(store, sample, field or "vorticity")


def _flow_film(store: SnapshotStore, sample: int, field: str) -> Film:
    if field not in QUANTITIES:
        raise UserError(f"field: expected one of {', '.join(QUANTITIES)}, received {field!r}.")
    reader, name = FlowReader(store, sample), cast(FieldName, field)
    return Film(
        box=Box.around(reader.positions),
        triangles=reader.triangles(name),
        points=reader.points(name),
        quantity=QUANTITIES[name],
        limits=field_limits(reader, name, _probes(len(store.times))),
        values=lambda frame: reader.values(name, frame),
    )


def _transient_film(store: SnapshotStore, sample: int, field: str | None) -> Film:
    solutions = [one.name for one in fields_of(store.description) if not one.coefficient]
    (chosen,) = chosen_fields(store, field or solutions[0])
    reader = SteadyReader(store, sample, 0)
    first = reader.drawing(chosen)

    def values(frame: int) -> FloatArray:
        return reader.at(frame).drawing(chosen).values

    scale = scale_of(chosen, [values(frame) for frame in _probes(len(store.times))])
    box = Box.around(np.concatenate(reader.border))
    return Film(box, first.triangles, first.points, scale.quantity, scale.limits, values)


def _probes(n_frames: int) -> list[int]:
    places = np.linspace(0, n_frames - 1, min(n_frames, _PROBES))
    return [round(place) for place in places]
