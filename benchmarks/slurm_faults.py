"""Random fault schedules in Slurm: every sample once, the same bits, no orphan, everything told.

``python benchmarks/slurm_faults.py [--quick] [--seeds 0 1 2]``; needs root, for it brings up a
Slurm of its own with two virtual nodes. Each seed draws two or three of: a chunk cancelled, a
node's daemon and jobs killed and back, a rank killed, the finishing job killed, a chunk requeued,
the controller away. Nobody helps, unless `romflow status` says that nothing is left that could go
on: then the same study is submitted again, as it advises.
"""

import argparse
import sys
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, final

from _report import Report
from _slurm_events import Struck, draw_schedule, strike
from _slurm_site import Site, site

SEEDS, CHUNK = 10, 2
SETTINGS: dict[str, Any] = {
    "description": "Vortices.",
    "problem": {"name": "taylor-green", "settings": {"cells": 16}},
    "parameters": {"viscosity": {"low": 0.01, "high": 0.05}},
    "run": {"ranks": 2, "chunk_size": CHUNK, "workers": 1, "retries": 4},
}
# Number of samples and time step; the quick run has less of all.
SIZES = {True: (4, 0.005), False: (6, 0.003)}
# By one of these words `romflow status` names what has happened.
NAMED = {
    "scancel": ("was cancelled",),
    "node": ("lost its node", "vanished", "requeue"),
    "rank": ("crashed",),
    "finisher": ("last job", "gone from Slurm"),
    "requeue": ("requeue",),
    "controller": ("does not answer", "started again"),
}
# Seconds between two questions whether anything is left; for the end of the last processes.
_ASK, _GRACE = 3.0, 30.0


@final
@dataclass(frozen=True)
class Outcome:
    """What became of one schedule.

    Attributes
    ----------
    seed, struck : what was drawn and happened
    seconds : from the submission to the end
    again : how often somebody had to submit again
    unnamed : kinds of which the status did not speak
    fault : empty if all is as it should be
    """

    seed: int
    struck: tuple[Struck, ...]
    seconds: float
    again: int
    unnamed: tuple[str, ...]
    fault: str


def settings_of(*, quick: bool) -> dict[str, Any]:
    """Return the study, without its name and places."""
    samples, step = SIZES[quick]
    sampling = {"method": "sobol", "samples": samples, "seed": 3}
    return {**SETTINGS, "sampling": sampling, "time": {"end": 0.2, "frames": 3, "step": step}}


def undisturbed(
    place: Site, settings: dict[str, Any]
) -> tuple[dict[int, dict[str, str]], float, float]:
    """Run without faults; return checksums, the span of its samples, and all its seconds."""
    begun = time.time()
    submit(place, "undisturbed", settings)
    place.until(lambda: place.state("undisturbed")["stage"] != "running", "the undisturbed run")
    seconds, told = time.time() - begun, place.told("undisturbed")
    return place.checksums("undisturbed"), told[-1]["time"] - told[0]["time"], seconds


def one_seed(
    place: Site,
    settings: dict[str, Any],
    seed: int,
    expected: dict[int, dict[str, str]],
    span: float,
) -> Outcome:
    """Submit, strike, wait for the end, compare."""
    name, begun = f"seed{seed}", time.time()
    submit(place, name, settings)
    first = place.until(lambda: place.told(name), "the first sample")[0]["time"]
    struck = [strike(place, name, one, first) for one in draw_schedule(seed, span)]
    again, said = follow(place, name, settings)
    seconds = time.time() - begun
    said += place.romflow("status", place.root(name), codes=(0, 1))
    hit = tuple(one for one in struck if one.text)
    unnamed = tuple(one.kind for one in hit if not any(w in said for w in NAMED[one.kind]))
    if unnamed:
        print(f"{unnamed} not named in:\n{said}", file=sys.stderr)
    return Outcome(seed, hit, seconds, again, unnamed, compare(place, name, expected))


