"""Snapshots straight from a dataset: one trajectory is in memory at a time."""

from collections.abc import Iterable, Mapping, Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from infra.dataset_space import field_space_of
from infra.description import ArraySpec
from infra.errors import UserError
from infra.field_space import FieldSpace
from infra.store import SnapshotStore
from rom.sample_choice import chosen_samples
from rom.snapshots import Snapshots, StudyFrame

__all__ = ["StoreSnapshots"]

type _Floats = NDArray[np.float64]


@final
class StoreSnapshots(Snapshots):
    """Committed samples of a store.

    The fields of a frame are those of the dataset's stream, in its order. The quantities of
    interest are the floating arrays with one number per output time or per sample.

    Parameters
    ----------
    store
        The dataset.
    indices
        Samples to use; by default all that are committed now.
    fields
        Names of the fields to use; by default all. Their order stays that of the stream.
    bounds
        Low and high bound by name of parameter; for those that are not given, the range of all
        samples of the study that are drawn, which is known before the first of them is computed.

    Raises
    ------
    UserError
        If no sample is committed, one of `indices` is not, or a field or parameter is unknown.
    """

    def __init__(
        self,
        store: SnapshotStore,
        indices: Iterable[int] | None = None,
        fields: Sequence[str] | None = None,
        *,
        bounds: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        committed = store.committed()
        drawn = [sample.mu for sample in store.samples if sample.mu]  # by now
        description = store.description
        chosen = chosen_samples(sorted(committed) if indices is None else indices, committed)
        self._store = store
        columns = description.parameters
        study = StudyFrame(
            _restricted(field_space_of(description, store.static), fields),
            tuple(column.name for column in columns),
            tuple(column.units for column in columns),
            _bounds([column.name for column in columns], drawn, bounds or {}),
            store.times if description.times else np.zeros(1),
            {spec.name: spec.units for spec in self._quantity_specs},
        )
        super().__init__(study, chosen)

    @property
    def _quantity_specs(self) -> list[ArraySpec]:
        arrays = self._store.description.arrays
        return [
            spec
            for spec in arrays
            if np.dtype(spec.dtype).kind == "f" and (spec.series or spec.dims == ("sample",))
        ]

    def _mu(self, index: int) -> _Floats:
        mu = self._store.sample(index).mu
        return np.array([mu[name] for name in self.names], np.float64)

    def _values(self, index: int) -> _Floats:
        n_times = len(self.times)
        values = np.empty((n_times, self.space.n_values))
        for name, place in self.space.slices.items():
            values[:, place] = self._store.read(index, name).reshape(n_times, -1)
        return values

    def _quantities(self, index: int) -> dict[str, _Floats]:
        return {
            spec.name: np.atleast_1d(self._store.read(index, spec.name)).astype(np.float64)
            for spec in self._quantity_specs
        }


def _restricted(space: FieldSpace, fields: Sequence[str] | None) -> FieldSpace:
    """Return the space of some fields."""
    if fields is None:
        return space
    known = [info.name for info in space.fields]
    unknown = sorted(set(fields) - set(known))
    if unknown or not fields:
        raise UserError(
            f"Expected at least one of the fields {known}; received {list(fields)}, of which "
            f"{unknown} are unknown."
        )
    kept = tuple(info for info in space.fields if info.name in fields)
    locations = {info.location for info in kept}
    return FieldSpace(
        kept,
        {name: points for name, points in space.points.items() if name in locations},
        {name: cells for name, cells in space.cells.items() if name in locations},
        tuple(entry for entry in space.prescribed if entry.field in fields),
    )


def _bounds(
    names: Sequence[str],
    mus: Sequence[Mapping[str, float]],
    given: Mapping[str, tuple[float, float]],
) -> _Floats:
    unknown = sorted(set(given) - set(names))
    if unknown:
        raise UserError(f"Expected bounds of the parameters {names}; received {unknown} too.")
    values = {name: [mu[name] for mu in mus] for name in names}
    ranges = [given.get(name, (min(values[name]), max(values[name]))) for name in names]
    return np.array(ranges, np.float64).reshape(-1, 2)
