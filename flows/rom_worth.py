r"""What a reduced model costs, what a query costs, and after how many queries it has paid.

With the cost O of all that was computed to build it, F of one full-order simulation and q of one
query, it pays from :math:`N = \lceil O / (F - q) \rceil` queries on.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np

from infra.errors import UserError
from infra.records import Json
from infra.store import SnapshotStore
from rom.reduced_model import ReducedModel

__all__ = ["Cost", "Worth", "break_even", "cost_of", "worth_of"]

# Queries are timed so often, and so long at most for each kind.
_REPEATS, _SECONDS = 50, 2.0


@final
@dataclass(frozen=True)
class Cost:
    """What was spent on a model, in seconds of wall time.

    Attributes
    ----------
    simulations, seconds : that it was built from: how many, and all of them together
    held_out, held_out_seconds : the same of the held-out ones, which only judge it
    cpu_seconds : of both, over all cores
    build_seconds : of building the model, in all rounds
    """

    simulations: int
    seconds: float
    held_out: int
    held_out_seconds: float
    cpu_seconds: float
    build_seconds: float

    @property
    def offline(self) -> float:
        """All that was needed before the first query; held-out simulations count."""
        return self.seconds + self.held_out_seconds + self.build_seconds

    @property
    def each(self) -> float:
        """One full-order simulation."""
        return (self.seconds + self.held_out_seconds) / max(1, self.simulations + self.held_out)

    def to_json(self) -> dict[str, Json]:
        """Return the numbers for the lineage of a model."""
        return dict(asdict(self))

    @classmethod
    def from_model(cls, model: ReducedModel) -> "Cost":
        """Return what the lineage of a model says.

        Raises
        ------
        UserError
            If it says nothing.
        """
        stored: Any = model.card.lineage.get("cost")
        try:
            return cls(**stored)
        except TypeError as error:
            raise UserError(
                f"Expected a model that knows what it has cost; {model.name} does not. Build it "
                "with `romflow run build-rom`."
            ) from error


@final
@dataclass(frozen=True)
class Worth:
    """A model's cost beside that of its queries.

    Attributes
    ----------
    cost : before the first query
    queries : seconds of one query by what is asked for, the median of many
    pays_after : number of queries by the same names; None: never
    """

    cost: Cost
    queries: Mapping[str, float]
    pays_after: Mapping[str, int | None]


def cost_of(
    store: SnapshotStore, trained: tuple[int, ...], held_out: tuple[int, ...], build_seconds: float
) -> Cost:
    """Return what committed samples and the building have cost."""
    reports = {i: store.record(i).report for i in (*trained, *held_out)}
    return Cost(
        simulations=len(trained),
        seconds=sum(reports[i].wall_seconds for i in trained),
        held_out=len(held_out),
        held_out_seconds=sum(reports[i].wall_seconds for i in held_out),
        cpu_seconds=sum(report.cpu_seconds for report in reports.values()),
        build_seconds=build_seconds,
    )


def worth_of(model: ReducedModel) -> Worth:
    """Time queries of a model on this machine.

    Raises
    ------
    UserError
        If the model does not know what it has cost.
    """
    cost = Cost.from_model(model)
    kinds = {"coefficients": "coefficients", "fields at all times": "fields"}
    if model.parts.quantities.names:
        kinds = {"quantities of interest": "quantities", **kinds}
    queries = {name: _seconds(model, kind) for name, kind in kinds.items()}
    pays = {name: break_even(cost.offline, cost.each, q) for name, q in queries.items()}
    return Worth(cost, queries, pays)


def break_even(offline: float, full: float, query: float) -> int | None:
    """Return the number of queries from which a model has paid; None: never.

    Parameters
    ----------
    offline, full, query : seconds to build the model, of a simulation, of a query
    """
    return math.ceil(offline / (full - query)) if full > query else None


def _seconds(model: ReducedModel, select: str) -> float:
    """Return the median time of a query in the middle of the box."""
    space = model.parameters.space
    rows = space.from_unit(np.full((1, space.dimension), 0.5))
    model.query(rows, select=select)  # rows of the basis are prepared once
    times: list[float] = []
    begun = time.perf_counter()
    while len(times) < _REPEATS and (not times or time.perf_counter() - begun < _SECONDS):
        start = time.perf_counter()
        model.query(rows, select=select)
        times.append(time.perf_counter() - start)
    return float(np.median(times))
