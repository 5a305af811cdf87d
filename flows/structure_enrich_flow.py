"""The flow `enrich-structure`: one structure, at one set of load parameters."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.structure_enrich import enrich_structure
from flows.structure_flow import ended, teller
from rom.registry import Registry
from rom.structures.enriched_run import EnrichmentOptions

__all__ = ["enrich_structure_rom"]


@flow(
    name="enrich-structure",
    description="Enrich a reduced structure by single full-order steps at given loads.",
    persist_result=False,
)
def enrich_structure_rom(
    name: str,
    mu: dict[str, float],
    registry: Path = Path("models"),
    tolerance: float | None = None,
    budget: int | None = None,
) -> State[dict[str, Any]]:
    """Enrich a structure, and publish it.

    Parameters
    ----------
    name : of the model
    mu : load parameters
    registry : its folder
    tolerance : of the indicator; none: that of the model
    budget : full-order steps at most; none: a tenth of the steps

    Returns
    -------
    State
        Completed with the fields of `StructureSummary`, or Failed as `build_structure_rom`.
    """
    return ended(lambda: _enriched(name, mu, registry, tolerance, budget))


def _enriched(
    name: str,
    mu: Mapping[str, float],
    root: Path,
    tolerance: float | None,
    budget: int | None,
) -> State[dict[str, Any]]:
    found = Registry(root)

    def options(usual: EnrichmentOptions) -> EnrichmentOptions:
        return EnrichmentOptions(
            tolerance=usual.tolerance if tolerance is None else tolerance,
            budget=usual.budget if budget is None else budget,
        )

    summary = enrich_structure(name, found, root, mu, options, teller())
    text = f"{summary.name}: version {summary.version}, {summary.level}"
    return Completed(data=asdict(summary), message=text)
