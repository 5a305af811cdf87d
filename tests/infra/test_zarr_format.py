"""The dataset as others see it: zarr-python and xarray, with warnings as errors."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from infra.testing import example_failure, expected_values, small_layout
from infra.zarr_store import ZarrStore


@pytest.fixture
def data(store: ZarrStore, commit: Callable[[int], None]) -> Path:
    """Give a finalised dataset: sample 0 missing, 1 committed, 2 failed."""
    commit(1)
    store.fail(example_failure(store.samples[2]))
    store.finalise()
    return store.paths.data


@pytest.mark.parametrize("consolidated", [None, True, False])
def test_xarray_opens_it_without_warnings(data: Path, consolidated: bool | None) -> None:
    with xr.open_zarr(data, consolidated=consolidated) as dataset:
        layout = small_layout()
        for spec in layout.arrays:
            variable = dataset[spec.name]
            assert variable.dims == spec.dims
            assert variable.dtype == spec.dtype
            assert variable.attrs["units"] == spec.units
            assert variable.attrs["long_name"] == spec.long_name
            expected = expected_values(layout.description, spec, layout.samples[1])
            np.testing.assert_array_equal(variable.isel(sample=1).values, expected)


def test_it_opens_before_finalisation_too(store: ZarrStore) -> None:
    with xr.open_zarr(store.paths.data) as dataset:
        assert np.isnan(dataset["velocity"].values).all()
        np.testing.assert_array_equal(dataset["status"], [0, 0, 0])


def test_parameters_seed_and_status_are_coordinates_on_sample(data: Path) -> None:
    with xr.open_zarr(data) as dataset:
        assert set(dataset.coords) == {"sample", "time", "viscosity", "speed", "seed", "status"}
        samples = small_layout().samples
        np.testing.assert_array_equal(dataset["seed"], [sample.seed for sample in samples])
        for column in small_layout().parameters:
            coordinate = dataset.coords[column.name]
            assert coordinate.dims == ("sample",)
            assert coordinate.attrs["role"] == "parameter"
            assert coordinate.attrs["units"] == column.units
            expected = [sample.mu[column.name] for sample in samples]
            np.testing.assert_array_equal(coordinate, expected)


def test_the_status_tells_missing_committed_and_failed(data: Path) -> None:
    with xr.open_zarr(data) as dataset:
        status = dataset["status"]
        assert status.dtype == np.int8
        assert status.attrs["flag_values"] == [0, 1, 2]
        meanings = status.attrs["flag_meanings"].split()
        assert [meanings[flag] for flag in status.values] == ["missing", "committed", "failed"]


def test_time_stays_in_float_seconds(data: Path) -> None:
    with xr.open_zarr(data) as dataset:
        assert dataset["time"].dtype == np.float64
        assert dataset["time"].attrs["units"] == "s"
        assert dataset["time"].attrs["axis"] == "T"
        np.testing.assert_array_equal(dataset["time"], small_layout().times)


def test_every_variable_has_units_and_a_name_and_the_root_its_conventions(data: Path) -> None:
    with xr.open_zarr(data) as dataset:
        assert all({"units", "long_name"} <= set(dataset[name].attrs) for name in dataset.variables)
        assert dataset.attrs["Conventions"] == "CF-1.11 UGRID-1.0"
        assert dataset.attrs["title"] == "A small dataset"
        assert dataset.attrs["layout_digest"] == small_layout().digest()
        assert dataset.attrs["problem"] == "example"


def test_the_mesh_is_described_as_ugrid_asks(data: Path) -> None:
    with xr.open_zarr(data) as dataset:
        mesh = dataset[dataset["velocity"].attrs["mesh"]]
        assert mesh.attrs["cf_role"] == "mesh_topology"
        nodes = mesh.attrs["node_coordinates"].split()
        assert all(dataset[name].dims == ("node",) for name in nodes)
        faces = dataset[mesh.attrs["face_node_connectivity"]]
        assert faces.dims == ("face", "corner")
        assert faces.values.max() < dataset.sizes["node"]


def test_arrays_have_one_shard_per_sample_and_one_chunk_per_frame(data: Path) -> None:
    group = zarr.open_group(data, mode="r")
    layouts = {}
    for name in ("velocity", "drag", "position", "n_iterations"):
        array = group[name]
        assert isinstance(array, zarr.Array)
        layouts[name] = (array.shards, array.chunks)
    assert layouts == {
        "velocity": ((1, 4, 6), (1, 1, 6)),
        "drag": ((1, 4), (1, 4)),
        "position": ((1, 6), (1, 6)),
        "n_iterations": ((1,), (1,)),
    }


def test_nothing_foreign_lies_inside_the_hierarchy(data: Path) -> None:
    members = {name for name, _ in zarr.open_group(data, mode="r").members()}
    assert {path.name for path in data.iterdir()} == members | {"zarr.json"}
