"""Throughput of the flow solver: steps against competitors, chunks side by side, overhead, memory.

(a) milliseconds per step against pressure correction with DOLFINx forms (`plain_ipcs`), on the
same mesh with the same step, at equal drag; (b) two chunks on two cores; (c) what store,
process start and Prefect add to a chunk; (d) peak memory against the number of steps. The share of
the linear systems in a step is `solver_share.py`'s.
"""

import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from _chunk_jobs import Chunks, Cost, Prefect, prefect_seconds
from _flow import run_ranks
from _report import Report, arguments, interleaved, middle
from _step_race import Race, Result

from solvers.settings import TimeSettings

__all__ = ["main"]

WORKER = Path(__file__).parent / "_step_race.py"
_OVERHEAD = "overhead of a chunk of 60 s, %"
_SERVED = "overhead of a run of one such chunk, server up, %"
_ALONE = "overhead of a run of one such chunk, own server, %"
DEFAULT_MESH = {"size": 0.0125, "far_size": 0.035}
NAMES = {
    "ours": "ours (default, rtol 1e-12)",
    "PlainIPCS": "plain: vector forms, all re-assembled (tutorial)",
    "ComponentIPCS": "strongest: scalar matrices, only convection re-assembled (Oasis manner)",
}


@final
@dataclass(frozen=True)
class Sizes:
    """How much is run: the races, and for chunks (samples, frames, steps per frame)."""

    races: tuple[tuple[Race, tuple[int, ...]], ...]
    scaling: tuple[int, int, int]
    overhead: tuple[int, int, int]
    memory: tuple[int, int]
    repeats: int


QUICK = Sizes(
    races=(
        (Race(**DEFAULT_MESH, step=1 / 1600, warm=100, block=10, repeats=5, steady=6.0), (1,)),
        (Race(**DEFAULT_MESH, step=1 / 1600, warm=40, block=6, repeats=5), (2,)),
    ),
    scaling=(2, 5, 60),
    overhead=(1, 16, 20),
    memory=(4, 15),
    repeats=2,
)
FULL = Sizes(
    races=(
        (Race(**DEFAULT_MESH, step=1 / 1600, warm=400, block=40, repeats=9, steady=14.0), (1, 2)),
        (
            Race(size=0.006, far_size=0.03, step=1 / 1600, warm=400, block=25, repeats=7),
            (1, 2),
        ),
        (Race(**DEFAULT_MESH, step=1 / 800, warm=200, block=40, repeats=5), (1,)),
    ),
    scaling=(2, 50, 80),
    overhead=(2, 175, 20),
    memory=(25, 20),
    repeats=3,
)


def race(settings: Race, ranks: int, folder: Path) -> Result:
    """Run a race in processes of its own; compiled forms are kept in `folder`."""
    source, target = folder / "race.json", folder / "result.json"
    source.write_text(settings.model_dump_json())
    run_ranks(WORKER, ranks, str(source), str(target), XDG_CACHE_HOME=str(folder))
    return Result.model_validate_json(target.read_text())


def steps(report: Report, races: tuple[tuple[Race, tuple[int, ...]], ...], folder: Path) -> None:
    """Report (a); the first race has to compile the forms, the later ones find them."""
    folder.mkdir()
    for settings, all_ranks in races:
        for ranks in all_ranks:
            one_race(report, settings, ranks, race(settings, ranks, folder))


