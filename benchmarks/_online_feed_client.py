"""A simulation for the feed's benchmark: ``python _online_feed_client.py rendezvous.json first``.

For each line ``count seconds`` on standard input it sends so many frames, evenly over the seconds:
those of the samples from `first` on, one after another. It ends with its standard input.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from infra.lifeline import die_with_parent
from infra.streaming.client import FrameStream, connect


def main(rendezvous: str, first: str) -> None:
    frames = _frames(Path(rendezvous), int(first))
    next(frames)  # the connection is there before the clock runs
    print("ready", flush=True)
    for line in sys.stdin:
        count, seconds = line.split()
        began, gap = time.perf_counter(), float(seconds) / int(count)
        for number in range(int(count)):
            time.sleep(max(0.0, began + number * gap - time.perf_counter()))
            next(frames)


def _frames(path: Path, sample: int) -> Iterator[None]:
    """Send one frame at each step of the iteration but the first."""
    while True:
        stream: FrameStream = connect(path, sample)
        values = np.linspace(100.0, 500.0, stream.spec.n_values, dtype=np.float32)
        for step in range(stream.spec.n_frames):
            yield
            stream.send(step, values + np.float32(step))
        stream.finish()
        sample += 1


if __name__ == "__main__":
    die_with_parent()
    main(sys.argv[1], sys.argv[2])
