"""Ways of frames from a client process to a server process, each as a pair of functions.

Every client waits until its first frames have arrived, which warm everything up, then notes the
time and sends the others; every server notes the time when it has the last one where the trainer
reads it. What is not ours: a raw loop of ZeroMQ, files, and the published kind. Raw frames and
files are copied into a ring in memory, once, as every user has to.
"""

import time
from pathlib import Path
from threading import Thread

import numpy as np
import zmq
from _online_pair import Watch, await_file, publish_text
from _published_loop import PublishedBuffer, PublishedClient, PublishedServer, published_batches
from numpy.typing import NDArray

__all__ = [
    "batch_of",
    "capacity_of",
    "field",
    "npz_client",
    "npz_server",
    "published_client",
    "published_server",
    "raw_client",
    "raw_server",
    "ring",
    "warm_up",
]

# Bytes of the ring that takes the frames, of what may wait inside ZeroMQ, and of a batch.
_RING, _WAITING, _BATCH = 256 << 20, 64 << 20, 256 << 20
_LOOK = 0.0002


def ring(n_values: int) -> NDArray[np.float32]:
    """Return memory for some frames, (slots, n), that the kernel has given already."""
    slots = max(2, _RING // (4 * n_values))
    return np.ones((slots, n_values), np.float32)


def field(n_values: int) -> NDArray[np.float32]:
    """Return what is sent: the solver's array, which it fills again and again."""
    return np.random.default_rng(0).random(n_values, np.float32)


def capacity_of(n_values: int) -> int:
    """Return the slots of a reservoir."""
    return max(16, min(2500, 2 * _RING // (4 * n_values)))


def batch_of(n_values: int) -> int:
    """Return the papers' batch, cut where its fields are very large."""
    return min(10, max(2, _BATCH // (4 * n_values)))


def warm_up(n_values: int) -> int:
    """Return the frames that are not counted: buffers of all kinds have been in use by then."""
    return max(2, min(100, _RING // (4 * n_values)))


def raw_client(folder: Path, n_values: int, frames: int) -> Watch:
    """PUSH without copies, the same array each time: quicker than a solver may be."""
    watch, values, context = Watch(), field(n_values), zmq.Context()
    socket = context.socket(zmq.PUSH)
    socket.setsockopt(zmq.SNDHWM, _hwm(n_values))
    socket.connect(await_file(folder / "address"))
    for step in range(frames):
        if step == warm_up(n_values):
            await_file(folder / "go")
            watch.begin()
        socket.send(values, copy=False)
    socket.close()
    context.term()
    return watch.end()


def raw_server(folder: Path, n_values: int, frames: int, *, local: bool = False) -> Watch:
    """PULL without copies, then one copy of each frame."""
    watch, slots, context = Watch(), ring(n_values), zmq.Context()
    socket = context.socket(zmq.PULL)
    socket.setsockopt(zmq.RCVHWM, _hwm(n_values))
    socket.bind(f"ipc://{folder}/socket" if local else "tcp://127.0.0.1:*")
    publish_text(folder / "address", socket.getsockopt_string(zmq.LAST_ENDPOINT))
    for number in range(frames):
        message = socket.recv(copy=False)
        slots[number % len(slots)] = np.frombuffer(message.buffer, np.float32)
        if number + 1 == warm_up(n_values):
            watch.begin()
            publish_text(folder / "go", "")
    watch.end()
    socket.close(linger=0)
    context.term()
    return watch


def npz_client(folder: Path, n_values: int, frames: int) -> Watch:
    """Write an uncompressed file per frame; it appears as a whole."""
    watch, values = Watch(), field(n_values)
    for number in range(frames):
        if number == warm_up(n_values):
            await_file(folder / "go")
            watch.begin()
        np.savez(folder / "draft.npz", field=values)
        (folder / "draft.npz").rename(folder / f"{number}.npz")
    return watch.end()


def npz_server(folder: Path, n_values: int, frames: int) -> Watch:
    """Read each file as soon as it is there, at the same time as others are written."""
    watch, slots = Watch(), ring(n_values)
    for number in range(frames):
        path = folder / f"{number}.npz"
        while not path.exists():
            time.sleep(_LOOK)
        with np.load(path) as arrays:
            slots[number % len(slots)] = arrays["field"]
        if number + 1 == warm_up(n_values):
            watch.begin()
            publish_text(folder / "go", "")
    return watch.end()


def published_client(folder: Path, n_values: int, frames: int) -> Watch:
    """Send time steps as the published clients do."""
    watch, values = Watch(), field(n_values)
    client = PublishedClient(await_file(folder / "address"), 0, hwm=_hwm(n_values))
    for step in range(frames):
        if step == warm_up(n_values):
            await_file(folder / "go")
            watch.begin()
        client.send(step, values)
    client.finish()
    return watch.end()


def published_server(folder: Path, n_values: int, frames: int, *, reading: bool) -> Watch:
    """Receive as published; the other thread reads batches as fast as it can, or not at all."""
    watch, capacity = Watch(), capacity_of(n_values) if reading else frames
    buffer = PublishedBuffer(capacity, capacity // 6 if reading else 0, seed=0)
    server = PublishedServer(
        buffer, lambda sample, step: (float(sample), float(step)), 1, frames, hwm=_hwm(n_values)
    )
    publish_text(folder / "address", server.address)
    server.start()
    greeting = Thread(target=_greet, args=(watch, server, folder, warm_up(n_values)))
    greeting.start()
    if reading:
        for _ in published_batches(buffer, batch_of(n_values)):
            if server.received == frames:
                break
    while server.received < frames:
        time.sleep(0.01)
    greeting.join()
    watch.end()
    server.stop()
    watch.ended = server.ended
    return watch


def _greet(watch: Watch, server: PublishedServer, folder: Path, frames: int) -> None:
    while server.received < frames:
        time.sleep(_LOOK)
    watch.begin()
    publish_text(folder / "go", "")


def _hwm(n_values: int) -> int:
    return max(2, _WAITING // (4 * n_values))