def one_race(report: Report, settings: Race, ranks: int, result: Result) -> None:
    """Report one race; its ratio is a target on one rank with the tutorial's step."""
    plural = "rank" if ranks == 1 else "ranks"
    report.section(f"Steps: {result.nodes} nodes, step {settings.step:g} s, {ranks} {plural}")
    medians = {name: middle(values) for name, values in result.blocks.items()}
    rows = [
        [
            NAMES.get(name, name),
            f"{result.tolerances[name]:g}" if name in result.tolerances else "",
            1e3 * seconds,
            seconds / medians["ours"],
            1e3 * middle(result.cpu[name]),
            _setup(result, name),
        ]
        for name, seconds in medians.items()
    ]
    report.table(["", "rtol", "ms per step", "of ours", "processor ms", "set-up, s"], rows)
    report.note(_remarks(settings, result))
    ratio = medians["PlainIPCS"] / medians["ours"]
    suffix = f"{result.nodes}_nodes_step_{settings.step:g}"
    if ranks == 1:
        report.at_least(f"plain_over_ours_{suffix}", ratio, 3.0)
    for name, value in result.steady.items():
        report.at_most(f"steady_drag_difference_{name}", value, 1e-4)


def _setup(result: Result, name: str) -> str:
    times = result.setups.get(name, [])
    if len(times) < 2:
        return "; ".join(f"{value:.2f}" for value in times)
    first, later = times[0], middle(times[1:])
    if first < 10 * later:
        return f"{later:.2f} (forms cached)"
    return f"{first:.2f} (forms compiled), {later:.2f} (forms cached)"


def _remarks(settings: Race, result: Result) -> str:
    pressure = ", ".join(f"{name} {value:.1f}" for name, value in result.pressure.items())
    fastest = min(result.pressure, key=lambda name: result.pressure[name])
    unsteady = ", ".join(f"{NAMES[k].split(':')[0]} {v:.1e}" for k, v in result.unsteady.items())
    text = (
        f"Medians of {settings.repeats} blocks of {settings.block} steps, competitors in turn; "
        f"Courant number {result.courant:.2f}. The competitors' tolerance is the loosest of 1e-5, "
        "1e-6, ... that keeps the drag within 1e-4 of their own at 1e-11. Pressure solvers of the "
        f"plain one, ms per step in a short trial: {pressure}; the fastest, {fastest}, runs the "
        f"race. Unsteady drag against ours, at half steps: {unsteady} (the schemes differ in time, "
        "both of second order)."
    )
    if result.steady:
        steady = ", ".join(f"{NAMES[k].split(':')[0]} {v:.1e}" for k, v in result.steady.items())
        text += f" Steady drag (2D-1, same reaction functional) against ours: {steady}."
    return text


def chunks(folder: Path, samples: int, frames: int, steps_per_frame: int) -> Chunks:
    """Return a dataset whose every sample does ``frames * steps_per_frame`` steps."""
    step = 1 / 1600
    interval = step * steps_per_frame
    times = TimeSettings(start=interval, end=interval * frames, frames=frames, step=step)
    settings: dict[str, Any] = dict(DEFAULT_MESH)
    return Chunks(folder, settings, times, samples)


def scaling(report: Report, folder: Path, size: tuple[int, int, int], repeats: int) -> None:
    """Report (b): one chunk alone against two side by side, each on one rank."""
    data = chunks(folder, *size)

    def fresh(*jobs: tuple[int, ...]) -> float:
        data.create()
        return data.run(*jobs).wall

    times = interleaved(repeats, one=lambda: fresh((0,)), two=lambda: fresh((0,), (1,)))
    one, two = middle(times["one"]), middle(times["two"])
    report.section("Two chunks side by side")
    report.table(["chunks", "seconds", "chunks per second"], [[1, one, 1 / one], [2, two, 2 / two]])
    report.note(
        f"{data.steps(0)} steps a chunk, process start and store included, one rank each, "
        f"medians of {repeats}."
    )
    if 2 * one / two > 2.05:
        report.note("More than twice: the machine was disturbed, run this again.")
    report.at_least("two_chunks_throughput", 2 * one / two, 1.7)


