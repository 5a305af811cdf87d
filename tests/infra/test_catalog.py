import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from infra.catalog import (
    Catalog,
    CatalogEntry,
    EntryArray,
    EntryParameter,
    digest_of,
    json_schema,
    parameter_rows,
)
from infra.errors import StorageAccessError, UserError
from infra.statistics import dataset_statistics
from infra.testing import example_failure
from infra.zarr_store import ZarrStore


@pytest.fixture
def dataset(store: ZarrStore, commit: Callable[[int], None]) -> ZarrStore:
    """Give a dataset: sample 0 committed, 1 failed, 2 missing."""
    commit(0)
    store.fail(example_failure(store.samples[1]))
    return store


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path / "data-catalog")


def entry_of(store: ZarrStore, name: str = "small") -> CatalogEntry:
    described = store.description
    return CatalogEntry(
        name=name,
        title=described.title,
        description="Two lines\nwith µ and a colon: done.",
        created=datetime(2026, 1, 2, tzinfo=UTC),
        problem="example",
        study={"budget": 3, "space": {"speed": [2.0, 2.0]}},
        location=str(store.paths.root),
        n_samples=3,
        n_committed=1,
        n_failed=1,
        parameters=tuple(
            EntryParameter(name=column.name, units=column.units, low=0.0, high=2.0)
            for column in described.parameters
        ),
        arrays=tuple(
            EntryArray(
                name=spec.name,
                dims=spec.dims,
                units=spec.units,
                long_name=spec.long_name,
                dtype=spec.dtype,
            )
            for spec in described.arrays
        ),
        size_bytes=1000,
        checksum=digest_of(store),
    )


def write(catalog: Catalog, store: ZarrStore, name: str = "small") -> Path:
    return catalog.write(
        entry_of(store, name),
        card="# A small dataset\n",
        rows=parameter_rows(store),
        statistics={key: value.to_dict() for key, value in dataset_statistics(store).items()},
        provenance={"seed": 7},
    )


def test_an_entry_comes_back_exactly(catalog: Catalog, dataset: ZarrStore) -> None:
    write(catalog, dataset)
    assert catalog.names() == ["small"]
    assert catalog.load("small") == entry_of(dataset)
    assert catalog.check("small") == []


def test_the_files_are_those_of_the_documentation(catalog: Catalog, dataset: ZarrStore) -> None:
    folder = write(catalog, dataset)
    assert {path.name for path in folder.iterdir()} == {
        "entry.yaml",
        "README.md",
        "params.csv",
        "stats.yaml",
        "provenance.json",
    }
    assert yaml.safe_load((folder / "stats.yaml").read_text())["drag"]["min"] == 0.0
    assert json.loads((folder / "provenance.json").read_text()) == {"seed": 7}


def test_params_has_one_row_per_sample_with_its_outcome(
    catalog: Catalog, dataset: ZarrStore
) -> None:
    with (write(catalog, dataset) / "params.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == ["committed", "failed", "missing"]
    assert [row["reason"] for row in rows] == ["finished", "diverged", ""]
    assert [row["steps"] for row in rows] == ["40", "", ""]
    for row, sample in zip(rows, dataset.samples, strict=True):
        assert float(row["viscosity"]) == sample.mu["viscosity"]
        assert int(row["seed"]) == sample.seed


def test_an_unknown_name_gets_a_suggestion_and_the_list(
    catalog: Catalog, dataset: ZarrStore
) -> None:
    with pytest.raises(UserError, match="Known: none"):
        catalog.load("small")
    write(catalog, dataset)
    write(catalog, dataset, "other")
    with pytest.raises(UserError, match=r"Did you mean 'small'\? Known: other, small"):
        catalog.load("smal")


def test_the_entry_satisfies_the_published_schema(catalog: Catalog, dataset: ZarrStore) -> None:
    folder = write(catalog, dataset)
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    data = yaml.safe_load((folder / "entry.yaml").read_text())
    jsonschema.validate(data, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**data, "colour": "red"}, schema)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("problem: example", "probelm: example", "probelm"),
        ("n_samples: 3", "n_samples: many", "n_samples"),
        ("title:", "title: [", "YAML"),
    ],
)
def test_a_faulty_entry_is_refused_with_its_place(
    catalog: Catalog, dataset: ZarrStore, old: str, new: str, message: str
) -> None:
    path = write(catalog, dataset) / "entry.yaml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(UserError, match=message):
        catalog.load("small")


def test_the_check_notices_new_samples(
    catalog: Catalog, dataset: ZarrStore, commit: Callable[[int], None]
) -> None:
    write(catalog, dataset)
    commit(2)
    counts, checksum = catalog.check("small")
    assert "received (3, 2, 1)" in counts
    assert "checksum" in checksum


def test_the_check_notices_missing_files_rows_and_data(
    catalog: Catalog, dataset: ZarrStore
) -> None:
    folder = write(catalog, dataset)
    (folder / "stats.yaml").unlink()
    lines = (folder / "params.csv").read_text().splitlines(keepends=True)
    (folder / "params.csv").write_text("".join(lines[:-1]))
    dataset.paths.data.rename(dataset.paths.root / "moved")
    missing, rows, data = catalog.check("small")
    assert "stats.yaml" in missing
    assert "Expected 3 rows" in rows
    assert "data.zarr" in data


def test_writing_again_replaces_the_entry(catalog: Catalog, dataset: ZarrStore) -> None:
    write(catalog, dataset)
    folder = write(catalog, dataset)
    assert len(list(folder.iterdir())) == 5
    assert catalog.names() == ["small"]


def test_a_catalogue_below_a_file_is_refused(tmp_path: Path, dataset: ZarrStore) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageAccessError, match="file"):
        write(Catalog(tmp_path / "file"), dataset)


def test_the_digest_depends_on_the_data_only(
    dataset: ZarrStore, tmp_path: Path, commit: Callable[[int], None]
) -> None:
    before = digest_of(dataset)
    dataset.paths.root.rename(tmp_path / "moved")
    assert digest_of(ZarrStore(tmp_path / "moved")) == before
    (tmp_path / "moved").rename(dataset.paths.root)
    commit(1)
    assert digest_of(dataset) != before


def test_the_published_schema_is_the_one_of_the_code() -> None:
    published = Path(__file__).parents[2] / "data-catalog" / "entry.schema.json"
    assert json.loads(published.read_text(encoding="utf-8")) == json_schema()
