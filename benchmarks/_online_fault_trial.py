"""One run of the training whose client, trainer or flow is killed at a random moment."""

import random
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import final

import psutil
from _online_fault_audit import Audit, Resume, audit, resume_seconds, twice_computed
from _online_fault_bench import MODULES, Case, Place, processes, start, sweep, wait_until
from kill_resume import Bench

__all__ = ["Outcome", "Windows", "one_seed", "undisturbed", "usual"]

# An undisturbed run that takes longer than this hangs, seconds; one with a kill, if it takes so
# many times longer than those.
_LONGEST, _TIMES = 1800.0, 8.0
# How often a moment is drawn at which something is there to be killed.
_DRAWS = 4


@final
@dataclass(frozen=True)
class Windows:
    """An undisturbed run: how long each victim lived, and what became of the training.

    Attributes
    ----------
    client, trainer, flow
        Seconds from the victim's start (of the first MPI job; of the trainer; of the flow) to its
        last moment.
    audit
        Of the run.
    """

    client: float
    trainer: float
    flow: float
    audit: Audit


@final
@dataclass(frozen=True)
class Outcome:
    """What became of one seed.

    Attributes
    ----------
    victim, seed, moment
        Who was killed, and how many seconds after its start.
    what
        What was killed in the midst of what.
    audit
        Of the run.
    recomputed
        Computations of samples that were begun again.
    restarted
        Chunks that ended although something else was killed.
    resume
        How fast the trainer was replaced; None for a client.
    fault
        What else went wrong; empty if nothing did.
    """

    victim: str
    seed: int
    moment: float
    what: str
    audit: Audit
    recomputed: int
    restarted: int
    resume: Resume | None
    fault: str

    @property
    def failed(self) -> bool:
        """Whether the run itself was no success, whatever its frames."""
        return bool(self.fault)


def undisturbed(bench: Bench, place: Place, case: Case) -> Windows:
    """Run without a kill.

    Raises
    ------
    SystemExit
        If it fails.
    """
    begun = time.time()
    run = start(bench, place, case)
    first = {kind: _birth(place, kind, run) for kind in MODULES}
    code = _end(run, place, _LONGEST)
    ended = time.time()
    if code != 0:
        log = (place.root / "flow.log").read_text(errors="replace")
        raise SystemExit(f"the undisturbed run ended with {code}:\n{log[-4000:]}")
    told = place.lessons()
    chunks = [event["time"] for events in place.chunks().values() for event in events]
    finished = next(event["time"] for event in told if event["event"] == "finished")
    return Windows(
        client=max(chunks) - first["client"],
        trainer=finished - first["trainer"],
        flow=ended - begun,
        audit=audit(place, case),
    )


def usual(runs: Sequence[Windows]) -> Windows:
    """Return the medians of undisturbed runs, and all their frames that were lost or doubled."""
    times = {kind: median(getattr(run, kind) for run in runs) for kind in (*MODULES, "flow")}
    lost, doubled = (sum(getattr(run.audit, name) for run in runs) for name in ("lost", "doubled"))
    return Windows(**times, audit=Audit(lost, doubled, median(run.audit.error for run in runs)))


def one_seed(
    bench: Bench, folder: Path, case: Case, victim: str, seed: int, usual: Windows
) -> Outcome:
    """Run, kill the victim at a random moment of its usual life, go on as a user would, count."""
    draw = random.Random(f"{victim} {seed}")
    for number in range(_DRAWS):
        moment = draw.uniform(0.0, getattr(usual, victim))
        place, deadline = Place(folder / f"{victim}-{seed}-{number}"), _TIMES * usual.flow
        trial = _Trial(bench, place, case, victim, draw, deadline)
        if trial.strikes(moment):
            break
    return trial.outcome(seed, moment)


