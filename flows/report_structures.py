"""Tables of reduced structures for the terminal."""

from rich.console import Console
from rich.table import Table

from flows.columns import range_text
from flows.report import print_facts
from flows.structure_design import structure_design
from flows.structure_study import StructureStudy
from flows.structure_summary import StructureSummary

__all__ = ["print_structure", "print_structure_summary"]


def print_structure(console: Console, study: StructureStudy) -> None:
    """Show what a build would do."""
    made = structure_design(study)
    facts = {
        "problem": made.problem.title,
        "mesh": f"{made.mesh.n_nodes} nodes, {made.mesh.n_cells} cells, "
        f"{made.mesh.n_material_points} material points",
        "law": made.law.name,
        "times": f"{len(made.times)} from {made.times[0]:g} to {made.times[-1]:g} s, "
        f"{made.steps} steps of a cycle",
        "runs": f"{len(made.training)} to build from, {len(made.held_out)} held out, "
        f"{study.run.workers} side by side, {study.run.ranks} MPI ranks each",
        "varied": "\n".join(range_text(made.space.free)),
        "tolerance": f"{study.tolerance:g} of the indicator, level {study.indicator.level:g}",
        "runs' folder": str(study.runs),
        "model folder": str(study.folder),
    }
    print_facts(console, f"{study.name}: {study.description}", facts)


def print_structure_summary(console: Console, summary: StructureSummary) -> None:
    """Show what a build or an enrichment left behind."""
    enriched = f", {summary.enriched} full-order steps" if summary.enriched else ""
    covered = "" if summary.coverage is None else (
        f"{summary.coverage:.1%} of the held-out steps are below it, {summary.level_asked:.1%} "
        "asked for"
    )  # fmt: skip
    facts = {
        "version": f"{summary.version}" + ("" if summary.new else ", which was there already"),
        "level": f"{summary.level}{enriched}",
        "runs": f"{summary.runs} to build from, {summary.held_out} held out",
        "size": f"{summary.modes} modes, the law at {summary.points} of "
        f"{summary.material_points} points",
        "indicator": covered,
        "model": summary.folder,
    }
    print_facts(console, summary.name, {k: v for k, v in facts.items() if v})
    if not summary.errors:
        return
    table = Table(title="Errors in held-out runs", title_justify="left")
    for head in ("field", "median", "largest"):
        table.add_column(head)
    for name, (median, largest) in summary.errors.items():
        table.add_row(name, f"{median:.3%}", f"{largest:.3%}")
    console.print(table)
