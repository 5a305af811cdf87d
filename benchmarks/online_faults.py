"""Kill -9 a client, the trainer or the flow of an online training: no frame lost, none doubled.

``python benchmarks/online_faults.py [--quick] [--seeds 0 1 2] [--victims client trainer flow]``.
Every seed draws a moment for every victim, on the real flow, a real server and real MPI jobs: one
rank of a simulation's job (client), the trainer's process, or the flow's process. After that
nobody does anything, unless the flow was killed: then the same command is given again.
The quick run has one seed of client and trainer. ``--keep FOLDER`` keeps the folders of all runs.
"""

import argparse
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from statistics import median

from _online_fault_bench import Case, Place
from _online_fault_trial import Outcome, Windows, one_seed, undisturbed, usual
from _report import Report
from kill_resume import Bench

VICTIMS = ("client", "trainer", "flow")
FULL = Case(samples=12, held_out=2, frames=21, step=0.0004, chunk=6, passes=20)
QUICK = Case(samples=4, held_out=1, frames=11, step=0.0004, chunk=4, passes=20)
SEEDS, REFERENCES = 20, 5


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # server and worker are ended then
    case = QUICK if options.quick else FULL
    made = Report("online_faults", "An online training, killed", quick=options.quick)
    folder = Path(tempfile.mkdtemp(prefix="romflow-faults-"))
    bench = Bench(folder)
    try:
        bench.up()
        windows = [
            undisturbed(bench, Place(folder / f"undisturbed-{number}"), case)
            for number in range(options.references)
        ]
        outcomes = [
            _told(one_seed(bench, folder, case, victim, seed, usual(windows)))
            for seed in options.seeds
            for victim in options.victims
        ]
    finally:
        bench.romflow("down")
        if options.keep is not None:
            sockets = shutil.ignore_patterns("*.sock")
            shutil.copytree(folder, options.keep, dirs_exist_ok=True, ignore=sockets)
        shutil.rmtree(folder, ignore_errors=True)
    return report(made, case, windows, outcomes)


def report(made: Report, case: Case, windows: list[Windows], outcomes: list[Outcome]) -> int:
    """Write the tables; return the exit code."""
    made.note(
        f"Heat, {case.samples} simulations of {case.frames} frames and {case.held_out} held out, "
        f"{case.chunk} to a job of two ranks; {case.passes} views of each frame."
    )
    reference = _reference(made, windows)
    for victim in VICTIMS:
        mine = [outcome for outcome in outcomes if outcome.victim == victim]
        if mine:
            _victim(made, victim, mine, reference)
    for victim in ("trainer", "flow"):
        taken = [o.resume.receives for o in outcomes if o.victim == victim and o.resume is not None]
        if taken:
            made.at_most(f"resume-seconds-{victim}", max(taken), 10.0)
    struck = [outcome for outcome in outcomes if outcome.victim == "trainer"]
    if struck:
        again = sum(o.recomputed + o.restarted for o in struck)
        made.at_most("recomputed-by-clients", float(again), 0.0)
    return made.finish()


def _reference(made: Report, windows: list[Windows]) -> float:
    """Tell of the undisturbed runs; return the median of their errors."""
    middle, errors = usual(windows), sorted(w.audit.error for w in windows)
    error = middle.audit.error
    lived = ", ".join(f"{victim} {getattr(middle, victim):.1f} s" for victim in VICTIMS)
    made.note(
        f"{len(windows)} undisturbed runs: error {error:.4g}, from {errors[0] / error:.3f} to "
        f"{errors[-1] / error:.3f} times that; lost {middle.audit.lost}, doubled "
        f"{middle.audit.doubled}. So long they live (median): {lived}; kills are drawn from that."
    )
    return error


def _victim(made: Report, victim: str, outcomes: list[Outcome], reference: float) -> None:
    """Write the table and the targets of one victim."""
    made.section(f"Killed: {victim}")
    ratios = [outcome.audit.error / reference for outcome in outcomes]
    head = ["seed", "after s", "in the midst of", "lost", "doubled", "begun again"]
    rows = [
        [
            *(o.seed, f"{o.moment:.2f}", o.what, o.audit.lost, o.audit.doubled, o.recomputed),
            *(*_resume(o), f"{ratio:.3f}", o.fault or "went on"),
        ]
        for o, ratio in zip(outcomes, ratios, strict=True)
    ]
    made.table([*head, "receives s", "steps s", "error ratio", "result"], rows)
    made.note(f"Error over that of the undisturbed runs: worst {max(ratios):.3f}.")
    made.at_most(f"failed-{victim}", float(sum(o.failed for o in outcomes)), 0.0)
    made.at_most(f"lost-{victim}", float(sum(o.audit.lost for o in outcomes)), 0.0)
    made.at_most(f"doubled-{victim}", float(sum(o.audit.doubled for o in outcomes)), 0.0)
    made.at_most(f"final-error-{victim}", median(ratios), 1.05)


def _resume(outcome: Outcome) -> tuple[str, str]:
    """Say how fast the trainer was replaced, if it was."""
    if outcome.resume is None:
        return "", ""
    steps = outcome.resume.steps
    return f"{outcome.resume.receives:.2f}", "" if steps is None else f"{steps:.2f}"


def _told(outcome: Outcome) -> Outcome:
    """Say at once how a run went: a whole benchmark takes long."""
    print(outcome, file=sys.stderr, flush=True)
    return outcome


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="one seed without the flow's, less to do"
    )
    parser.add_argument("--seeds", type=int, nargs="*", help=f"default: 0 to {SEEDS - 1}")
    parser.add_argument("--victims", nargs="*", choices=VICTIMS, help="default: all")
    parser.add_argument("--references", type=int, help=f"undisturbed runs; default {REFERENCES}")
    parser.add_argument("--keep", type=Path, help="new folder that receives all runs")
    options = parser.parse_args()
    # A killed flow starts everything twice, which takes longer than a quick run may.
    options.victims = options.victims or (VICTIMS[:2] if options.quick else VICTIMS)
    options.seeds = options.seeds or list(range(1 if options.quick else SEEDS))
    options.references = options.references or (1 if options.quick else REFERENCES)
    return options


if __name__ == "__main__":
    sys.exit(main())
