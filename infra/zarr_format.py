"""How a dataset looks as plain Zarr v3 with CF and UGRID attributes.

Everything that needs the Zarr library stands here, so that writing samples does not load it.

Conventions: CF 1.11 (https://cfconventions.org), UGRID 1.0 (https://ugrid-conventions.github.io).
"""

import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import zarr
from zarr.codecs import BloscCodec
from zarr.errors import ZarrUserWarning

from infra.description import ArraySpec, DatasetDescription
from infra.layout import Layout
from infra.records import Json
from infra.shard import BloscSettings

__all__ = ["STATUS_MEANINGS", "chunk_shape", "open_array", "write_hierarchy", "write_parameters",
           "write_status"]  # fmt: skip

STATUS_MEANINGS = ("missing", "committed", "failed")


def write_hierarchy(path: Path, layout: Layout, codec: BloscSettings) -> None:
    """Write metadata, coordinates and static arrays; arrays of samples are left empty.

    Parameters
    ----------
    path
        The folder to be made.
    layout
        The layout.
    codec
        Compression of all arrays.
    """
    described = layout.description
    root = zarr.create_group(path, zarr_format=3, attributes=_root_attributes(described))
    _write_coordinates(root, described, codec)
    for array in layout.static:
        attrs = _attributes(array.units, array.long_name, array.attrs)
        _write_array(root, array.name, np.asarray(array.values), array.dims, attrs, codec)
    for spec in described.arrays:
        _prepare(root, described, spec, codec)
    _consolidate(path)


def chunk_shape(description: DatasetDescription, spec: ArraySpec) -> tuple[int, ...]:
    """Return the shape of one inner chunk: one frame, or the whole sample if it is small.

    A series has one number per frame; its chunk is the whole series.
    """
    if spec.streamed and not spec.series:
        return (1, 1, *description.frame_shape(spec))
    return (1, *description.sample_shape(spec))


def open_array(path: Path, name: str) -> "zarr.Array[zarr.core.metadata.ArrayV3Metadata]":
    """Open one array for reading."""
    return zarr.open_array(path, path=name, mode="r")


def write_status(path: Path, status: np.ndarray) -> None:
    """Replace the status of all samples.

    Parameters
    ----------
    path
        The hierarchy.
    status
        Shape (n_sample,), int8, places in `STATUS_MEANINGS`.
    """
    zarr.open_array(path, path="status", mode="r+")[...] = status


def write_parameters(path: Path, described: DatasetDescription) -> None:
    """Replace the parameters of all samples, after some of them were drawn.

    Parameters
    ----------
    path
        The hierarchy.
    described
        The dataset, with what was drawn.
    """
    for column in described.parameters:
        array = zarr.open_array(path, path=column.name, mode="r+")
        array[...] = _parameter_values(described, column.name)


def _parameter_values(described: DatasetDescription, name: str) -> np.ndarray:
    """Return a parameter of all samples, shape (n_sample,); NaN where it is drawn later."""
    values = [sample.mu.get(name, np.nan) for sample in described.samples]
    return np.array(values, np.float64)


def _consolidate(path: Path) -> None:
    """Copy all metadata into the root, which other readers ignore.

    They never change, and xarray warns where the copy is missing.
    """
    with warnings.catch_warnings():
        # The copy is not part of the Zarr 3 specification, which allows such extra entries.
        warnings.filterwarnings("ignore", "Consolidated metadata", ZarrUserWarning)
        zarr.consolidate_metadata(path)


def _root_attributes(described: DatasetDescription) -> dict[str, Json]:
    coordinates = [column.name for column in described.parameters]
    return {
        **described.attrs,
        "Conventions": "CF-1.11 UGRID-1.0",
        "title": described.title,
        "name": described.name,
        "layout_digest": described.digest,
        # xarray reads this attribute of the whole dataset as the list of its coordinates.
        "coordinates": " ".join([*coordinates, "seed", "status"]),
    }


def _write_coordinates(
    root: zarr.Group, described: DatasetDescription, codec: BloscSettings
) -> None:
    samples = described.samples
    on_sample = ("sample",)
    index = _attributes("1", "index of the sample")
    _write_array(root, "sample", np.arange(len(samples)), on_sample, index, codec)
    if described.times:
        # No standard_name: CF's `time` needs a reference epoch, and these are plain seconds. The
        # unit is spelt "s" because xarray turns "seconds" into a time difference.
        time = _attributes("s", "time since the start of the simulation", {"axis": "T"})
        _write_array(root, "time", np.array(described.times), ("time",), time, codec)
    for column in described.parameters:
        values = _parameter_values(described, column.name)
        attrs = _attributes(column.units, column.long_name, {"role": "parameter"})
        _write_array(root, column.name, values, on_sample, attrs, codec)
    seeds = np.array([sample.seed for sample in samples], np.uint64)
    _write_array(root, "seed", seeds, on_sample, _attributes("1", "random seed"), codec)
    flags: dict[str, Json] = {
        "flag_values": list(range(len(STATUS_MEANINGS))),
        "flag_meanings": " ".join(STATUS_MEANINGS),
    }
    status = np.zeros(len(samples), np.int8)
    attrs = _attributes("1", "status of the sample", flags)
    _write_array(root, "status", status, on_sample, attrs, codec)


def _write_array(
    root: zarr.Group,
    name: str,
    values: np.ndarray,
    dims: tuple[str, ...],
    attrs: Mapping[str, Json],
    codec: BloscSettings,
) -> None:
    array = root.create_array(
        name,
        shape=values.shape,
        dtype=values.dtype,
        chunks=values.shape,
        compressors=_compressor(values.dtype, codec),
        fill_value=_fill_value(values.dtype),
        dimension_names=dims,
        attributes=dict(attrs),
    )
    array[...] = values


def _prepare(
    root: zarr.Group, described: DatasetDescription, spec: ArraySpec, codec: BloscSettings
) -> None:
    shape = described.shape(spec.dims)
    dtype = np.dtype(spec.dtype)
    root.create_array(
        spec.name,
        shape=shape,
        dtype=dtype,
        chunks=chunk_shape(described, spec),
        shards=(1, *shape[1:]),
        # A sample is one file in the array's folder. Zarr's "/" would make it a file in folders
        # of its own, one for each axis: four times as many entries to be made and flushed.
        chunk_key_encoding={"name": "default", "separator": "."},
        compressors=_compressor(dtype, codec),
        fill_value=_fill_value(dtype),
        dimension_names=spec.dims,
        attributes=dict(_attributes(spec.units, spec.long_name, spec.attrs)),
    )


def _attributes(
    units: str, long_name: str, attrs: Mapping[str, Json] | None = None
) -> dict[str, Json]:
    return {**(attrs or {}), "units": units, "long_name": long_name}


def _compressor(dtype: np.dtype, codec: BloscSettings) -> BloscCodec:
    return BloscCodec(
        typesize=dtype.itemsize, cname=codec.cname, clevel=codec.clevel, shuffle=codec.shuffle
    )


def _fill_value(dtype: np.dtype) -> float | int:
    return float("nan") if dtype.kind == "f" else 0
