"""Rows of a basis for a selection, prepared once and kept while they are in use."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import final

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError
from infra.field_space import FieldInfo, FieldSpace
from rom.basis import RestrictedBasis
from rom.point_location import PointLocator
from rom.regions import Region
from rom.selection import Select

__all__ = ["PreparedRows", "RowCache", "RowMaker"]

type _Floats = NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class PreparedRows:
    """The rows of some fields.

    Attributes
    ----------
    basis
        All rows, one field behind the other.
    parts
        Place of each field in them.
    """

    basis: RestrictedBasis
    parts: Mapping[str, slice]

    @property
    def nbytes(self) -> int:
        """Bytes of the rows."""
        centre = 0 if self.basis.centre is None else self.basis.centre.nbytes
        return self.basis.modes.nbytes + centre


@final
class RowMaker:
    """Takes the rows of selections from the modes.

    Parameters
    ----------
    space
        Where the rows live.
    modes, centre
        Of the basis, (n, r) and (n,) or None, of any floating type; read only where needed.
    regions
        By name.
    """

    def __init__(
        self,
        space: FieldSpace,
        modes: NDArray[np.floating],
        centre: NDArray[np.floating] | None,
        regions: Mapping[str, Region],
    ) -> None:
        self._space, self._modes, self._centre = space, modes, centre
        self._regions = regions
        self._locators: dict[str, PointLocator] = {}

    def __call__(self, select: Select) -> PreparedRows:
        """Return the rows of a selection of values of fields.

        Raises
        ------
        UserError
            If a field, region, place or probe does not exist.
        """
        infos = [info for info in self._named(select.names) if self._carries(info, select)]
        if not infos:
            raise UserError(
                f"Expected fields on `{self._regions[select.region].location}`, where the region "
                f"{select.region!r} is; received {list(select.names)}."
            )
        blocks = [self._rows(info, select) for info in infos]
        ends = np.cumsum([0, *(len(modes) for modes, _ in blocks)]).tolist()
        parts = {
            info.name: slice(ends[i], ends[i + 1]) for i, info in enumerate(infos)
        }  # fmt: skip
        modes = np.concatenate([modes for modes, _ in blocks])
        centres = [centre for _, centre in blocks if centre is not None]
        centre = np.concatenate(centres) if centres else None
        return PreparedRows(RestrictedBasis(modes, centre), parts)

    def _named(self, names: tuple[str, ...]) -> list[FieldInfo]:
        known = {info.name: info for info in self._space.fields}
        unknown = [name for name in names if name not in known]
        if unknown:
            raise UserError(f"Expected fields out of {', '.join(known)}; received {unknown}.")
        return [known[name] for name in dict.fromkeys(names)] if names else list(known.values())

    def _carries(self, info: FieldInfo, select: Select) -> bool:
        if select.kind != "region":
            return True
        if select.region not in self._regions:
            raise UserError(
                f"Expected a region out of {sorted(self._regions) or 'none'}; received "
                f"{select.region!r}."
            )
        return self._regions[select.region].location == info.location

    def _rows(self, info: FieldInfo, select: Select) -> tuple[_Floats, _Floats | None]:
        start = self._space.slices[info.name].start
        if select.kind == "probes":
            probes = np.array(select.points, np.float64)
            corners, weights = self._locator(info.location).locate(probes)
            places = start + corners
            modes = np.einsum("kc,kcr->kr", weights, _double(self._modes[places]))
            if self._centre is None:
                return modes, None
            return modes, np.vecdot(weights, _double(self._centre[places]))
        places = start + self._places(info, select)
        centre = None if self._centre is None else _double(self._centre[places])
        return _double(self._modes[places]), centre

    def _places(self, info: FieldInfo, select: Select) -> NDArray[np.int64]:
        if select.kind == "region":
            return self._regions[select.region].nodes
        if select.kind == "box":
            return self._inside(info, np.array(select.points, np.float64))
        if select.kind == "nodes":
            nodes = np.array(select.nodes, np.int64)
            if not nodes.size or not 0 <= nodes.min() <= nodes.max() < info.size:
                raise UserError(
                    f"Expected at least one place below {info.size} in `{info.name}`; received "
                    f"{select.nodes[:8]}."
                )
            return nodes
        return np.arange(info.size)

    def _inside(self, info: FieldInfo, corners: _Floats) -> NDArray[np.int64]:
        points = self._space.points_of(info.location)
        if corners.shape != (2, points.shape[1]):
            raise UserError(
                f"Expected a box by two corners of {points.shape[1]} coordinates; received shape "
                f"{corners.shape}."
            )
        inside = np.flatnonzero(((points >= corners[0]) & (points <= corners[1])).all(axis=1))
        if not inside.size:
            raise UserError(
                f"Expected points of the mesh inside the box {corners.tolist()}; there are none."
            )
        return inside

    def _locator(self, location: str) -> PointLocator:
        if location not in self._locators:
            points, cells = self._space.points_of(location), self._space.cells_of(location)
            self._locators[location] = PointLocator(points, cells)
        return self._locators[location]


def _double(values: NDArray[np.floating]) -> _Floats:
    return np.ascontiguousarray(values, dtype=np.float64)


@final
class RowCache:
    """Prepared rows by selection; those that were not used for longest give way.

    Safe for several threads.

    Parameters
    ----------
    make
        Makes rows.
    entries
        How many selections are kept, at least 1.
    limit
        Bytes of rows that are kept; the last selection stays whatever its size is.
    """

    def __init__(
        self, make: Callable[[Select], PreparedRows], entries: int = 64, limit: int = 1 << 28
    ) -> None:
        self._make, self._entries, self._limit = make, entries, limit
        self._kept: OrderedDict[Select, PreparedRows] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def __call__(self, select: Select) -> PreparedRows:
        """Return the rows of a selection."""
        with self._lock:
            rows = self._kept.get(select)
            if rows is not None:
                self._kept.move_to_end(select)
                return rows
        rows = self._make(select)
        with self._lock:
            self._keep(select, rows)
        return rows

    def _keep(self, select: Select, rows: PreparedRows) -> None:
        if select not in self._kept:
            self._kept[select] = rows
            self._bytes += rows.nbytes
        while len(self._kept) > 1 and (
            len(self._kept) > self._entries or self._bytes > self._limit
        ):
            _, old = self._kept.popitem(last=False)
            self._bytes -= old.nbytes
