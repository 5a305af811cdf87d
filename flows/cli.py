"""The command line: ``romflow run``, ``studies``, ``show``, ``doctor``, ``up``, ``down``.

Exit codes: 0 all is done; 1 the dataset is incomplete, or something needed is missing; 2 the
input is wrong; 3 the storage cannot be used; 129 the terminal has gone, 130 interrupted, 141 nobody
reads what is printed, 143 terminated.
"""

import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter
from cyclopts.validators import Number

from flows.cli_cluster import add_cluster_commands
from flows.cli_rom import add_rom_commands
from flows.cli_serve import add_serve_commands
from flows.cli_surrogates import add_commands
from flows.endings import (
    NOBODY_READS,
    Interrupts,
    exit_code,
    flushed,
    nobody_reads,
    orderly_end,
    say,
)
from flows.families import FAMILIES, Family
from flows.messages import message_of
from infra.errors import RomflowError, StoreMismatchError, UserError

__all__ = ["app", "main"]

_GOES_ON = "committed samples are kept; the same command goes on."

app = App(
    name="romflow",
    version=lambda: version("romflow"),
    help="Parametrised PDEs to datasets, surrogates and reduced models that engineers query.",
    suppress_keyboard_interrupt=False,  # it would end without a word
)
run = App(name="run", help="Run a flow in this terminal.")
app.command(run)
add_commands(app, run)
add_rom_commands(app, run)
add_serve_commands(app)
add_cluster_commands(app)


def main() -> None:
    """Run the command line and exit with its code."""
    sys.exit(flushed(_guarded(sys.argv[1:])))


def _guarded(arguments: list[str]) -> int:
    """Run a command; every error of the user's ends with a message, never with a traceback."""
    with Interrupts() as interrupts:
        try:
            code = _run(arguments)
        except BaseException:
            if not interrupts.count:
                raise
            code = 130
        if code and interrupts.count:
            return say(f"Interrupted: {_GOES_ON}", 130)
        return code


def _run(arguments: list[str]) -> int:
    """Run a command; return its exit code."""
    try:
        return int(app(arguments, exit_on_error=False) or 0)
    except CycloptsError:
        return 2  # cyclopts has printed what is wrong
    except (UserError, StoreMismatchError) as error:
        return say(str(error), 2)
    except (RomflowError, OSError) as error:
        if isinstance(error, BrokenPipeError) and nobody_reads():
            return NOBODY_READS
        return say(message_of(error), 3)


def _generate_command(family: Family) -> Callable[..., int]:
    """Return the command that runs the flow of a family of problems."""

    def generate(
        *,
        study: str = family.study,
        profile: str | None = None,
        set_: Annotated[tuple[str, ...], Parameter(name="--set", negative="")] = (),
        dry_run: Annotated[bool, Parameter(negative="")] = False,
        retry_failed: Annotated[bool, Parameter(negative="")] = False,
        verbose: Annotated[bool, Parameter(negative="")] = False,
    ) -> int:
        """Generate, or complete, a dataset.

        Parameters
        ----------
        study
            YAML file, or the name of a study that comes with romflow (see `romflow studies`).
        profile
            Where chunks run: YAML file of a cluster profile, or one of local, dask, dask-slurm,
            slurm; the same as ``--set run.profile=...``.
        set_
            Change one setting, such as ``--set sampling.samples=8``; may be repeated.
        dry_run
            Show what would be computed, and write nothing.
        retry_failed
            Try samples that failed before again.
        verbose
            Show Prefect's log.
        """
        from flows.study import load_study, with_settings

        place = () if profile is None else (f"run.profile={profile}",)
        chosen = with_settings(load_study(study), (*set_, *place))
        family.check(chosen.problem.name, study)
        if dry_run:
            return _show_design(chosen)
        from flows.design import design
        from flows.slurm_profile import load_profile

        load_profile(chosen.run.profile)
        design(chosen)  # what is wrong with the study is said at once
        return _run_flow(family, chosen, retry_failed, verbose)

    return generate


for _family in FAMILIES.values():
    run.command(_generate_command(_family), name=_family.flow, help=_family.summary)


