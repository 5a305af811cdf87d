"""The dataset card: what a dataset holds and how to open it, for people."""

from collections.abc import Mapping

from flows.columns import bundles
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
        _equations(entry, study),
        _samples(entry, failures),
        _parameters(entry),
        _time(study),
        _arrays(entry, statistics),
        _opening(entry, study),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _equations(entry: CatalogEntry, study: Study) -> str:
    text = f"## Equations\n\n{problem_class(entry.problem).equations}"
    if study.kind == "steady":
        return f"{text}\n\n{_accuracy(study)}"
    if study.kind == "transient":
        return (
            f"{text}\n\nLinear elements; Crank-Nicolson steps, the first two of them as two half "
            f"steps of backward Euler each (Rannacher, 1984). {_accuracy(study)}"
        )
    return (
        f"{text}\n\nTaylor-Hood elements (quadratic velocity, linear pressure), BDF2 with "
        "incremental pressure correction. Pressure is kinematic (divided by the density)."
    )


def _accuracy(study: Study) -> str:
    return (
        f"Each linear system is solved to a relative residual of {study.linear.rtol:g}, computed "
        f"anew from the solution: the array `residual` holds {_held(study)}."
    )


def _held(study: Study) -> str:
    return "it" if study.kind == "steady" else "the largest one of each sample"


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
    known = {p.name: p for p in entry.parameters}
    rows = []
    for bundle in bundles(known):
        members = [known[name] for name in bundle.names]
        ends = (min(p.low for p in members), max(p.high for p in members))
        text = members[0].description
        if not bundle.single:
            text = f"{len(members)} numbers; the first: {text}"
        rows.append(f"| {bundle.text} | {ends[0]:g} | {ends[1]:g} | {members[0].units} | {text} |")
    head = "| parameter | low | high | unit | meaning |\n|---|---|---|---|---|"
    return "\n".join(["## Parameters\n", head, *rows])


def _time(study: Study) -> str:
    t = study.time
    if t is None:
        return ""
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


def _opening(entry: CatalogEntry, study: Study) -> str:
    return f"""## How to open

```python
import xarray

data = xarray.open_zarr("{entry.location}/data.zarr")
complete = data.isel(sample=data.status.values == 1)
```

{_places(entry, study)}

Licence of the data: {entry.licence}. Checksum over all commits: `{entry.checksum}`."""


def _places(entry: CatalogEntry, study: Study) -> str:
    """Say where in the domain the numbers lie."""
    if study.kind == "flow":
        return (
            "Velocities lie on the quadratic nodes, pressure on the vertices; node `i < vertex` "
            "is vertex `i`.\n`face_nodes` lists linear triangles through all nodes, ready for "
            "plotting."
        )
    dims = {array.dims[-1] for array in entry.arrays}
    texts = {
        "vertex": "Arrays on `vertex` hold the values at the vertices, linear in between",
        "cell": "arrays on `cell` are constant in each cell; `cell_vertices` lists its vertices",
    }
    found = [text for dim, text in texts.items() if dim in dims]
    if study.kind == "transient":
        found.append(
            "`vertex_part` tells which vertices have a prescribed value, and the attribute "
            "`prescribed` of the solution which parameter gives it"
        )
    return f"{'; '.join(found)}." if found else ""
