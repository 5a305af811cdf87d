"""Commands of surrogates: ``run train-surrogate-online``, ``replay`` and ``predict``."""

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from flows.endings import exit_code, orderly_end, say

__all__ = ["add_commands"]

_GOES_ON = "what the surrogate has learned is kept; the same command goes on."


def add_commands(app: App, run: App) -> None:
    """Add the commands to ``romflow`` and to ``romflow run``."""
    run.command(_train, name="train-surrogate-online")
    app.command(_predict, name="predict")
    app.command(_replay, name="replay")


def _train(
    *,
    training: str = "heat-mlp",
    profile: str | None = None,
    set_: Annotated[tuple[str, ...], Parameter(name="--set", negative="")] = (),
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    retry_failed: Annotated[bool, Parameter(negative="")] = False,
    verbose: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Train a surrogate while its simulations run, or go on with it.

    Parameters
    ----------
    training
        YAML file, or the name of a training that comes with romflow.
    profile
        Where simulations run, and with kind slurm the trainer too: YAML file of a cluster profile,
        or one of local, dask, dask-slurm, slurm; the same as ``--set study.run.profile=...``.
    set_
        Change one setting, such as ``--set training.passes=5``; may be repeated.
    dry_run
        Show what would be done, and write nothing.
    retry_failed
        Try simulations that failed before again.
    verbose
        Show Prefect's log.
    """
    from flows.online_plan import check_design
    from flows.online_study import load_training, with_training_settings

    chosen = with_training_settings(load_training(training), set_).at(profile)
    check_design(chosen)
    if dry_run:
        return _show_training(chosen)
    from flows.environment import prefect

    print(f"Surrogate: {chosen.folder}", file=sys.stderr)
    with orderly_end(_GOES_ON), prefect(verbose=verbose) as wait_for_server:
        # Prefect reads its settings when it is imported; its server starts meanwhile.
        from flows.train import train_surrogate_online

        wait_for_server()
        state: Any = train_surrogate_online(chosen, retry_failed=retry_failed, return_state=True)
        data = state.result(raise_on_failure=False)
    return _tell(state, data)


def _predict(
    model: Path,
    *,
    mu: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    time: Annotated[tuple[float, ...], Parameter(negative="")] = (),
    start: Path | None = None,
    output: Path | None = None,
    picture: Path | None = None,
) -> int:
    """Predict with a saved surrogate.

    Parameters
    ----------
    model
        Folder of the surrogate.
    mu
        One parameter, such as ``--mu temperature_left=300``; each of them once.
    time
        Output time in seconds; may be repeated; default the last one of the training.
    start
        NPZ file with the fields at the first time, for a surrogate that steps from time to time.
    output
        NPZ file that receives parameters, times and fields.
    picture
        PNG file that receives the fields at the last time.
    """
    from flows.predict import predict
    from flows.report_surrogates import print_prediction
    from flows.terminal import Terminal

    found = predict(model, mu, time, start=start, output=output, picture=picture)
    print_prediction(Terminal(), found, [path for path in (output, picture) if path])
    return 0


def _replay(run: Path, *, output: Path | None = None) -> int:
    """Train a surrogate again from the arrivals that its training has kept, and compare.

    Exit code 1 says that the weights differ: they are the same on one machine with one version.

    Parameters
    ----------
    run
        Folder of the surrogate, trained with `training.keep_journal=true`.
    output
        Folder of the replay; by default beside it, its name followed by `-replay`.
    """
    from flows.replay import plan_replay, run_replay

    replay = plan_replay(run, output)
    print(f"Replay: {replay.folder}", file=sys.stderr)
    with orderly_end(_GOES_ON):
        run_replay(replay)
    if replay.identical:
        print("The weights are the same, bit by bit.")
        return 0
    return say(
        f"Expected the weights of {replay.recorded}; received others. Another processor, number of "
        "threads or version of PyTorch rounds differently; so does a GPU.",
        1,
    )


def _show_training(training: Any) -> int:
    from flows.report_surrogates import print_training
    from flows.terminal import Terminal

    print_training(Terminal(), training)
    return 0


def _tell(state: Any, data: Any) -> int:
    """Print how a training ended; return the exit code."""
    from flows.publish_model import ModelSummary
    from flows.report_surrogates import print_model_summary
    from flows.terminal import Terminal

    if isinstance(data, dict):
        print_model_summary(Terminal(), ModelSummary(**data))
    return exit_code(state)