def follow(place: Site, name: str, settings: dict[str, Any]) -> tuple[int, str]:
    """Wait for the end; return how often the study was submitted again, and what was said then."""
    again, said = 0, ""
    while place.state(name)["stage"] == "running":
        if place.ask("squeue", "-h") == "":
            text = place.romflow("status", place.root(name), codes=(0, 1))
            if "stopped" in text:
                again, said = again + 1, said + text
                submit(place, name, settings)
        time.sleep(_ASK)
    return again, said


def compare(place: Site, name: str, expected: dict[int, dict[str, str]]) -> str:
    """Say what is not as it should be; empty if nothing is."""
    stage = place.state(name)["stage"]
    if stage != "done":
        return f"stage {stage}: {place.state(name)['complaint']}"
    found = place.checksums(name)
    if found != expected:
        return f"committed {sorted(found)}, with other data than expected"
    commits = Counter(e["sample"] for e in place.told(name) if e["event"] == "committed")
    twice = [sample for sample, count in commits.items() if count > 1]
    if twice:
        return f"committed twice: {twice}"
    try:
        place.until(lambda: not place.processes(name), "the end of all processes", _GRACE)
        place.until(lambda: not place.slurm.processes(), "the end of all steps", _GRACE)
        place.until(
            lambda: place.ask("sinfo", "-h", "-t", "idle", "-o", "%D") == "2\n", "nodes", _GRACE
        )
    except TimeoutError as error:
        return str(error)
    left = list((place.root(name) / "staging").iterdir())
    return f"left in staging: {left}" if left else ""


def main() -> int:
    options = _options()
    report = Report("slurm_faults", "Random fault schedules in Slurm", quick=options.quick)
    settings, outcomes = settings_of(quick=options.quick), []
    samples = settings["sampling"]["samples"]
    with site("romflow-slurm-faults-") as place:
        expected, span, seconds = undisturbed(place, settings)
        if sorted(expected) != list(range(samples)):
            raise SystemExit(f"the undisturbed run committed {sorted(expected)} only")
        for seed in options.seeds:
            outcomes.append(one_seed(place, settings, seed, expected, span))
            print(outcomes[-1], file=sys.stderr, flush=True)
    report.note(
        f"{samples} samples in {samples // CHUNK} chunks of two ranks on two nodes. An undisturbed "
        f"study takes {seconds:.0f} s, its samples {span:.0f} s of that. Moments count from the "
        "first sample."
    )
    return tell(report, outcomes)


def tell(report: Report, outcomes: list[Outcome]) -> int:
    """Write table and targets."""
    head = ["seed", "what happened", "seconds", "submitted again", "not named", "result"]
    rows = [
        [o.seed, "; ".join(s.text for s in o.struck), f"{o.seconds:.0f}", o.again,
         ", ".join(o.unnamed) or "-", o.fault or "complete, equal, no process left"]
        for o in outcomes
    ]  # fmt: skip
    report.table(head, rows)
    counts = Counter(one.kind for o in outcomes for one in o.struck)
    report.note("Strikes: " + ", ".join(f"{kind} {n}" for kind, n in sorted(counts.items())) + ".")
    good = sum(not o.fault for o in outcomes)
    named = sum(counts.values()) - sum(len(o.unnamed) for o in outcomes)
    report.at_least("schedules_survived", float(good), float(len(outcomes)))
    report.at_least("events_named", float(named), float(sum(counts.values())))
    return report.finish()


def submit(place: Site, name: str, settings: dict[str, Any]) -> None:
    """Submit a study, or submit it again."""
    place.romflow("submit", place.study(name, settings), "--profile", place.profile())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the first seed only")
    parser.add_argument("--seeds", type=int, nargs="*", help=f"default: 0 to {SEEDS - 1}")
    options = parser.parse_args()
    options.seeds = options.seeds or list(range(1 if options.quick else SEEDS))
    return options


if __name__ == "__main__":
    sys.exit(main())
