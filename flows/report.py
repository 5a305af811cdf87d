"""Tables for the terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows.doctor import Finding
from flows.plan import Design
from flows.publish import Summary
from flows.study import Study
from infra.catalog_entry import CatalogEntry
from infra.statistics import dataset_statistics
from infra.store import SnapshotStore

__all__ = ["print_dataset", "print_design", "print_findings", "print_studies", "print_summary"]

# More rows would scroll away; all of them are in params.csv.
_ROWS = 16


def print_design(console: Console, study: Study, made: Design, nodes: int, size: int) -> None:
    """Show what a study would compute."""
    times = study.time.times()
    _facts(
        console,
        f"{study.name}: {made.problem.title}",
        {
            "samples": f"{len(made.samples)} ({study.sampling.method}, seed {study.sampling.seed})",
            "chunks": f"{len(made.chunks)} of up to {study.run.chunk_size} samples, "
            f"{study.run.workers} side by side, {study.run.ranks} MPI ranks each",
            "frames": f"{len(times)}, from {times[0]:g} s to {times[-1]:g} s",
            "mesh": f"{nodes} velocity nodes",
            "size": f"at most {size / 1e6:.1f} MB, before compression",
            "dataset": str(study.dataset),
        },
    )
    columns = [(p.name, p.unit) for p in made.space.free]
    table = _table("Samples", ["sample", *(f"{n} [{u}]" for n, u in columns)])
    for sample in made.samples[:_ROWS]:
        table.add_row(str(sample.index), *(f"{sample.mu[n]:.6g}" for n, _ in columns))
    _add_rest(table, len(made.samples))
    console.print(table)


def print_summary(console: Console, summary: Summary) -> None:
    """Show what a run left behind."""
    facts = {
        "samples": f"{summary.committed} of {summary.samples} committed, {summary.failed} failed, "
        f"{summary.missing} missing",
        "cost": f"{summary.wall_seconds:.1f} s wall, {summary.cpu_seconds:.1f} s CPU in the solver",
        "dataset": summary.dataset,
        "catalogue": summary.entry,
    }
    _facts(console, "Summary", facts | ({"picture": summary.figure} if summary.figure else {}))


def print_dataset(console: Console, store: SnapshotStore, entry: CatalogEntry | None) -> None:
    """Show a dataset: numbers, arrays with statistics, samples."""
    described, committed, failures = store.description, store.committed(), store.failures()
    counts = f"{len(committed)} of {len(store.samples)} committed, {len(failures)} failed"
    _facts(
        console,
        f"{described.name}: {described.title}",
        {
            "samples": counts,
            "time": f"{len(store.times)} frames, {store.times[0]:g} s to {store.times[-1]:g} s",
            **({"size": f"{entry.size_bytes / 1e6:.1f} MB"} if entry else {}),
            **({"description": entry.description} if entry else {}),
        },
    )
    if committed:
        console.print(_statistics(store))
    console.print(_samples(store))


def print_studies(
    console: Console, studies: Sequence[Study], datasets: Sequence[CatalogEntry]
) -> None:
    """Show the studies that come with romflow, and the datasets of the catalogue."""
    table = _table(
        "Studies (romflow run generate-ns-data --study NAME)",
        ["study", "problem", "samples", "description"],
    )
    for study in studies:
        table.add_row(
            study.name, study.problem.name, str(study.sampling.samples), study.description
        )
    console.print(table)
    if not datasets:
        return
    table = _table(
        "Datasets (romflow show NAME)", ["dataset", "problem", "samples", "size", "folder"]
    )
    for entry in datasets:
        samples = f"{entry.n_committed}/{entry.n_samples}"
        table.add_row(
            entry.name, entry.problem, samples, f"{entry.size_bytes / 1e6:.1f} MB", entry.location
        )
    console.print(table)


def print_findings(console: Console, findings: Sequence[Finding]) -> None:
    """Show what `romflow doctor` found."""
    table = _table("romflow doctor", ["", "what", "found", "what to do"])
    for finding in findings:
        bad = "[red]missing[/]" if finding.needed else "[yellow]note[/]"
        mark = "[green]ok[/]" if finding.well else bad
        table.add_row(mark, finding.name, finding.found, finding.advice)
    console.print(table)


def _statistics(store: SnapshotStore) -> Table:
    table = _table("Arrays", ["array", "unit", "mean", "std", "min", "max"])
    found = dataset_statistics(store)
    for array in store.description.arrays:
        s = found[array.name]
        numbers = (f"{v:.4g}" for v in (s.mean, s.std, s.minimum, s.maximum))
        table.add_row(array.name, array.units, *numbers)
    return table


def _samples(store: SnapshotStore) -> Table:
    described, committed, failures = store.description, store.committed(), store.failures()
    varied = [c for c in described.parameters if len({s.mu[c.name] for s in store.samples}) > 1]
    table = _table(
        "Samples",
        ["sample", *(f"{c.name} [{c.units}]" for c in varied), "status", "steps", "wall [s]"],
    )
    for sample in store.samples[:_ROWS]:
        cells = [str(sample.index), *(f"{sample.mu[c.name]:.6g}" for c in varied)]
        if sample.index in committed:
            report = store.record(sample.index).report
            cells += ["committed", str(report.steps), f"{report.wall_seconds:.1f}"]
        else:
            failed = failures.get(sample.index)
            cells += [f"failed: {failed.reason}" if failed else "missing", "", ""]
        table.add_row(*cells)
    _add_rest(table, len(store.samples))
    return table


def _facts(console: Console, title: str, facts: dict[str, str]) -> None:
    table = Table(title=title, show_header=False, title_justify="left", box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name, value)
    console.print(table)


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(escape(column), overflow="fold")  # "[m]" is a unit, not markup
    return table


def _add_rest(table: Table, count: int) -> None:
    if count > _ROWS:
        table.add_row(f"... {count - _ROWS} more")
