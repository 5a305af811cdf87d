"""Commands of reduced structures: what `build-rom` does for them, and `enrich-rom`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from cyclopts.validators import Number

from flows.endings import exit_code, orderly_end

__all__ = ["add_structure_commands", "build_structure_command"]

_GOES_ON = "committed full-order runs are kept; the same command goes on."
_STEPS = "accepted steps are kept; the same command goes on."


def add_structure_commands(run: App) -> None:
    """Add the commands to ``romflow run``."""
    run.command(_enrich, name="enrich-rom")


def build_structure_command(
    source: str, settings: Sequence[str], *, dry_run: bool, retry_failed: bool, verbose: bool
) -> int:
    """Build a reduced structure; return the exit code.

    Parameters
    ----------
    source : YAML file, or the name of one that comes with romflow
    settings : changes such as ``model.rank=4``
    dry_run : show what would be done, and write nothing
    retry_failed : try runs that failed before again
    verbose : show Prefect's log
    """
    from flows.structure_study import load_structure_study, with_structure_settings

    study = with_structure_settings(load_structure_study(source), settings)
    if dry_run:
        from flows.report_structures import print_structure
        from flows.terminal import Terminal

        print_structure(Terminal(), study)
        return 0
    from flows.slurm_profile import load_profile
    from flows.structure_design import structure_design
    from flows.structure_errors import named_refusals

    load_profile(study.run.profile)
    with named_refusals():
        structure_design(study)  # what is wrong with the study is said at once
    from flows.environment import prefect

    print(f"Reduced structure: {study.folder}", file=sys.stderr)
    with orderly_end(_GOES_ON), prefect(verbose=verbose) as wait_for_server:
        # Prefect reads its settings when it is imported; its server starts meanwhile.
        from flows.structure_flow import build_structure_rom

        wait_for_server()
        state: Any = build_structure_rom(study, retry_failed=retry_failed, return_state=True)
        data = state.result(raise_on_failure=False)
    return _tell(state, data)


def _enrich(
    model: str,
    *,
    mu: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    tolerance: Annotated[float | None, Parameter(validator=Number(gt=0))] = None,
    budget: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    models: Path = Path("models"),
    verbose: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Enrich a reduced structure where its indicator is above the tolerance, and publish it anew.

    Parameters
    ----------
    model
        Name of the model.
    mu
        One load parameter, such as ``--mu stress=180``; each of them once.
    tolerance
        Of the indicator; default that of the model.
    budget
        Full-order steps at most; default a tenth of the steps.
    models
        Folder of the registry.
    verbose
        Show Prefect's log.
    """
    from flows.environment import prefect
    from flows.rom_query import parse_mu

    given = parse_mu(mu)
    with orderly_end(_STEPS), prefect(verbose=verbose) as wait_for_server:
        from flows.structure_enrich_flow import enrich_structure_rom

        wait_for_server()
        state: Any = enrich_structure_rom(
            model, given, models.absolute(), tolerance, budget, return_state=True
        )
        data = state.result(raise_on_failure=False)
    return _tell(state, data)


def _tell(state: Any, data: Any) -> int:
    """Print how it ended; return the exit code."""
    from flows.report_structures import print_structure_summary
    from flows.structure_summary import StructureSummary
    from flows.terminal import Terminal

    if isinstance(data, dict):
        print_structure_summary(Terminal(), StructureSummary(**data))
    return exit_code(state)
