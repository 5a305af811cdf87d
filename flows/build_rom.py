"""The flow `build-rom`: dataset, reduced model, enrichment, held-out evaluation, report, version.

The state of the work is in the dataset alone: a rerun, after whatever happened, computes what is
not committed, goes through the same rounds of enrichment, and publishes an equal model only once.
"""

import base64
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, final

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.chunks import INCOMPLETE, REFUSED, STORAGE, Problem
from flows.generate import compute_chunks, task_runner
from flows.messages import message_of
from flows.plan import Plan
from flows.publish import publish
from flows.rom_data import RomData
from flows.rom_enrich import build_from
from flows.rom_publish import RomSummary, publish_rom
from flows.rom_study import RomStudy, load_rom
from flows.study_parts import RunSettings
from flows.terminal import Terminal
from infra.errors import RomflowError, StorageAccessError, StoreMismatchError, UserError

__all__ = ["Check", "build_and_publish", "build_rom"]

# Raises if the work shall end.
type Check = Callable[[], None]


@flow(
    name="build-rom",
    description="Build a reduced model: simulations, model, enrichment, report.",
    persist_result=False,
)
def build_rom(
    rom: RomStudy = load_rom("darcy-rom"),  # noqa: B008 - Prefect's form shows it
    retry_failed: bool = False,
    anew: bool = False,
    profile: str | None = None,
) -> State[dict[str, Any]]:
    """Build a reduced model, or go on with it.

    Parameters
    ----------
    rom : simulations, settings of the model, enrichment
    retry_failed : whether simulations that failed before are tried again
    anew : whether this is a further enrichment: simulations that earlier ones have added belong to
        the first model, and do not count
    profile : cluster profile of the simulations; none: the one that the study names

    Returns
    -------
    State
        Completed with the fields of `RomSummary`; or Failed with a message for people and the name
        ``Incomplete`` (simulations are missing, the model was built from the others), ``Refused``
        (something given is wrong) or ``Storage``.
    """
    return build_and_publish(_placed(rom, profile), retry_failed=retry_failed, anew=anew)


def _placed(rom: RomStudy, profile: str | None) -> RomStudy:
    """Return the study with its simulations on another cluster, if one is named."""
    if profile is None:
        return rom
    run = rom.study.run.model_copy(update={"profile": profile})
    return rom.model_copy(update={"study": rom.study.model_copy(update={"run": run})})


def build_and_publish(
    rom: RomStudy,
    *,
    retry_failed: bool = False,
    anew: bool = False,
    check: Check = lambda: None,
) -> State[dict[str, Any]]:
    """Do the work of the flow, within a flow.

    Parameters
    ----------
    rom, retry_failed, anew : as for `build_rom`
    check : called before and after simulations; what it raises ends the work, with the simulations
        that are committed in the dataset and no new version

    Returns
    -------
    State
        See `build_rom`.
    """
    try:
        return _build(rom, retry_failed, anew, check)
    except (UserError, StoreMismatchError) as error:
        return Failed(name=REFUSED, message=str(error))
    except (RomflowError, OSError) as error:
        return Failed(name=STORAGE, message=message_of(error))


def _build(
    rom: RomStudy, retry_failed: bool, anew: bool, check: Check
) -> State[dict[str, Any]]:  # fmt: skip
    tell, simulations = _teller(), _Simulations(rom.study.run, check)
    data = RomData(rom, simulations, retry_failed=retry_failed)
    data.compute()
    built = build_from(data, tell, anew=anew)
    texts = list(dict.fromkeys(problem.message for problem in simulations.problems))
    publish(rom.data, texts)
    summary = publish_rom(data, built, texts)
    _show(summary)
    if summary.complaint:
        return Failed(name=INCOMPLETE, message=summary.complaint, data=asdict(summary))
    text = f"{summary.name}: version {summary.version}"
    return Completed(data=asdict(summary), message=text)


@final
class _Simulations:
    """Runs the chunks of a plan, and remembers what went wrong."""

    def __init__(self, run: RunSettings, check: Check) -> None:
        self._run, self._check = run, check
        self.problems: list[Problem] = []

    def __call__(self, plan: Plan) -> None:
        self._check()
        compute = compute_chunks.with_options(task_runner=task_runner(self._run, plan.root))
        found = compute(plan, self._run)
        self._check()
        self.problems += found
        for problem in found:  # more simulations would end alike
            if problem.kind == STORAGE:
                raise StorageAccessError(problem.message)
            if problem.kind == REFUSED:
                raise UserError(problem.message)


def _teller() -> Callable[[str], None]:
    """Return what tells lines to the terminal and to Prefect's log."""
    console, logger = Terminal(file=sys.stderr), get_run_logger()

    def tell(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)
        logger.info(text)

    return tell


def _show(summary: RomSummary) -> None:
    """Show the promises and a picture on Prefect's page of the run."""
    lines = [
        f"`{summary.folder}`: {summary.modes} modes, {summary.simulations} simulations",
        "",
        "| | measured | asked for |",
        "|---|---|---|",
        *(f"| {t['name']} | {t['value']:.3g} | {t['text']} |" for t in summary.targets),
    ]
    if summary.picture:
        data = base64.b64encode(Path(summary.picture).read_bytes()).decode()
        lines += ["", f"![{summary.name}](data:image/png;base64,{data})"]
    create_markdown_artifact("\n".join(lines), description=f"Reduced model {summary.name}")
