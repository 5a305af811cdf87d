"""The end of a run: statistics, figure and dataset card in the catalogue, and a summary."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, final

from flows.card import dataset_card
from flows.design import problem_and_space
from flows.study import Study
from infra.catalog import Catalog, digest_of, parameter_rows
from infra.catalog_entry import CatalogEntry, EntryArray, EntryParameter, EntryProvenance
from infra.errors import storage_errors
from infra.records import CommitRecord, FailureRecord
from infra.statistics import dataset_statistics
from infra.store import SnapshotStore
from infra.zarr_store import open_store
from solvers.parameters import ParameterSpace

__all__ = ["Summary", "publish"]

# Reasons shown in a complaint; all of them are in params.csv and in the failure records.
_SHOWN = 5


@final
@dataclass(frozen=True)
class Summary:
    """What a run left behind; plain values, as Prefect shows them.

    Attributes
    ----------
    dataset, entry, figure : folders of dataset and catalogue entry, picture (empty: none)
    samples, committed, failed, missing : numbers of samples
    wall_seconds, cpu_seconds : cost of the committed samples
    complaint : why the set is incomplete; empty if it is complete
    """

    dataset: str
    entry: str
    figure: str
    samples: int
    committed: int
    failed: int
    missing: int
    wall_seconds: float
    cpu_seconds: float
    complaint: str


def publish(study: Study, problems: Sequence[str]) -> Summary:
    """Write the catalogue entry of what is committed by now, and say what is missing.

    Parameters
    ----------
    study : its dataset exists
    problems : what went wrong with chunks as a whole
    """
    store = open_store(study.dataset)
    store.finalise()
    records = [store.record(index) for index in sorted(store.committed())]
    failures = store.failures()
    folder = Catalog(study.catalog.absolute()).folder(study.name)
    figure = folder / "figure.png"
    if records:
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        _draw(study, store, figure)
    entry = _entry(study, store, records, ("figure.png",) if records else ())
    statistics = {k: v.to_dict() for k, v in dataset_statistics(store).items()} if records else {}
    Catalog(study.catalog.absolute()).write(
        entry,
        card=dataset_card(entry, study, statistics, failures),
        rows=parameter_rows(store),
        statistics=statistics,
        provenance=_provenance(records),
    )
    return Summary(
        dataset=str(study.dataset),
        entry=str(folder),
        figure=str(figure) if records else "",
        samples=entry.n_samples,
        committed=entry.n_committed,
        failed=entry.n_failed,
        missing=entry.n_samples - entry.n_committed - entry.n_failed,
        wall_seconds=sum(r.report.wall_seconds for r in records),
        cpu_seconds=sum(r.report.cpu_seconds for r in records),
        complaint=_complaint(entry, failures, problems),
    )


def _draw(study: Study, store: SnapshotStore, path: Path) -> None:
    """Draw the dataset into a file."""
    from flows import figures  # loads Matplotlib: no simulation waits for that

    overviews = {
        "flow": figures.overview_figure,
        "steady": figures.steady_overview_figure,
        "transient": figures.transient_overview_figure,
    }
    figures.save(overviews[study.kind](store), path)


def _entry(
    study: Study,
    store: SnapshotStore,
    records: Sequence[CommitRecord],
    figures: tuple[str, ...],
) -> CatalogEntry:
    problem, space = problem_and_space(study)
    described = store.description
    return CatalogEntry(
        name=study.name,
        title=problem.title,
        description=study.description,
        created=datetime.now(UTC),
        problem=study.problem.name,
        study=study.content(),
        location=str(study.dataset),
        n_samples=len(store.samples),
        n_committed=len(records),
        n_failed=len(store.failures()),
        parameters=_parameters(space),
        arrays=tuple(
            EntryArray(
                name=a.name, dims=a.dims, units=a.units, long_name=a.long_name, dtype=a.dtype
            )
            for a in described.arrays
        ),
        size_bytes=_size(study.dataset / "data.zarr"),
        checksum=digest_of(store),
        provenance=EntryProvenance(
            git_commits=tuple(sorted({r.provenance.git_commit for r in records})),
            packages=dict(records[0].provenance.packages) if records else {},
            hosts=tuple(sorted({r.provenance.host for r in records})),
            started=min((r.provenance.started for r in records), default=""),
            finished=max((r.provenance.finished for r in records), default=""),
        ),
        figures=figures,
    )


def _parameters(space: ParameterSpace) -> tuple[EntryParameter, ...]:
    return tuple(
        EntryParameter(name=p.name, units=p.unit, low=p.low, high=p.high, description=p.description)
        for p in space.parameters
    )


def _provenance(records: Sequence[CommitRecord]) -> dict[str, Any]:
    """Return how each sample was computed, options and packages once."""
    if not records:
        return {}
    last = records[-1].provenance
    return {
        "packages": dict(last.packages),
        "options": dict(last.options),
        "samples": [
            {
                "index": r.sample.index,
                "seed": r.sample.seed,
                "git_commit": r.provenance.git_commit,
                "git_dirty": r.provenance.git_dirty,
                "host": r.provenance.host,
                "ranks": r.provenance.ranks,
                "started": r.provenance.started,
                "finished": r.provenance.finished,
                "wall_seconds": r.report.wall_seconds,
                "cpu_seconds": r.report.cpu_seconds,
            }
            for r in records
        ],
    }


def _complaint(
    entry: CatalogEntry, failures: Mapping[int, FailureRecord], problems: Sequence[str]
) -> str:
    """Say why the dataset is incomplete and what to do; empty if it is complete."""
    missing = entry.n_samples - entry.n_committed - entry.n_failed
    if not (missing or failures):
        return ""
    lines = [
        f"The dataset is incomplete: expected {entry.n_samples} samples, committed "
        f"{entry.n_committed}, failed {entry.n_failed}, missing {missing}."
    ]
    failed = [f"  sample {i} failed ({f.reason}): {f.message}" for i, f in failures.items()]
    lines += _first(failed, "see params.csv")
    # A full disk tells the same for each chunk.
    lines += _first([f"  {problem}" for problem in dict.fromkeys(problems)], "see the logs")
    if missing:
        lines.append("Run the same study again to compute what is missing.")
    if failures:
        lines.append(
            "Failed samples are tried again with --retry-failed; other settings need another name."
        )
    return "\n".join(lines)


def _first(lines: list[str], where: str) -> list[str]:
    rest = len(lines) - _SHOWN
    return [*lines[:_SHOWN], f"  ... and {rest} more, {where}"] if rest > 0 else lines


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
