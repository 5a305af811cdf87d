"""Commands of reduced models: build, query, export, compare, worth, models."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from flows.cli_structures import add_structure_commands, build_structure_command
from flows.endings import exit_code, orderly_end

__all__ = ["add_rom_commands"]

_GOES_ON = "committed simulations are kept; the same command goes on."
_MODELS = Path("models")


def add_rom_commands(app: App, run: App) -> None:
    """Add the commands to ``romflow`` and to ``romflow run``."""
    run.command(_build, name="build-rom")
    add_structure_commands(run)
    for name, command in (
        ("query", _query), ("compare", _compare), ("worth", _worth), ("models", _models),
        ("export", _export),
    ):  # fmt: skip
        app.command(command, name=name)


def _build(
    *,
    rom: str = "darcy-rom",
    profile: str | None = None,
    set_: Annotated[tuple[str, ...], Parameter(name="--set", negative="")] = (),
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    retry_failed: Annotated[bool, Parameter(negative="")] = False,
    verbose: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Build a reduced model: simulations, model, enrichment, report.

    Parameters
    ----------
    rom
        YAML file, or the name of one that comes with romflow: cylinder-rom, darcy-rom; of
        structures: blade-rom, cube-rom, plate-rom.
    profile
        Where simulations run: YAML file of a cluster profile, or one of local, dask, dask-slurm,
        slurm; the same as ``--set study.run.profile=...``.
    set_
        Change one setting, such as ``--set model.tolerance=1e-3``; may be repeated.
    dry_run
        Show what would be done, and write nothing.
    retry_failed
        Try simulations that failed before again.
    verbose
        Show Prefect's log.
    """
    from flows.rom_design import rom_design
    from flows.rom_study import load_rom, with_rom_settings
    from flows.structure_study import is_structure

    if is_structure(rom):
        own = () if profile is None else (f"run.profile={profile}",)
        return build_structure_command(
            rom, (*set_, *own), dry_run=dry_run, retry_failed=retry_failed, verbose=verbose
        )
    place = () if profile is None else (f"study.run.profile={profile}",)
    chosen = with_rom_settings(load_rom(rom), (*set_, *place))
    if dry_run:
        return _show(chosen)
    from flows.slurm_profile import load_profile

    load_profile(chosen.study.run.profile)
    rom_design(chosen)  # what is wrong with the study is said at once
    from flows.environment import prefect

    print(f"Reduced model: {chosen.folder}", file=sys.stderr)
    with orderly_end(_GOES_ON), prefect(verbose=verbose) as wait_for_server:
        # Prefect reads its settings when it is imported; its server starts meanwhile.
        from flows.build_rom import build_rom

        wait_for_server()
        state: Any = build_rom(chosen, retry_failed=retry_failed, return_state=True)
        data = state.result(raise_on_failure=False)
    return _tell(state, data)


def _query(
    model: str,
    *,
    mu: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    time: Annotated[tuple[float, ...], Parameter(negative="")] = (),
    select: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    policy: str | None = None,
    full: Annotated[bool, Parameter(negative="")] = False,
    output: Path | None = None,
    picture: Path | None = None,
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
    models: Path = _MODELS,
    version: int | None = None,
) -> int:
    """Ask a reduced model.

    Parameters
    ----------
    model
        Name of the model, or its folder.
    mu
        One parameter, such as ``--mu reynolds=100``; each of them once.
    time
        Time in seconds; may be repeated; default the output times of the training.
    select
        What is asked for: qoi, qoi=drag, field, field=pressure, probe=0.1,0.2 (may be repeated),
        region=outlet, box=0,0,1,1 or coefficients; default all quantities of interest.
    policy
        Out of range: flag or refuse; default what the model says.
    full
        Structures: the full-order model answers. The run is kept.
    output
        NPZ file that receives the whole answer.
    picture
        PNG file that receives the fields at the last time.
    json_
        Print the whole answer as JSON.
    models
        Folder of the registry.
    version
        Version of the model; default the newest.
    """
    from flows.figures.files import require_suffix
    from flows.report_rom import print_answer
    from flows.rom_models import find_any
    from flows.rom_query import (
        answer_json,
        ask,
        parse_mu,
        parse_policy,
        parse_select,
        picture_of,
        require_drawable,
        write_answer,
    )
    from flows.terminal import Terminal

    given, what = parse_mu(mu), parse_select(select)
    for path, suffix in ((output, ".npz"), (picture, ".png")):
        if path is not None:
            require_suffix(path, suffix)
    parse_policy(policy)
    found = find_any(model, models, version)
    if picture is not None:
        require_drawable(found)
    if full:
        from flows.structure_full import ask_full

        answer = ask_full(found, given, time, what, models.absolute() / found.name / "runs")
    else:
        answer = ask(found, given, time, what, policy)
    files = [write_answer(output, found, answer, given)] if output else []
    files += [picture_of(picture, found, given, time)] if picture else []
    if json_:
        print(json.dumps(answer_json(found, answer, given), allow_nan=False))
    else:
        print_answer(Terminal(), found, answer, files)
    return 0