@app.command
def studies(*, catalog: Path = Path("data-catalog")) -> int:
    """List the studies that come with romflow, and the datasets of the catalogue.

    Parameters
    ----------
    catalog
        Folder of the catalogue.
    """
    from flows.report import print_studies
    from flows.study import load_study, shipped_studies
    from flows.terminal import Terminal
    from infra.catalog import Catalog

    known = Catalog(catalog)
    entries = [known.load(name) for name in known.names()]
    print_studies(Terminal(), [load_study(name) for name in shipped_studies()], entries)
    return 0


@app.command
def show(
    dataset: str,
    *,
    sample: int | None = None,
    frame: int | None = None,
    field: str | None = None,
    output: Path | None = None,
    animation: Path | None = None,
    catalog: Path = Path("data-catalog"),
) -> int:
    """Show a dataset: a table, and a picture of one sample.

    Parameters
    ----------
    dataset
        Folder of a dataset, or its name in the catalogue.
    sample
        Number of the sample in the picture; default the first committed one.
    frame
        Number of the frame; negative ones count from the end; default the last one.
    field
        What to draw: speed, vorticity or pressure of a flow, the name of an array of any other
        dataset; default several fields.
    output
        PNG file of the picture; default in the dataset's folder.
    animation
        GIF file of the whole trajectory, of a problem in time.
    catalog
        Folder of the catalogue.
    """
    from flows.show import show_dataset

    return show_dataset(dataset, catalog, sample, frame, field, output, animation)


@app.command
def doctor(*, profile: str | None = None, folder: Path = Path("datasets")) -> int:
    """Tell what is installed, what is missing, and what to do.

    Parameters
    ----------
    profile
        Look at a cluster instead: file or name of a profile. A small job runs there.
    folder
        Folder of the data, which the nodes of the cluster have to share.
    """
    from flows.doctor import examine
    from flows.report import print_findings
    from flows.terminal import Terminal

    if profile is None:
        findings = examine()
    else:
        from flows.slurm_doctor import examine_profile
        from flows.slurm_profile import load_profile

        findings = examine_profile(load_profile(profile), folder.absolute())
    print_findings(Terminal(), findings)
    return int(any(finding.needed and not finding.well for finding in findings))


@app.command
def up(*, port: Annotated[int, Parameter(validator=Number(gte=1, lte=65535))] = 4200) -> int:
    """Start Prefect's server, a work pool and a worker on this machine, and deploy.

    Parameters
    ----------
    port
        Port of the server, on loopback.
    """
    from flows.services import up as start

    print("Starting Prefect's server and worker (10 to 60 seconds) ...", flush=True)
    services = start(port)
    page = services.url.removesuffix("/api")
    print(f"Server and pages: {page}")
    print("Run a deployment: prefect deployment run generate-ns-data/local --watch")
    others = [name for name in FAMILIES if name != "generate-ns-data"]
    print(f"The others: {', '.join([*others, 'train-surrogate-online', 'build-rom'])}")
    if page != "http://127.0.0.1:4200":
        print(f"First tell the prefect command: export PREFECT_API_URL={services.url}")
    print("End everything: romflow down")
    return 0


@app.command
def down() -> int:
    """End what `romflow up` started."""
    from flows.services import down as end

    print("Server and worker have ended." if end() else "Nothing was running in this folder.")
    return 0


def _show_design(study: Any) -> int:
    from flows.dry_run import preview
    from flows.report import print_preview
    from flows.terminal import Terminal

    print_preview(Terminal(), preview(study))
    return 0


def _run_flow(family: Family, study: Any, retry_failed: bool, verbose: bool) -> int:
    """Run the flow through Prefect and say how it ended."""
    from flows.environment import prefect

    print(f"Dataset: {study.dataset}", file=sys.stderr)
    with orderly_end(_GOES_ON), prefect(verbose=verbose) as wait_for_server:
        # Prefect reads its settings when it is imported; its server starts meanwhile.
        from flows.generate import FLOWS

        wait_for_server()
        state: Any = FLOWS[family.flow](study, retry_failed=retry_failed, return_state=True)
        data = state.result(raise_on_failure=False)
    return _tell(state, data)


def _tell(state: Any, data: Any) -> int:
    """Print how a flow ended; return the exit code."""
    from flows.publish import Summary
    from flows.report import print_summary
    from flows.terminal import Terminal

    if isinstance(data, dict):
        print_summary(Terminal(), Summary(**data))
    return exit_code(state)


if __name__ == "__main__":
    main()
