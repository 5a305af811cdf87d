"""Programs of the fault tests, each in a process of its own: ``python programs.py NAME ...``."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from infra.errors import FencedError
from infra.streaming.client import ClientLimits, connect
from infra.streaming.frames import Ending, Frame, Hello, StreamSpec, Verdict
from infra.streaming.testing import values_of
from infra.streaming.zmq_source import ZmqSource

SPEC = StreamSpec("study-1", (("u", 4), ("p", 2)), n_samples=5, n_frames=8)
LIMITS = ClientLimits(beat_seconds=0.05, idle_seconds=0.02, welcome_seconds=0.2)
SHARED = ClientLimits(beat_seconds=0.05, idle_seconds=0.02, welcome_seconds=20.0, shared_bytes=1)
SMALL = ClientLimits(beat_seconds=0.05, idle_seconds=0.0, welcome_seconds=0.2, memory_bytes=1)


def solve(path: str, sample: str, stop: str, kind: str = "") -> None:
    """Send the steps before `stop`; then finish if these are all, else wait to be killed."""
    limits = {"small": SMALL, "shared": SHARED}.get(kind, LIMITS)
    stream = connect(Path(path), int(sample), limits=limits)
    held = sorted(stream.held)
    for step in range(int(stop)):
        stream.send(step, values_of(SPEC, int(sample), step))
    if int(stop) == SPEC.n_frames:
        stream.finish()
    print(json.dumps(held), flush=True)
    if int(stop) < SPEC.n_frames and kind != "forget":
        sys.stdin.readline()


def train(path: str, log: str, frames: str) -> None:
    """Write every accepted key to a file before it is answered, until the study is complete."""
    accepted: dict[tuple[int, int], int] = {}
    ended: set[int] = set()
    with Path(log).open("a+") as file:
        file.seek(0)
        for line in file:
            sample, step, digest = map(int, line.split())
            accepted[sample, step] = digest

        def judge(delivery: Hello | Frame | Ending) -> tuple[Verdict, frozenset[int]]:
            match delivery:
                case Hello():
                    return Verdict.ACCEPTED, frozenset(
                        step for sample, step in accepted if sample == delivery.sample
                    )
                case Ending():
                    ended.add(delivery.sample)
                    return Verdict.ACCEPTED, frozenset()
            place = (delivery.key.sample, delivery.key.step)
            expected = values_of(SPEC, *place).astype("f4")
            np.testing.assert_array_equal(delivery.values, expected)
            if place in accepted:
                return Verdict.DUPLICATE, frozenset()
            accepted[place] = delivery.digest
            print(*place, delivery.digest, file=file, flush=True)
            return Verdict.ACCEPTED, frozenset()

        spool = Path(path).parent / "spool"
        with ZmqSource(Path(path), SPEC, spool=spool) as source:
            source.grant(int(frames))
            print("ready", flush=True)
            try:
                while not ended:
                    for ticket, delivery in source.receive(0.1):
                        source.answer(ticket, *judge(delivery))
                source.receive(0.0)
            except FencedError:
                print("fenced", flush=True)


if __name__ == "__main__":
    tasks: dict[str, Callable[..., None]] = {task.__name__: task for task in (solve, train)}
    tasks[sys.argv[1]](*sys.argv[2:])