def _export(
    model: str,
    *,
    fmu: Annotated[bool, Parameter(negative="")] = False,
    output: Path | None = None,
    quantity: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    probe: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    compiler: str = "gcc",
    models: Path = _MODELS,
    version: int | None = None,
) -> int:
    """Write a reduced model for other programs: a functional mock-up unit for simulators.

    Parameters
    ----------
    model
        Name of the model, or its folder.
    fmu
        As an FMU: FMI 2.0 for co-simulation. It needs neither Python nor romflow.
    output
        The file; default the model's name with .fmu in this folder.
    quantity
        A quantity of interest that is an output; may be repeated; default all.
    probe
        The value of a field at a position that is an output too, such as
        ``--probe pressure=0.1,0.2``; may be repeated.
    compiler
        Command of a C compiler with the options of gcc.
    models
        Folder of the registry.
    version
        Version of the model; default the newest.
    """
    from flows.rom_export import export
    from flows.rom_models import find_model

    found = find_model(model, models, version)
    path = export(
        found, fmu=fmu, output=output, quantities=quantity, probes=probe, compiler=compiler
    )
    print(path)
    return 0


def _compare(
    model: str,
    *,
    held_out: Annotated[bool, Parameter(negative="")] = False,
    mu: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    output: Path | None = None,
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
    models: Path = _MODELS,
    version: int | None = None,
) -> int:
    """Compare a reduced model with full-order simulations.

    Parameters
    ----------
    model
        Name of the model, or its folder.
    held_out
        With the held-out simulations of its dataset; so it is without ``--mu``.
    mu
        With a fresh simulation: one parameter, such as ``--mu reynolds=100``; each of them once.
    output
        Folder that receives the pictures; default ``comparisons`` beside the model's versions.
    json_
        Print the numbers as JSON.
    models
        Folder of the registry.
    version
        Version of the model; default the newest.
    """
    from flows.report_rom import print_comparison
    from flows.rom_compare import compare_fresh, compare_held_out, comparison_json
    from flows.rom_models import find_model
    from flows.rom_query import parse_mu
    from flows.terminal import Terminal
    from infra.errors import UserError

    if held_out and mu:
        raise UserError("--held-out, --mu: expected one of them, received both")
    given = parse_mu(mu)
    found = find_model(model, models, version)
    own = models / found.name
    place = output or own / "comparisons"
    compared = (
        compare_fresh(found, given, place, own / "truths")
        if given
        else compare_held_out(found, place)
    )
    if json_:
        print(json.dumps(comparison_json(compared), allow_nan=False))
    else:
        print_comparison(Terminal(), compared)
    return 0


def _worth(model: str, *, models: Path = _MODELS, version: int | None = None) -> int:
    """Tell what a reduced model has cost, and after how many queries it has paid.

    Parameters
    ----------
    model
        Name of the model, or its folder.
    models
        Folder of the registry.
    version
        Version of the model; default the newest.
    """
    from flows.report_rom import print_worth
    from flows.rom_models import find_model
    from flows.rom_worth import worth_of
    from flows.terminal import Terminal

    found = find_model(model, models, version)
    print_worth(Terminal(), found, worth_of(found))
    return 0


def _models(*, models: Path = _MODELS) -> int:
    """List the reduced models of a registry.

    Parameters
    ----------
    models
        Folder of the registry.
    """
    from flows.report_rom import print_models
    from flows.terminal import Terminal

    print_models(Terminal(), models)
    return 0


def _show(rom: Any) -> int:
    from flows.report_rom import print_rom
    from flows.terminal import Terminal

    print_rom(Terminal(), rom)
    return 0


def _tell(state: Any, data: Any) -> int:
    """Print how a build ended; return the exit code."""
    from flows.report_rom import print_rom_summary
    from flows.rom_publish import RomSummary
    from flows.terminal import Terminal

    if isinstance(data, dict):
        print_rom_summary(Terminal(), RomSummary(**data))
    return exit_code(state)
