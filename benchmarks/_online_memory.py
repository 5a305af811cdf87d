"""Resident memory of a trainer's reception over many frames: flat, and within its declared cap."""

import gc
import os
import shutil
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from _online_own import Server
from _online_pair import Pair, await_file
from _report import Report
from numpy.typing import NDArray

from infra.streaming.client import connect
from surrogates.devices import prepare_process
from surrogates.draws import End, Wait
from surrogates.intake import Intake
from surrogates.reservoirs.levelled import Levelled
from surrogates.settings import TrainingSettings

__all__ = ["measure"]

_FRAMES, _BATCH = 400, 10
_MEGABYTE = 1e6
# Checkpoints of a run, and breaks of the trainer so long that the inbox fills.
_CHECKPOINTS, _BREAKS = 8, 4
# How full a break lets the inbox get, and how many frames pass between two looks at the memory.
_FULL, _LOOK = 0.95, 100


@final
@dataclass(frozen=True)
class _Case:
    """Sizes: simulations, values of a frame, slots of the reservoir, bytes of the inbox."""

    samples: int
    n_values: int
    slots: int
    inbox: int

    @property
    def frames(self) -> int:
        return self.samples * _FRAMES


# A first reception, so that code which is loaded with its first use is not counted.
_FIRST = _Case(2, 1000, 100, 1 << 20)


def measure(report: Report, *, quick: bool) -> None:
    """Receive 10^5 frames of 4 kB (quick: 2 x 10^4 of 16 kB); add a table and two targets."""
    case = _Case(50, 4000, 12_000, 64 << 20) if quick else _Case(250, 1000, 48_000, 64 << 20)
    with Pair() as pair:
        _run(pair, _FIRST)
        found = _run(pair, case)
    _tell(report, case, found)


def _run(pair: Pair, case: _Case) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="romflow-memory-"))
    given = {"folder": folder, "case": case}
    try:
        found: dict[str, Any] = pair.run((_client, given), (_server, given), seconds=300.0)[1]
    finally:
        shutil.rmtree(folder)
    return found


def _client(folder: Path, case: _Case) -> None:
    """Run one simulation after another; each sends all its frames."""
    path = folder / "rendezvous.json"
    await_file(path)
    values = np.random.default_rng(0).random(case.n_values, np.float32)
    for sample in range(case.samples):
        with connect(path, sample=sample, mu={"a": float(sample)}) as stream:
            for step in range(_FRAMES):
                stream.send(step, values)


def _server(folder: Path, case: _Case) -> dict[str, Any]:
    """Train without a network: admit and draw, with checkpoints and long breaks."""
    prepare_process(TrainingSettings(passes=1))
    expected, inbox = case.frames, case.inbox
    gc.collect()
    start = _resident()
    with ExitStack() as stack:
        server = Server.open(folder, case.n_values, case.samples, _FRAMES, stack, memory=inbox)
        feed = server.feed(Levelled(case.slots, expected=expected), case.n_values)
        cap = feed.pool.nbytes + inbox
        server.intake.start()
        rows, journal, before = list[tuple[float, float, float]](), 0, None
        checkpoints = breaks = looks = 0
        while not isinstance(drawn := _step(feed), End):
            done = feed.counts().admitted
            if done // _LOOK > looks:
                looks = done // _LOOK
                rows.append((done, time.monotonic(), _resident()))
                journal = max(journal, server.journal.nbytes)
            if done * _CHECKPOINTS // expected > checkpoints:
                checkpoints += 1
                state = feed.state()
                if before is not None:
                    feed.release(before)
                before = state
            if done * (_BREAKS + 1) // expected > breaks:
                breaks += 1
                _fill(server.intake, inbox)
                rows.append((done, time.monotonic(), _resident()))
            if isinstance(drawn, Wait):
                feed.wait(1.0)
            else:
                feed.pool.gather(drawn)
        parts = _accounts(feed, server)
        return {
            "start": start,
            "cap": cap,
            "rows": np.array(rows),
            "journal": (journal, server.journal.nbytes),
            "parts": parts,
        }


def _step(feed: Any) -> Any:
    feed.admit()
    return feed.choose(_BATCH)


def _fill(intake: Intake, inbox: int) -> None:
    """Take nothing until the inbox is full or everything has come."""
    while intake.inbox_bytes < _FULL * inbox and not intake.ledger.over:
        time.sleep(0.01)


def _accounts(feed: Any, server: Server) -> dict[str, float]:
    """Return what is kept for every frame, bytes per frame."""
    ledger, index = vars(server.intake.ledger), vars(vars(server.journal)["_index"])
    visits = feed._admitter.reservoir.visits.counts
    frames = len(server.intake.ledger)
    return {
        "ledger: lines": ledger["_lines"].nbytes / frames,
        "ledger: numbers of the lines": ledger["_line_of"].nbytes / frames,
        "journal: index": index["_columns"].nbytes / frames,
        "reservoir: visits": visits.nbytes / frames,
    }


def _tell(report: Report, case: _Case, found: dict[str, Any]) -> None:
    frames = case.frames
    rows: NDArray[np.float64] = found["rows"]
    above = rows[:, 2] - found["start"]
    cap, late = found["cap"], rows[:, 0] >= frames / 2
    by_frame = float(np.polyfit(rows[late, 0], above[late], 1)[0]) * 1e5
    by_minute = float(np.polyfit(rows[late, 1], above[late], 1)[0]) * 60.0
    growth = by_frame * 1e-5 * frames / 2
    seconds = rows[-1, 1] - rows[0, 1]
    report.section("Memory of reception")
    report.note(
        f"{frames} frames of {4 * case.n_values} bytes from simulations of {_FRAMES} frames, one "
        f"after another, in {seconds:.0f} s; a trainer's process that admits them into the "
        f"reservoir of its default policy and draws every one once, {_CHECKPOINTS} checkpoints, "
        f"and {_BREAKS} breaks in which the inbox fills. The cap is the memory of the reservoir "
        "and of the inbox. The resident set is counted from before both were made, in a process in "
        "which a small reception has come and gone, so that all code is loaded."
    )
    table = [
        ["cap, MB", cap / _MEGABYTE],
        ["largest resident set above the start, MB", above.max() / _MEGABYTE],
        ["slope over the second half, MB per 10^5 frames", by_frame / _MEGABYTE],
        ["slope over the second half, MB per minute", by_minute / _MEGABYTE],
        ["journal: largest, MB", found["journal"][0] / _MEGABYTE],
        ["journal: at the end, MB", found["journal"][1] / _MEGABYTE],
    ]
    table += [[f"{name}, bytes per frame", value] for name, value in found["parts"].items()]
    report.table(["", ""], table)
    report.at_most("memory-over-cap", float(above.max() / cap), 1.05)
    report.at_most("memory-growth", float(growth / cap), 0.05)


def _resident() -> float:
    """Return the resident set of this process, bytes."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return float(pages) * os.sysconf("SC_PAGE_SIZE")
