"""What a solver pays for being streamed: idle, busy and paused trainers beside it."""

import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from _online_overhead_solver import NOWHERE, STORED, Timing, paused_race, race
from _online_overhead_trainer import HELD_OUT, Case, Trainer, cylinder, heat
from _online_pair import Worker, await_file, publish_text
from _report import Report, middle

from flows.plan import prepare

__all__ = ["measure"]

_IDLE, _BUSY = "streamed, idle trainer", "streamed, trainer validates and writes checkpoints"
_PAUSED = "streamed, paused trainer"
_PATIENCE = 120.0
_LONGEST = 600.0
_OFTEN, _NEVER = 1, 10**6
# Validations after which the busy trainer counts as busy.
_AT_WORK = 3
_WAITS = ("waits at the beginning, ms", "while computing, ms", "at the end, ms")


def measure(report: Report, *, quick: bool) -> None:
    """Compare solver times with and without a stream; add tables and targets."""
    report.section("Solver time with a stream")
    report.note(
        "The solver of a chunk with one rank in a process on one core, the threads of its stream "
        "included; trainers on the other core, all of them stopped but the one that takes the "
        "sample. The same samples are computed in all ways in turn, by one solver. A time is that "
        "of a whole sample, opening and ending its stream included, starting Python is not. "
        "`nowhere` checks the frames and drops them. Ratios are medians over the samples."
    )
    _case(report, heat(5 if quick else 21), _compare)
    _case(report, cylinder(2 if quick else 7, quick=quick), _compare)
    _case(report, heat(3 if quick else 9), _pause)


type _Measurement = Callable[[Report, Case, Path, ExitStack], None]


def _case(report: Report, case: Case, measurement: _Measurement) -> None:
    folder = Path(tempfile.mkdtemp(prefix="romflow-overhead-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        measurement(report, case, folder, stack)


def _compare(report: Report, case: Case, folder: Path, stack: ExitStack) -> None:
    """Stream to an idle trainer, and to one that does nothing but validate and write."""
    idle = Trainer(case, folder, "idle", passes=1, validation_every=_NEVER)
    busy = Trainer(case, folder, "busy", passes=20, validation_every=_OFTEN, checkpoint_every=0)
    for trainer in (idle, busy):
        stack.enter_context(trainer)
    plain = _plain_chunk(idle, folder)
    ready = folder / "ready"
    solver = stack.enter_context(Worker(0))
    solver.ask(
        race,
        jobs={NOWHERE: plain, STORED: plain, _IDLE: idle.chunk, _BUSY: busy.chunk},
        trainers={_IDLE: idle.pid, _BUSY: busy.pid},
        # The busy trainer needs something to validate with, and to train on, before it is busy.
        first=(*busy.training.held_out, case.samples),
        samples=tuple(range(case.samples)),
        ready=ready,
    )
    await_file(ready.with_name("prepared"), _PATIENCE)
    _wait_until(lambda: busy.events["validated"] >= _AT_WORK)
    before = busy.events
    publish_text(ready, "")
    if not solver.answered(_LONGEST):
        raise RuntimeError("the solver did not end in time")
    _tell(report, case, idle, solver.answer(), busy.events - before)


def _tell(
    report: Report,
    case: Case,
    trainer: Trainer,
    found: Mapping[str, list[Timing]],
    said: Counter[str],
) -> None:
    spec = trainer.spec
    report.note(
        f"{case.name}: {len(found[NOWHERE])} samples of {spec.n_frames} frames of "
        f"{spec.frame_bytes / 1000:.4g} kB. While it took samples, the busy trainer validated "
        f"{said['validated']} times, once after every step, on {HELD_OUT} held-out simulations, "
        f"and wrote {said['checkpoint']} checkpoints."
    )
    rows, spent_nowhere = [], middle([t.processor for t in found[NOWHERE]])
    for way, timings in found.items():
        ratios, spent = _ratios(timings, found[NOWHERE]), middle([t.processor for t in timings])
        rows.append(
            [way, f"{1e3 * middle([t.total for t in timings]):.1f}", f"{middle(ratios):.4f}",
             f"{min(ratios):.3f} to {max(ratios):.3f}", f"{1e3 * spent:.1f}",
             f"{spent / spent_nowhere:.4f}", *_waits(timings)]
        )  # fmt: skip
    head = ["frames go", "ms per sample", "of nowhere", "least to largest"]
    report.table([*head, "ms of the processor", "of nowhere", *_WAITS], rows)
    for name, way in (("idle", _IDLE), ("busy", _BUSY)):
        ratio = middle(_ratios(found[way], found[NOWHERE]))
        report.at_most(f"overhead-{case.name}-{name}", ratio, 1.03)


def _pause(report: Report, case: Case, folder: Path, stack: ExitStack) -> None:
    """Stop a trainer in the middle of a sample; the solver goes on as if nothing were."""
    trainer = Trainer(case, folder, "paused", passes=1, validation_every=_NEVER)
    stack.enter_context(trainer)
    solver = stack.enter_context(Worker(0))
    found: dict[str, list[Timing]] = solver.call(
        paused_race,
        seconds=_LONGEST,
        jobs={NOWHERE: _plain_chunk(trainer, folder), _PAUSED: trainer.chunk},
        way=_PAUSED,
        trainer=trainer.pid,
        samples=tuple(range(case.samples)),
    )
    timings, others = found[_PAUSED], found[NOWHERE]
    _wait_until(lambda: not trainer.spooled)
    report.note(
        f"A trainer is stopped (SIGSTOP) in the middle of a sample of {case.name}, and "
        f"{len(timings)} samples are streamed to it, far below the limit of its spool. Let go on, "
        f"it takes what has waited: {trainer.spooled} bytes are left on disk."
    )
    rows = [
        [number, f"{one.total:.3f}", f"{other.total:.3f}", *_waits([one])]
        for number, (one, other) in enumerate(zip(timings, others, strict=True))
    ]
    report.table(["sample", "s", "s without a stream", *_WAITS], rows)
    report.at_most("overhead-paused-blocked-in-send-s", sum(t.sending for t in timings), 0.0)
    ratio = sum(t.total for t in timings) / sum(t.total for t in others)
    report.at_most("overhead-paused", ratio, 1.03)


def _plain_chunk(trainer: Trainer, folder: Path) -> Path:
    """Return a chunk of the same samples that go to a store."""
    data = trainer.training.data.model_copy(update={"output": folder / "stored"})
    return prepare(data).chunks[0].job


def _ratios(timings: list[Timing], others: list[Timing]) -> list[float]:
    return [one.total / other.total for one, other in zip(timings, others, strict=True)]


def _waits(timings: list[Timing]) -> list[str]:
    columns = zip(*[(t.greeting, t.sending, t.leaving) for t in timings], strict=True)
    return [f"{1e3 * middle(column):.2f}" for column in columns]


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
