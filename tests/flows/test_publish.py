"""What a run leaves in the catalogue, and how it says what is missing."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xarray
import yaml
from PIL import Image

from flows.plan import prepare
from flows.publish import publish
from flows.show import find_dataset
from flows.study import Study
from infra.catalog import Catalog
from infra.errors import StorageAccessError, StoreError, UserError
from infra.records import FailureRecord
from infra.testing import example_provenance
from infra.zarr_store import ZarrStore, open_store

type Compute = Callable[[Study], ZarrStore]


def fail(store: ZarrStore, index: int) -> None:
    """Record a failure as a worker does."""
    record = FailureRecord(store.samples[index], "diverged", "too fast", example_provenance())
    store.fail(record)


@pytest.fixture
def study(folder: Any) -> Study:
    made: Study = folder.study()
    return made


@pytest.mark.mpi
def test_a_complete_dataset_has_a_valid_entry_with_all_files(
    study: Study, computed: Compute
) -> None:
    computed(study)
    summary = publish(study, [])
    assert summary.complaint == ""
    assert (summary.samples, summary.committed, summary.failed, summary.missing) == (3, 3, 0, 0)
    assert summary.cpu_seconds > 0
    catalog = Catalog(study.catalog)
    assert catalog.check("tiny") == []
    entry = catalog.load("tiny")
    assert entry.study == study.content()
    assert [(p.name, p.low, p.high) for p in entry.parameters] == [("viscosity", 0.01, 0.05)]
    with Image.open(summary.figure) as picture:
        assert min(picture.size) > 200
    statistics = yaml.safe_load((Path(summary.entry) / "stats.yaml").read_text())
    assert set(statistics) == {array.name for array in entry.arrays}
    provenance = json.loads((Path(summary.entry) / "provenance.json").read_text())
    assert [s["index"] for s in provenance["samples"]] == [0, 1, 2]


@pytest.mark.mpi
def test_the_card_has_equations_and_its_example_runs(study: Study, computed: Compute) -> None:
    computed(study)
    card = (Path(publish(study, []).entry) / "README.md").read_text()
    assert r"\nabla\cdot u = 0" in card
    assert "![Decaying Taylor-Green vortices](figure.png)" in card
    assert "| viscosity | 0.01 | 0.05 | m2 s-1 |" in card
    assert "3 frames from t = 0 s to 0.1 s, with a fixed step of at most 0.02 s" in card
    (example,) = re.findall("```python\n(.*?)```", card, re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)  # the example is ours, and has to be right
    assert names["complete"].identical(names["data"])
    assert names["complete"].sizes["sample"] == 3


def test_publishing_again_replaces_the_entry(study: Study) -> None:
    prepare(study)
    first = publish(study, [])
    assert publish(study, []) == first
    assert Catalog(study.catalog).check("tiny") == []


@pytest.mark.mpi
def test_failed_and_missing_samples_are_told_everywhere(study: Study, computed: Compute) -> None:
    prepare(study)
    fail(open_store(study.dataset), 1)
    computed(study)
    summary = publish(study, [])
    assert (summary.committed, summary.failed, summary.missing) == (2, 1, 0)
    assert "expected 3 samples, committed 2, failed 1, missing 0" in summary.complaint
    assert "sample 1 failed (diverged): too fast" in summary.complaint
    assert "--retry-failed" in summary.complaint
    assert "- sample 1: diverged: too fast" in (Path(summary.entry) / "README.md").read_text()
    with (Path(summary.entry) / "params.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["status"] for row in rows] == ["committed", "failed", "committed"]
    assert rows[1]["reason"] == "diverged"
    data = xarray.open_zarr(study.dataset / "data.zarr")
    assert list(data.isel(sample=data.status.values == 1).sample) == [0, 2]
    assert float(rows[1]["viscosity"]) == open_store(study.dataset).samples[1].mu["viscosity"]
    assert Catalog(study.catalog).check("tiny") == []


def test_without_committed_samples_there_is_an_entry_without_a_figure(study: Study) -> None:
    prepare(study)
    fail(open_store(study.dataset), 0)
    summary = publish(study, ["chunk 1: its MPI job ended with code -9", "chunk 1: again"])
    assert (summary.committed, summary.failed, summary.missing) == (0, 1, 2)
    assert summary.figure == ""
    assert "its MPI job ended with code -9" in summary.complaint
    assert "Run the same study again" in summary.complaint
    assert Catalog(study.catalog).check("tiny") == []
    assert not (Path(summary.entry) / "figure.png").exists()


def test_a_complaint_is_short_whatever_went_wrong(folder: Any) -> None:
    study = folder.study(sampling={"method": "uniform", "samples": 40, "seed": 1})
    prepare(study)
    for index in range(20):
        fail(open_store(study.dataset), index)
    summary = publish(study, ["the disk is full"] * 30 + [f"chunk {i} crashed" for i in range(30)])
    assert summary.complaint.count("the disk is full") == 1
    assert "15 more" in summary.complaint
    assert "26 more" in summary.complaint
    assert len(summary.complaint.splitlines()) < 20


def test_a_catalogue_that_cannot_be_written_is_named(folder: Any) -> None:
    (folder.path / "file").write_text("")
    study = folder.study(catalog=str(folder.path / "file"))
    with pytest.raises(StorageAccessError, match="file"):
        prepare(study)  # before anything is computed


def test_a_dataset_is_found_by_name_and_by_folder(study: Study) -> None:
    prepare(study)
    publish(study, [])
    for dataset in ("tiny", str(study.dataset)):
        store, root, entry = find_dataset(dataset, study.catalog)
        assert root == study.dataset
        assert entry is not None
        assert len(store.samples) == 3
    _, _, entry = find_dataset(str(study.dataset), study.catalog.parent / "other")
    assert entry is None


def test_an_unknown_dataset_is_answered_with_the_known_ones(study: Study) -> None:
    with pytest.raises(UserError, match="which is empty"):
        find_dataset("tiny", study.catalog)
    prepare(study)
    publish(study, [])
    with pytest.raises(UserError, match=r"catalogue \(tiny\)"):
        find_dataset("tinny", study.catalog)


def test_an_entry_whose_data_are_gone_says_so(study: Study) -> None:
    prepare(study)
    publish(study, [])
    study.dataset.rename(study.dataset.with_name("moved"))
    with pytest.raises(StoreError, match="Expected a dataset in"):
        find_dataset("tiny", study.catalog)
