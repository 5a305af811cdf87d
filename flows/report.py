"""Tables for the terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows.columns import bundles, range_text
from flows.doctor import Finding
from flows.dry_run import Preview
from flows.families import FAMILIES
from flows.publish import Summary
from flows.study import Study
from infra.catalog_entry import CatalogEntry
from infra.records import SolveReport
from infra.statistics import dataset_statistics
from infra.store import SnapshotStore

__all__ = [
    "print_dataset",
    "print_facts",
    "print_findings",
    "print_preview",
    "print_studies",
    "print_summary",
]

# More rows would scroll away; all of them are in params.csv.
_ROWS = 16
# Counts of a report that tell which configuration solved a linear system begin so.
_SOLVED_BY = "solved_by_"


def print_preview(console: Console, seen: Preview) -> None:
    """Show what a study would compute, and what stands in its way."""
    study, made = seen.study, seen.design
    facts = {
        "samples": f"{len(made.samples)} ({study.sampling.method}, seed {study.sampling.seed})",
        "varied": "\n".join(range_text(made.space.free)) or "nothing",
        "chunks": f"{len(made.chunks)} of up to {study.run.chunk_size} samples, "
        f"{study.run.workers} side by side, {study.run.ranks} MPI ranks each",
        **_work(seen),
        "size": f"at most {seen.size / 1e6:.1f} MB, before compression",
        "dataset": str(study.dataset),
        **({"present": seen.present} if seen.present else {}),
    }
    print_facts(console, f"{study.name}: {made.problem.title}", facts)
    names, shown = _columns([(p.name, p.unit) for p in made.space.free])
    table = _table("Samples", ["sample", *shown])
    for sample in made.samples[:_ROWS]:
        table.add_row(str(sample.index), *(f"{sample.mu[n]:.6g}" for n in names))
    _add_rest(table, len(made.samples))
    console.print(table)
    for obstacle in seen.obstacles:
        console.print(f"A run would be refused: {obstacle}", markup=False, soft_wrap=True)


def _work(seen: Preview) -> dict[str, str]:
    """Say what each sample is made of."""
    time, mesh = seen.study.time, seen.mesh
    linear = {"mesh": f"{mesh.n_vertices} vertices, {len(mesh.cells)} cells"}
    if time is None:
        return linear
    times, is_flow = time.times(), seen.study.kind == "flow"
    return {
        "frames": f"{len(times)}, from {times[0]:g} s to {times[-1]:g} s",
        **({"mesh": f"{mesh.n_nodes} velocity nodes"} if is_flow else linear),
    }


def print_summary(console: Console, summary: Summary) -> None:
    """Show what a run left behind."""
    facts = {
        "samples": f"{summary.committed} of {summary.samples} committed, {summary.failed} failed, "
        f"{summary.missing} missing",
        "cost": f"{summary.wall_seconds:.1f} s wall, {summary.cpu_seconds:.1f} s CPU in the solver",
        "dataset": summary.dataset,
        "catalogue": summary.entry,
    }
    print_facts(console, "Summary", facts | ({"picture": summary.figure} if summary.figure else {}))


def print_dataset(console: Console, store: SnapshotStore, entry: CatalogEntry | None) -> None:
    """Show a dataset: numbers, arrays with statistics, samples."""
    described, committed, failures = store.description, store.committed(), store.failures()
    counts = f"{len(committed)} of {len(store.samples)} committed, {len(failures)} failed"
    facts = {"samples": counts}
    if len(store.times):
        first, last = store.times[0], store.times[-1]
        facts["time"] = f"{len(store.times)} frames, {first:g} s to {last:g} s"
    if entry:
        facts |= {"size": f"{entry.size_bytes / 1e6:.1f} MB", "description": entry.description}
    print_facts(console, f"{described.name}: {described.title}", facts)
    if committed:
        console.print(_statistics(store))
    console.print(_samples(store))


def print_studies(
    console: Console, studies: Sequence[Study], datasets: Sequence[CatalogEntry]
) -> None:
    """Show the studies that come with romflow, and the datasets of the catalogue."""
    for family in FAMILIES.values():
        title = f"romflow run {family.flow} --study NAME"
        table = _table(title, ["study", "problem", "samples", "description"])
        for study in studies:
            if study.problem.name in family.problems:
                count = str(study.sampling.samples)
                table.add_row(study.name, study.problem.name, count, study.description)
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
    varied = [c for c in described.parameters if len({s.mu.get(c.name) for s in store.samples}) > 1]
    names, shown = _columns([(c.name, c.units) for c in varied])
    work = ["steps"] if len(store.times) else ["solver", "iterations"]
    table = _table("Samples", ["sample", *shown, "status", *work, "wall [s]"])
    for sample in store.samples[:_ROWS]:
        drawn = bool(sample.mu)
        cells = [str(sample.index), *(f"{sample.mu[n]:.6g}" if drawn else "" for n in names)]
        if sample.index in committed:
            cells += [
                "committed",
                *_cost(store.record(sample.index).report, bool(len(store.times))),
            ]
        else:
            failed = failures.get(sample.index)
            cells += [f"failed: {failed.reason}" if failed else "missing"]
        table.add_row(*cells)
    _add_rest(table, len(store.samples))
    left_out = [bundle for bundle in bundles(c.name for c in varied) if not bundle.single]
    if left_out:
        texts = (f"{bundle.text} ({len(bundle.names)})" for bundle in left_out)
        table.caption = f"and {', '.join(texts)}, see params.csv"
    return table


def _cost(report: SolveReport, in_time: bool) -> list[str]:
    """Say what a sample took: steps of a flow, or solver and iterations, and seconds."""
    if in_time:
        return [str(report.steps), f"{report.wall_seconds:.1f}"]
    solvers = [name.removeprefix(_SOLVED_BY) for name in report.counts if _SOLVED_BY in name]
    iterations = str(report.counts.get("iterations", ""))
    return [", ".join(solvers), iterations, f"{report.wall_seconds:.3f}"]


def _columns(columns: Sequence[tuple[str, str]]) -> tuple[list[str], list[str]]:
    """Return names and heads of the columns that a table has room for: no numbered crowds."""
    units = dict(columns)
    names = [bundle.names[0] for bundle in bundles(units) if bundle.single]
    return names, [f"{name} [{units[name]}]" for name in names]


def print_facts(console: Console, title: str, facts: dict[str, str]) -> None:
    """Show named texts below a title."""
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