@final
class _Trial:
    """One run with one kill."""

    def __init__(
        self,
        bench: Bench,
        place: Place,
        case: Case,
        victim: str,
        draw: random.Random,
        deadline: float,
    ) -> None:
        self._bench, self._place, self._case = bench, place, case
        self._victim, self._draw, self._deadline = victim, draw, deadline
        self._run = start(bench, place, case)
        self._killed, self._what = 0.0, "nothing"
        self._bystanders: list[tuple[psutil.Process, str]] = []
        self._fault = ""

    def strikes(self, moment: float) -> bool:
        """Kill the victim so many seconds after its start; False if it was gone by then."""
        try:
            if self._victim != "flow":
                self._until(lambda: processes(self._place, self._victim))
            time.sleep(moment)  # the random moment itself
            # Between two MPI jobs there is no client: the next one is hit as it starts.
            self._until(self._targets)
            struck = self._strike()
        except BaseException:
            self._clear()
            raise
        if not struck:
            _end(self._run, self._place, self._deadline)
        return struck

    def outcome(self, seed: int, moment: float) -> Outcome:
        """Go on as a user would, wait for the end, and count."""
        try:
            restarted = self._go_on()
        finally:
            self._clear()
        resume = None
        if self._victim != "client":
            resume = resume_seconds(self._place.lessons(), self._killed)
        return Outcome(
            self._victim,
            seed,
            moment,
            self._what,
            audit(self._place, self._case),
            twice_computed(self._place),
            restarted,
            resume,
            self._fault,
        )

    def _targets(self) -> list[psutil.Process]:
        if self._victim == "flow":
            return [psutil.Process(self._run.pid)] if self._run.poll() is None else []
        return processes(self._place, self._victim)

    def _strike(self) -> bool:
        targets = self._targets()
        if not targets:
            return False
        target = self._draw.choice(targets)
        if self._victim == "trainer":
            self._bystanders = [(p, _chunk_of(p)) for p in processes(self._place, "client")]
        what, now = self._scene(target), time.time()
        try:
            target.kill()
        except psutil.NoSuchProcess:  # it has just ended
            return False
        self._what, self._killed = what, now
        return True

    def _scene(self, target: psutil.Process) -> str:
        """Say what was going on."""
        told = [e for e in self._place.lessons() if e["event"] == "training"]
        step = f"step {told[-1]['step']}" if told else "before the first step"
        frames = f"{told[-1]['admitted']} frames" if told else "no frame yet"
        chunk = f"a rank of chunk {int(_chunk_of(target))}, " if self._victim == "client" else ""
        return f"{chunk}{step}, {frames}"

    def _go_on(self) -> int:
        restarted = 0
        if self._victim == "trainer":
            self._until(self._receives_again)
            restarted = len({chunk for p, chunk in self._bystanders if self._is_lost(p, chunk)})
        elif self._victim == "flow" and self._killed:
            self._run.wait()
            if not sweep(self._place, self._run):
                self._fault = "jobs outlived their flow"
            self._run = start(self._bench, self._place, self._case)
        code = _end(self._run, self._place, self._deadline)
        if code != 0:
            hangs = f"the run hangs after {self._deadline:.0f} s"
            self._fault = hangs if code is None else f"the run ended with code {code}"
        elif not self._killed:
            self._fault = "there was nothing to kill"
        return restarted

    def _receives_again(self) -> bool:
        told = self._place.lessons()
        return any(e["event"] == "receiving" and e["time"] > self._killed for e in told)

    def _is_lost(self, process: psutil.Process, chunk: str) -> bool:
        """Whether a job has ended before its chunk was through."""
        told = self._place.chunks().get(chunk, [])
        through = any(event["event"] == "finished" for event in told)
        return not through and not _lives(process)

    def _until(self, condition: object) -> None:
        assert callable(condition)
        wait_until(lambda: condition() or self._run.poll() is not None, self._deadline)

    def _clear(self) -> None:
        """Leave nothing running."""
        if self._run.poll() is None:
            self._run.kill()
            self._run.wait()
        sweep(self._place, self._run)


def _birth(place: Place, kind: str, run: "subprocess.Popen[bytes]") -> float:
    """Return the Unix time at which the first process of a kind began."""
    wait_until(lambda: processes(place, kind) or run.poll() is not None, _LONGEST)
    return min((p.create_time() for p in processes(place, kind)), default=time.time())


def _end(run: "subprocess.Popen[bytes]", place: Place, deadline: float) -> int | None:
    """Wait for a run's end; None if it hangs, and then end it."""
    try:
        return run.wait(deadline)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if run.poll() is None:
            run.kill()
            run.wait()
        sweep(place, run)


def _chunk_of(process: psutil.Process) -> str:
    """Return the number of the chunk that a rank computes, as its files are named."""
    try:
        words = process.cmdline()
    except psutil.NoSuchProcess:
        return "-1"
    return next((Path(word).stem for word in words if word.endswith(".json")), "-1")


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
