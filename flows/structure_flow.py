"""The flow `build-structure`: full-order runs, reduced structure, held-out errors, version.

The state of the work is in the folder of the runs alone: a rerun, after whatever happened,
computes what is not committed, and publishes an equal model only once.
"""

import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.chunks import INCOMPLETE, REFUSED, STORAGE
from flows.messages import message_of
from flows.structure_build import build_parts
from flows.structure_data import StructureData
from flows.structure_errors import STORAGE_ERRORS, refusal
from flows.structure_publish import publish_structure
from flows.structure_runs import missing_runs
from flows.structure_study import StructureStudy, load_structure_study
from flows.structure_summary import StructureSummary
from flows.terminal import Terminal
from infra.errors import RomflowError
from rom.registry import Registry

__all__ = ["build_structure_rom", "ended", "teller"]

# Told lines for people.
type Tell = Callable[[str], None]


@flow(
    name="build-structure",
    description="Build a reduced structure: full-order runs, model, indicator, held-out errors.",
    persist_result=False,
)
def build_structure_rom(
    study: StructureStudy = load_structure_study("plate-rom"),  # noqa: B008 - Prefect's form shows it
    retry_failed: bool = False,
) -> State[dict[str, Any]]:
    """Build a reduced structure, or go on with it.

    Parameters
    ----------
    study : problem, runs and settings
    retry_failed : whether runs that failed before are tried again

    Returns
    -------
    State
        Completed with the fields of `StructureSummary`; or Failed with a message for people and
        the name ``Incomplete`` (runs are missing, the model was built from the others),
        ``Refused`` (something given is wrong) or ``Storage``.
    """
    return ended(lambda: _build(study, retry_failed))


def ended(work: Callable[[], State[dict[str, Any]]]) -> State[dict[str, Any]]:
    """Do some work; errors with a name become states with a message, and none a traceback."""
    try:
        return work()
    except STORAGE_ERRORS as error:
        return Failed(name=STORAGE, message=message_of(error))
    except RomflowError as error:
        return Failed(name=REFUSED, message=refusal(error))


def teller() -> Tell:
    """Return what tells lines to the terminal and to Prefect's log."""
    console, logger = Terminal(file=sys.stderr), get_run_logger()

    def tell(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)
        logger.info(text)

    return tell


def _tell_newest(summary: StructureSummary, study: StructureStudy, tell: Tell) -> None:
    """Say which version answers, if it is not the one that is equal to what was built."""
    newest = Registry(study.registry).versions(summary.name)[-1]
    if summary.version == newest:
        return
    enriched = Registry(study.registry).card(summary.name).lineage.get("enrichments")
    tell(
        f"version {summary.version} is equal to this model. The newest is version {newest}, "
        f"{'which is enriched' if enriched else 'another model'}: it answers, unless a query says "
        f"--version {summary.version}"
    )


def _build(study: StructureStudy, retry_failed: bool) -> State[dict[str, Any]]:
    tell, data = teller(), StructureData(study)
    problems = data.compute(
        lambda store, jobs: missing_runs(store, jobs, study.run, tell, retry_failed=retry_failed)
    )
    summary = publish_structure(data, build_parts(data, tell), problems)
    _tell_newest(summary, study, tell)
    if summary.complaint:
        return Failed(name=INCOMPLETE, message=summary.complaint, data=asdict(summary))
    text = f"{summary.name}: version {summary.version}"
    return Completed(data=asdict(summary), message=text)
