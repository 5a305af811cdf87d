"""The dataset card: what a dataset holds and how to open it, for people."""

from collections.abc import Mapping

from flows.study import Study
from infra.catalog_entry import CatalogEntry
from infra.records import FailureRecord
from solvers.problems import problem_class

__all__ = ["dataset_card"]


def dataset_card(
    entry: CatalogEntry,
    study: Study,
    statistics: Mapping[str, Mapping[str, float]],
    failures: Mapping[int, FailureRecord],
) -> str:
    """Return the card in Markdown: equations, figure, parameters, arrays, statistics, opening.

    Parameters
    ----------
    entry, study : the dataset
    statistics : mean, std, min, max of each array
    failures : samples that could not be computed
    """
    parts = [
        f"# {entry.name}: {entry.title}",
        entry.description,
        *(f"![{entry.title}]({figure})" for figure in entry.figures),
        _equations(entry),
        _samples(entry, failures),
        _parameters(entry),
        _time(study),
        _arrays(entry, statistics),
        _opening(entry),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _equations(entry: CatalogEntry) -> str:
    return (
        f"## Equations\n\n{problem_class(entry.problem).equations}\n\n"
        "Taylor-Hood elements (quadratic velocity, linear pressure), BDF2 with incremental "
        "pressure correction. Pressure is kinematic (divided by the density)."
    )


def _samples(entry: CatalogEntry, failures: Mapping[int, FailureRecord]) -> str:
    missing = entry.n_samples - entry.n_committed - entry.n_failed
    text = (
        f"## Samples\n\n{entry.n_committed} of {entry.n_samples} samples are complete, "
        f"{entry.n_failed} failed, {missing} are missing. Parameters, seeds and outcomes are in "
        "`params.csv`."
    )
    lines = [f"- sample {i}: {f.reason}: {f.message}" for i, f in failures.items()]
    return "\n\n".join([text, "\n".join(lines)]) if lines else text


def _parameters(entry: CatalogEntry) -> str:
    rows = [
        f"| {p.name} | {p.low:g} | {p.high:g} | {p.units} | {p.description} |"
        for p in entry.parameters
    ]
    head = "| parameter | low | high | unit | meaning |\n|---|---|---|---|---|"
    return "\n".join(["## Parameters\n", head, *rows])


def _time(study: Study) -> str:
    t = study.time
    steps = f"a fixed step of at most {t.step:g} s" if t.step else f"a Courant number of {t.cfl:g}"
    start = t.end if t.frames == 1 else t.start
    return f"## Time\n\n{t.frames} frames from t = {start:g} s to {t.end:g} s, with {steps}."


def _arrays(entry: CatalogEntry, statistics: Mapping[str, Mapping[str, float]]) -> str:
    head = "| array | dimensions | unit | mean | std | min | max |\n|---|---|---|---|---|---|---|"
    rows = []
    for array in entry.arrays:
        found = statistics.get(array.name, {})
        cells = [f"{found[k]:.4g}" if k in found else "" for k in ("mean", "std", "min", "max")]
        dims = ", ".join(array.dims)
        rows.append(f"| {array.name} | {dims} | {array.units} | {' | '.join(cells)} |")
    return "\n".join(["## Arrays\n", head, *rows])


def _opening(entry: CatalogEntry) -> str:
    return f"""## How to open

```python
import xarray

data = xarray.open_zarr("{entry.location}/data.zarr")
complete = data.isel(sample=data.status.values == 1)
```

Velocities lie on the quadratic nodes, pressure on the vertices; node `i < vertex` is vertex `i`.
`face_nodes` lists linear triangles through all nodes, ready for plotting.

Licence of the data: {entry.licence}. Checksum over all commits: `{entry.checksum}`."""
