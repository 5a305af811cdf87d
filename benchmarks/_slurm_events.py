"""What can befall a submitted study: drawn beforehand, and done to a real Slurm."""

import random
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import final

import psutil
from _slurm_site import Site

__all__ = ["KINDS", "Strike", "Struck", "draw_schedule", "strike"]

# How long a victim is waited for; how long daemons stay away at most; between looks; seconds.
_PATIENCE, _AWAY, _LOOK = 120.0, 6.0, 0.25
# Later in an undisturbed run's span there may be nothing left to be hit.
_EARLY = 0.6
# A finishing job lives that long at least once its process is seen.
_FINISHING = 1.5


@final
@dataclass(frozen=True)
class Strike:
    """One thing that is going to happen.

    Attributes
    ----------
    kind : one of `KINDS`
    moment : seconds after the first sample was started; of ``finisher``: after that job was seen
    pause : seconds for which a daemon stays away
    choice : between 0 and 1: which of the victims
    """

    kind: str
    moment: float
    pause: float
    choice: float


@final
@dataclass(frozen=True)
class Struck:
    """What has happened.

    Attributes
    ----------
    kind : one of `KINDS`
    text : what was hit, and when; empty if nothing was left to be hit
    """

    kind: str
    text: str


def draw_schedule(seed: int, span: float) -> tuple[Strike, ...]:
    """Draw two or three strikes of different kinds; the first kinds take turns from seed to seed.

    Parameters
    ----------
    seed : of the draw
    span : seconds that an undisturbed run takes from its first sample to its last
    """
    draw = random.Random(seed)
    kinds = list(KINDS)
    first = kinds[seed % len(kinds)]
    others = draw.sample([kind for kind in kinds if kind != first], draw.choice((1, 2)))
    strikes = [
        Strike(
            kind,
            draw.uniform(0.0, _FINISHING if kind == "finisher" else _EARLY * span),
            draw.uniform(0.5, _AWAY),
            draw.random(),
        )
        for kind in (first, *others)
    ]
    # The finishing job is the last that there is to be hit.
    return tuple(sorted(strikes, key=lambda s: (s.kind == "finisher", s.moment)))


def strike(place: Site, name: str, one: Strike, begun: float) -> Struck:
    """Wait for the moment, and for something that can be hit; hit it.

    Parameters
    ----------
    place, name : site and study
    one : what to do
    begun : time at which the first sample was started
    """
    if one.kind != "finisher":
        time.sleep(max(0.0, begun + one.moment - time.time()))
    text = KINDS[one.kind](place, name, one)
    return Struck(one.kind, f"{one.kind} ({text}) at {time.time() - begun:.1f} s" if text else "")


def _elements(place: Site) -> list[tuple[str, str]]:
    """Return running elements with their nodes."""
    text = place.ask("squeue", "-h", "-r", "-t", "running", "-o", "%F_%K %N") or ""
    pairs = [line.split() for line in text.splitlines()]
    return [(pair[0], pair[1]) for pair in pairs if len(pair) == 2 and "N/A" not in pair[0]]


def _found[T](place: Site, name: str, look: Callable[[], list[T]], choice: float) -> T | None:
    """Return one of the victims that there are; None if the study ends before there is one."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and place.state(name)["stage"] == "running":
        victims = look()
        if victims:
            return victims[int(choice * len(victims))]
        time.sleep(_LOOK)
    return None


def _scancel(place: Site, name: str, one: Strike) -> str:
    return _told(place, name, one, "scancel")


def _requeue(place: Site, name: str, one: Strike) -> str:
    return _told(place, name, one, "scontrol", "requeue")


def _told(place: Site, name: str, one: Strike, *command: str) -> str:
    """Give a command with a running element; empty if it had just ended."""
    found = _found(place, name, lambda: _elements(place), one.choice)
    if found is None or place.ask(*command, found[0]) is None:
        return ""
    return found[0]


def _node(place: Site, name: str, one: Strike) -> str:
    found = _found(place, name, lambda: _elements(place), one.choice)
    if found is None:
        return ""
    place.slurm.kill_node(found[1])
    time.sleep(one.pause)
    place.slurm.start_node(found[1])
    return f"{found[1]} for {one.pause:.1f} s"


def _controller(place: Site, _name: str, one: Strike) -> str:
    place.slurm.stop_controller()
    time.sleep(one.pause)
    place.slurm.start_controller()
    return f"for {one.pause:.1f} s"


def _rank(place: Site, name: str, one: Strike) -> str:
    def ranks() -> list[psutil.Process]:
        words = ("-m", "solvers")
        return [p for p in place.processes(name) if _is_python(p) and _has(p, words)]

    found = _found(place, name, ranks, one.choice)
    if found is None:
        return ""
    with suppress(psutil.Error):
        found.send_signal(signal.SIGKILL)
        return f"process {found.pid}"
    return ""


def _finisher(place: Site, name: str, one: Strike) -> str:
    def finishers() -> list[psutil.Process]:
        return [p for p in place.processes(name) if _has(p, ("-m", "flows.submit_finish"))]

    found = _found(place, name, finishers, one.choice)
    if found is None:
        return ""
    time.sleep(one.moment)  # the random moment itself
    with suppress(psutil.Error):
        if found.is_running():
            found.send_signal(signal.SIGKILL)
            return f"process {found.pid}"
    return ""


def _has(process: psutil.Process, words: tuple[str, ...]) -> bool:
    with suppress(psutil.Error):
        line = process.cmdline()
        return any(tuple(line[i : i + len(words)]) == words for i in range(len(line)))
    return False


def _is_python(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.name().startswith("python")
    return False


KINDS: Mapping[str, Callable[[Site, str, Strike], str]] = MappingProxyType(
    {
        "scancel": _scancel,
        "node": _node,
        "rank": _rank,
        "finisher": _finisher,
        "requeue": _requeue,
        "controller": _controller,
    }
)
"""What can happen: a chunk's job cancelled; a node's daemon and its jobs killed, and back; an MPI
rank killed; the job that collects a round killed; a chunk's job requeued; the controller away."""