def overhead(report: Report, folder: Path, size: tuple[int, int, int], repeats: int) -> None:
    """Report (c): what is not time stepping in a chunk of 60 s."""
    data = chunks(folder, *size)
    indices = tuple(range(size[0]))
    costs: dict[str, list[Cost]] = {"whole": [], "start": [], "stepping": [], "setup": []}
    for _ in range(repeats):
        data.create()
        costs["whole"].append(data.run(indices))
        # Everything is committed now: the job starts, looks and ends.
        costs["start"].append(data.run(indices))
        stepping, setup = data.in_memory(indices)
        costs["stepping"].append(stepping)
        costs["setup"].append(setup)
    prefect = prefect_seconds(data)
    wall = _shares({name: middle([c.wall for c in v]) for name, v in costs.items()}, prefect)
    cpu = _shares({name: middle([c.cpu for c in v]) for name, v in costs.items()}, prefect)
    report.section("Overhead of a chunk")
    rows = [[name, value, cpu[name]] for name, value in wall.items()]
    report.table(["", "by the clock", "processor time"], rows)
    report.note(
        f"Medians of {repeats}; Prefect's seconds are by the clock in both columns. A chunk has "
        "one start and one set-up; the store goes with the stepping. What a run costs once "
        "(imports, Prefect's server or its greeting, design, mesh, statistics, figure, card) is "
        "shared by all its chunks; the last lines are for a run of a single chunk."
    )
    report.at_most("overhead_of_60_s_chunk", wall[_OVERHEAD] / 100, 0.10)
    report.at_most("overhead_of_run_of_one_60_s_chunk_server_up", wall[_SERVED] / 100, 0.10)
    report.at_most("overhead_of_run_of_one_60_s_chunk_own_server", wall[_ALONE] / 100, 0.10)


def _shares(seconds: Mapping[str, float], prefect: Prefect) -> dict[str, float]:
    """Divide the seconds of a chunk, and scale them to a chunk of 60 s."""
    stepping, once = seconds["stepping"], seconds["start"] + seconds["setup"]
    store = seconds["whole"] - once - stepping
    share = max(0.0, store / (store + stepping))
    each = once + prefect.chunk

    def part(extra: float) -> float:
        return 100 * (each + share * (60.0 - each) + extra) / (60.0 + extra)

    return {
        "the whole chunk, s": seconds["whole"],
        "the same time steps into memory, s": stepping,
        "start and end (a chunk with nothing to do), s": seconds["start"],
        "set-up of mesh and model, s": seconds["setup"],
        "store (the rest), s": store,
        "Prefect, for each chunk, s": prefect.chunk,
        _OVERHEAD: part(0.0),
        "a run, once, with the server of `romflow up`, s": prefect.served,
        _SERVED: part(prefect.served),
        "a run, once, with a server of its own, s": prefect.alone,
        _ALONE: part(prefect.alone),
    }


def memory(report: Report, folder: Path, size: tuple[int, int]) -> None:
    """Report (d): peak memory of n and of 8 n steps and frames."""
    frames, per_frame = size
    peaks = {}
    for factor in (1, 8):
        data = chunks(folder, 1, factor * frames, per_frame)
        data.create()
        data.run((0,))
        peaks[factor * frames * per_frame] = data.peak_memory(0)
    report.section("Memory")
    rows = [[n, n // per_frame, f"{peak / 2**20:.1f}"] for n, peak in peaks.items()]
    report.table(["steps", "frames", "peak memory, MiB"], rows)
    few, many = peaks.values()
    report.at_most("memory_ratio_8_times_the_steps", many / few, 1.05)


def main() -> int:
    """Run all four parts."""
    quick = arguments(__doc__).quick
    sizes = QUICK if quick else FULL
    report = Report("ns_throughput", "Throughput of the flow solver", quick=quick)
    with tempfile.TemporaryDirectory() as folder:
        steps(report, sizes.races, Path(folder) / "a")
        scaling(report, Path(folder) / "b", sizes.scaling, sizes.repeats)
        overhead(report, Path(folder) / "c", sizes.overhead, sizes.repeats)
        memory(report, Path(folder) / "d", sizes.memory)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
