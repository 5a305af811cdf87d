"""A consumer of the kind that is published, as the baseline of the benchmarks of online training.

Clients push whole time steps over ZeroMQ (PUSH to PULL). The server has two threads: reception
polls, unpacks, drops what its bitmap of steps knows, and puts sample by sample into the buffer;
training gets sample by sample, through a `DataLoader` without workers that stacks them. One lock
guards the buffer, for single samples; validation is to be done under the same lock. There is no
journal, and nothing is acknowledged.

Where the descriptions leave a choice, the quicker one is taken: float32 on the wire (the older
interface sends float64), one message per step, no copy by ZeroMQ, and the samples become tensors
once, on reception, instead of at each view.

Source: Meyer et al. (2023), 10.1145/3581784.3607083, and the public artefact and documentation
of that work, in our words; the buffer agrees with the published curves of its population.
"""

import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import final

import numpy as np
import torch
import zmq
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

__all__ = [
    "PublishedBuffer",
    "PublishedClient",
    "PublishedServer",
    "Sample",
    "published_batches",
]

type Sample = tuple[Tensor, Tensor]

# Simulation, time step, number of values.
_HEAD = struct.Struct("<iiq")
_POLL = 50
# Longest wait of a client for its queue at the end, milliseconds; published: for ever.
_LINGER = 20_000


@final
class PublishedBuffer:
    """The Reservoir: blocks producers only when it is full of samples that were never read.

    Parameters
    ----------
    capacity : most samples
    threshold : during reception, reading needs more samples than this
    seed : of the random choices
    """

    def __init__(self, capacity: int, threshold: int, seed: int) -> None:
        self.mutex = threading.Lock()
        self._not_empty = threading.Condition(self.mutex)
        self._not_full = threading.Condition(self.mutex)
        self._capacity, self._threshold = capacity, threshold
        self._rng = np.random.default_rng(seed)
        self._unseen: list[Sample] = []
        self._seen: list[Sample] = []
        self._over = False

    def __len__(self) -> int:
        return len(self._unseen) + len(self._seen)

    def put(self, sample: Sample) -> None:
        """Add a sample; wait while all that are here were never read. Dropped after `end`."""
        with self.mutex:
            while len(self._unseen) >= self._capacity and not self._over:
                self._not_full.wait()
            if self._over:
                return
            if len(self) == self._capacity:
                del self._seen[int(self._rng.integers(len(self._seen)))]
            self._unseen.append(sample)
            self._not_empty.notify()

    def get(self) -> Sample | None:
        """Return a uniformly random sample; it stays until reception is over. None: the end."""
        with self.mutex:
            while len(self) <= self._threshold and not self._over:
                self._not_empty.wait()
            if not len(self):
                return None
            place = int(self._rng.integers(len(self)))
            if place >= len(self._unseen):
                place -= len(self._unseen)
                return self._seen.pop(place) if self._over else self._seen[place]
            sample = self._unseen.pop(place)
            if not self._over:
                self._seen.append(sample)
                self._not_full.notify()
            return sample

    def end(self) -> None:
        """Say that nothing more comes: from now on reading removes, down to nothing."""
        with self.mutex:
            self._over = True
            self._not_empty.notify_all()
            self._not_full.notify_all()


@final
class PublishedServer:
    """The reception thread: PULL socket, bitmap of the steps, `buffer.put` for each sample.

    Parameters
    ----------
    buffer : where samples go
    inputs : the network's input, parameters and time, of a simulation and a step
    n_simulations, n_steps : what is expected; the buffer is told when all of it is here
    hwm : high-water mark of the socket, messages

    Attributes
    ----------
    address : where clients connect
    received, duplicates : samples in the buffer so far, and those that came again
    ended : when reception was over, seconds of `time.monotonic`
    """

    def __init__(
        self,
        buffer: PublishedBuffer,
        inputs: Callable[[int, int], Sequence[float]],
        n_simulations: int,
        n_steps: int,
        *,
        hwm: int = 10,
    ) -> None:
        self.received = self.duplicates = 0
        self.ended = float("nan")
        self._buffer, self._inputs = buffer, inputs
        self._known = np.zeros((n_simulations, n_steps), dtype=bool)
        self._stopping = False
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PULL)
        self._socket.setsockopt(zmq.RCVHWM, hwm)
        port = self._socket.bind_to_random_port("tcp://127.0.0.1")
        self.address = f"tcp://127.0.0.1:{port}"
        self._thread = threading.Thread(target=self._run, name="published-reception", daemon=True)

    def start(self) -> None:
        """Begin to receive."""
        self._thread.start()

    def stop(self) -> None:
        """End reception and the buffer, whatever is still to come, and wait for the thread."""
        self._stopping = True
        self._buffer.end()
        self._thread.join()

    def _run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        while not self._stopping and self.received < self._known.size:
            if poller.poll(_POLL):
                self._receive()
        self.ended = time.monotonic()
        self._buffer.end()
        self._socket.close(linger=0)
        self._context.term()

    def _receive(self) -> None:
        data = self._socket.recv(copy=False).buffer
        simulation, step, n_values = _HEAD.unpack_from(data)
        if self._known[simulation, step]:
            self.duplicates += 1
            return
        self._known[simulation, step] = True
        inputs = torch.tensor(self._inputs(simulation, step), dtype=torch.float32)
        values = np.frombuffer(data, np.float32, n_values, _HEAD.size)
        self._buffer.put((inputs, torch.from_numpy(values.copy())))
        self.received += 1


@final
class PublishedClient:
    """The solver's side: one PUSH socket, a message per time step; waits when queues are full.

    Parameters
    ----------
    address : of the server
    simulation : number of the simulation
    hwm : high-water mark of the socket, messages
    """

    def __init__(self, address: str, simulation: int, *, hwm: int = 10) -> None:
        self._simulation = simulation
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUSH)
        self._socket.setsockopt(zmq.SNDHWM, hwm)
        self._socket.setsockopt(zmq.LINGER, _LINGER)
        self._socket.connect(address)

    def send(self, step: int, values: np.ndarray) -> None:
        """Copy a field into a message, as float32, and hand it over."""
        message = np.empty(_HEAD.size + 4 * values.size, np.uint8)
        _HEAD.pack_into(message, 0, self._simulation, step, values.size)
        message[_HEAD.size :].view(np.float32)[:] = values.reshape(-1)
        self._socket.send(message, copy=False)

    def finish(self) -> None:
        """Leave when everything has gone out."""
        self._socket.close()
        self._context.term()


@final
class _Stream(IterableDataset[Sample]):
    """What the `DataLoader` iterates over."""

    def __init__(self, buffer: PublishedBuffer) -> None:
        self._buffer = buffer

    def __iter__(self) -> Iterator[Sample]:
        return iter(self._buffer.get, None)


def published_batches(
    buffer: PublishedBuffer, batch: int, *, drop_last: bool = True
) -> Iterator[Sample]:
    """Return batches, inputs (B, p) and fields (B, n), until the buffer is empty after its end.

    Parameters
    ----------
    buffer : the buffer
    batch : samples of a batch
    drop_last : whether a last batch that is not full is thrown away, as published
    """
    loader: DataLoader[Sample] = DataLoader(
        _Stream(buffer), batch_size=batch, num_workers=0, drop_last=drop_last
    )
    return ((inputs, fields) for inputs, fields in loader)
