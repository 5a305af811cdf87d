"""Worker of `scaling`: Prefect's flow of chunks, timed inside a process that keeps its server.

``python _scaling_flow.py TASKS RESULT``; both are JSON files. What is timed is the flow of chunks
of `romflow run`, as it is: only the jobs are left out where the flow itself is measured.
"""

import json
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final
from unittest.mock import patch

import psutil
from _scaling_chunks import one_round, warm_up

from infra.cluster import Cluster, JobResult

__all__ = ["Idle", "main"]

# Seconds that a flow takes at most to have its chunks started.
_LEAD = 1.5
# Between looks at what the server knows.
_LOOK = 0.1


@final
@dataclass(frozen=True)
class Idle(Cluster):
    """Runs nothing, for some seconds.

    Attributes
    ----------
    seconds : of each job
    """

    seconds: float = 0.0

    def run(self, module: Sequence[str], ranks: int, log: Path) -> JobResult:  # noqa: ARG002
        """Wait; see `Cluster.run`."""
        time.sleep(self.seconds)
        return JobResult(0, "")

    def run_alone(self, module: Sequence[str], log: Path) -> JobResult:
        """Wait; see `Cluster.run_alone`."""
        return self.run(module, 0, log)

    def end_jobs(self) -> None:
        """Do nothing: there are none."""


def main(tasks: Path, result: Path) -> int:
    """Do what the file says, write the times; return the exit code."""
    from flows.environment import prefect

    given: dict[str, Any] = json.loads(tasks.read_text())
    with prefect(verbose=False) as ready:
        from flows import generate

        ready()
        _idle(generate, 2)  # Prefect makes its first run slowly
        found: dict[str, Any] = {
            # All of them open at once.
            "crowds": [[size, _idle(generate, size, workers=size)] for size in given["crowds"]],
            "load": _load(generate, given["load_seconds"]),
            "rounds": _rounds(generate, given),
        }
    result.write_text(json.dumps(found))
    return 0


def _idle(generate: Any, size: int, seconds: float = 0.0, workers: int = 16) -> float:
    """Return the seconds of a flow of so many chunks that take no time of their own.

    They end when Prefect's server has taken in all that it was told: it lags behind the flow.
    """
    from flows.plan import Chunk, Plan
    from flows.study_parts import RunSettings

    folder = Path.cwd() / f"idle{size}-{seconds:g}"
    folder.mkdir(exist_ok=True)
    chunks = tuple(
        Chunk(number, folder / f"{number}.json", folder / f"{number}.jsonl", (number,))
        for number in range(size)
    )
    for chunk in chunks:
        chunk.log.touch()
    plan, run = Plan(folder, chunks, size, 0, 0, 0), RunSettings(workers=workers)
    before, begun = _completed(), time.perf_counter()
    with patch.object(generate, "cluster_of", lambda *_: Idle(seconds)):
        _timed(generate, plan, run)
    while _completed() < before + size:
        time.sleep(_LOOK)
    return time.perf_counter() - begun


def _completed() -> int:
    """Return the number of completed tasks that Prefect's server knows of."""
    from prefect.client.orchestration import get_client

    wanted = {"task_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}
    with get_client(sync_client=True) as client:
        return int(client.request("POST", "/task_runs/count", json=wanted).json())


def _load(generate: Any, seconds: float) -> float:
    """Return how many cores flow and server need while they wait for chunks."""
    seen: list[tuple[float, float]] = []

    def look() -> None:  # in the midst of the waiting
        time.sleep(_LEAD)
        for pause in (seconds, 0.0):
            seen.append((time.perf_counter(), _processor()))
            time.sleep(pause)

    thread = threading.Thread(target=look)
    thread.start()
    _idle(generate, 2, seconds + 2.0 * _LEAD, workers=2)
    thread.join()
    (begun, before), (ended, after) = seen
    return (after - before) / (ended - begun)


def _rounds(generate: Any, given: dict[str, Any]) -> list[dict[str, Any]]:
    """Measure bare chunks and run real studies in turn: what disturbs hits both alike."""
    folder, samples = Path.cwd(), given["chunk_samples"]
    warm_up(folder, given["settings"])
    found = []
    for number, files in enumerate(given["rounds"]):
        bare = one_round(folder, given["settings"], number, samples)
        runs = {workers: _real(generate, Path(file)) for workers, file in files.items()}
        found.append({"bare": bare, "runs": runs})
    return found


def _real(generate: Any, file: Path) -> float:
    """Compute a study; return the seconds of its chunks."""
    from flows.plan import prepare
    from flows.study import load_study

    study = load_study(str(file))
    return _timed(generate, prepare(study), study.run)


def _timed(generate: Any, plan: Any, run: Any) -> float:
    runner = generate.task_runner(run, plan.root)
    begun = time.perf_counter()
    problems = generate.compute_chunks.with_options(task_runner=runner)(plan, run)
    if problems:
        raise SystemExit(f"{plan.root}: {problems}")
    return time.perf_counter() - begun


def _processor() -> float:
    """Return the processor seconds of this process and the server."""
    own = psutil.Process()
    times = [p.cpu_times() for p in (own, *own.children(recursive=True))]
    return sum(t.user + t.system for t in times)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
