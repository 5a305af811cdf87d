"""What a run shows in Prefect's pages: a table of the samples and the figure."""

import base64
from pathlib import Path

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.columns import bundles
from flows.publish import Summary
from infra.catalog import parameter_rows
from infra.zarr_store import open_store

__all__ = ["show_artifacts"]

# A page with more rows is slow; all of them are in params.csv.
_ROWS = 200


def show_artifacts(dataset: Path, summary: Summary) -> None:
    """Create the table and the figure; called inside a flow run.

    Parameters
    ----------
    dataset : folder of the dataset
    summary : what the run left behind
    """
    rows = parameter_rows(open_store(dataset))[:_ROWS]
    create_table_artifact(_narrow(rows), description=f"Samples of {dataset.name}")
    text = f"`{summary.dataset}`: {summary.committed} of {summary.samples} samples committed"
    if summary.figure:
        picture = base64.b64encode(Path(summary.figure).read_bytes()).decode()
        text += f"\n\n![{dataset.name}](data:image/png;base64,{picture})"
    create_markdown_artifact(text, description=f"Figure of {dataset.name}")


def _narrow(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Leave crowds of numbered parameters out: a page has no room for 64 columns."""
    kept = [b.names[0] for b in bundles(rows[0]) if b.single] if rows else []
    return [{name: row[name] for name in kept} for row in rows]
