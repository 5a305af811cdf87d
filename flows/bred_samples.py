"""What active sampling has drawn, for cards and pictures."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from flows.breeding import bred_of, rounds_of
from flows.columns import bundles
from flows.design import problem_and_space
from flows.online_study import OnlineStudy
from infra.zarr_store import open_store
from surrogates.sample_scores import read_scores

__all__ = ["Scatter", "bred_text", "scatter_of"]


@final
@dataclass(frozen=True, eq=False)
class Scatter:
    """The samples over two of their parameters.

    Attributes
    ----------
    labels : names with units, one or two
    points : (n, 2) values; with one free parameter the second column is the sample's number
    bred : (n,) whether a sample was bred
    scores : (n,) how badly it is learnt; NaN where that is not known
    """

    labels: tuple[str, str]
    points: NDArray[np.float64]
    bred: NDArray[np.bool_]
    scores: NDArray[np.float64]


def bred_text(training: OnlineStudy) -> str:
    """Say how many simulations were bred; empty without active sampling."""
    if training.study.sampling.breed is None:
        return ""
    store = open_store(training.data.dataset)
    count = training.study.sampling.samples
    drawn = count - len(store.description.undrawn)
    text = f"{len(bred_of(store))} of {drawn} simulations bred, {len(rounds_of(training))} rounds"
    return text if drawn == count else f"{text}; {count - drawn} were not drawn"


def scatter_of(training: OnlineStudy) -> Scatter | None:
    """Return the drawn samples over the two parameters in which bred ones lie closest together.

    None without active sampling, or without a free parameter with a name of its own.
    """
    if training.study.sampling.breed is None:
        return None
    store = open_store(training.data.dataset)
    _, space = problem_and_space(training.data)
    free = [p.name for p in space.free]
    single = [free.index(b.names[0]) for b in bundles(free) if b.single]
    samples = [s for s in store.samples[: training.study.sampling.samples] if s.mu]
    if not (single and samples):
        return None
    values = space.array([s.mu for s in samples])
    bred = np.isin([s.index for s in samples], bred_of(store))
    scores = read_scores(training.paths.scores).scores
    units = space.to_unit(values[bred] if bred.any() else values)
    # The narrower bred samples lie, the more the parameter matters.
    chosen = sorted(sorted(single, key=lambda k: float(units[:, k].std()))[:2])
    labels = [f"{space.free[k].name} [{space.free[k].unit}]" for k in chosen]
    columns = [values[:, k] for k in chosen]
    if len(chosen) == 1:
        labels.append("sample")
        columns.append(np.array([float(s.index) for s in samples]))
    return Scatter(
        labels=(labels[0], labels[1]),
        points=np.stack(columns, axis=1),
        bred=bred,
        scores=np.array([scores.get(s.index, np.nan) for s in samples]),
    )
