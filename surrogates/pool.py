"""The items in memory: one preallocated array, written slot by slot and read in batches."""

import mmap
import os
from dataclasses import dataclass
from math import prod
from typing import Any, Literal, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from infra.errors import UserError
from surrogates.assembly import Item
from surrogates.batch import Batch
from surrogates.draws import Slots
from surrogates.states import State

__all__ = ["Pool", "PoolHandle", "PoolShape", "fit_capacity"]

type Place = Literal["cpu", "pinned", "shared", "cuda"]
_BLOCK = 4096


@final
@dataclass(frozen=True)
class PoolShape:
    """How large a pool is.

    Attributes
    ----------
    capacity
        Number C of slots.
    n_inputs
        Number p of inputs, time included.
    n_frames
        Frames k of an item: 1 (direct) or 2 (pairs).
    n_values
        Size n of a frame.
    """

    capacity: int
    n_inputs: int
    n_frames: int
    n_values: int

    @property
    def item_bytes(self) -> int:
        """Bytes of one item."""
        return 4 * (self.n_inputs + self.n_frames * self.n_values)


@final
@dataclass(frozen=True)
class PoolHandle:
    """Where another process of this machine finds a shared pool.

    Attributes
    ----------
    pid, file
        The process that made it, and its number of the memory file there.
    shape
        Size of the pool.
    """

    pid: int
    file: int
    shape: PoolShape


def fit_capacity(shape: PoolShape, memory: int) -> tuple[PoolShape, str]:
    """Cut the capacity so that the pool stays within the memory.

    Parameters
    ----------
    shape
        What is wished.
    memory
        Bytes.

    Returns
    -------
    shape, message
        The shape, and what was cut, for people; empty if nothing was.

    Raises
    ------
    UserError
        If not even one item fits.
    """
    most = memory // shape.item_bytes
    if most < 1:
        raise UserError(
            f"Expected memory for at least one item of {shape.item_bytes / 1e6:.3g} MB; received "
            f"{memory / 1e6:.3g} MB. Raise the memory of the reservoir."
        )
    if shape.capacity <= most:
        return shape, ""
    cut = PoolShape(most, shape.n_inputs, shape.n_frames, shape.n_values)
    return cut, (
        f"The reservoir holds {most} items instead of {shape.capacity}: its memory is "
        f"{memory / 1e9:.3g} GB and an item has {shape.item_bytes / 1e6:.3g} MB."
    )


@final
class Pool:
    """Inputs (C, p) and frames (C, k, n), float32.

    Parameters
    ----------
    shape
        Size of the pool.
    place
        ``cpu``; ``pinned``: host memory that a GPU reads asynchronously; ``shared``: memory that
        other processes of this machine attach to by `handle`; ``cuda`` or ``cuda:1``: a GPU.

    Raises
    ------
    UserError
        If the place is unknown, or a GPU is asked for and there is none.
    """

    def __init__(self, shape: PoolShape, place: str = "cpu") -> None:
        if min(shape.capacity, shape.n_inputs, shape.n_frames, shape.n_values) < 1:
            raise UserError(f"Expected a pool of positive sizes; received {shape}.")
        self._shape = shape
        self._file: int | None = None
        self._staging: _Staging | None = None
        if place == "shared":
            self._file = _memory_file(_size(shape))
            self._inputs, self._frames = _mapped(self._file, shape)
        else:
            device, pinned = _device(place)
            self._inputs = _zeros((shape.capacity, shape.n_inputs), device, pinned)
            frames = (shape.capacity, shape.n_frames, shape.n_values)
            self._frames = _zeros(frames, device, pinned)
            if device.type == "cuda":
                self._staging = _Staging(shape)
        self._numbers = np.full(shape.capacity, -1, dtype=np.int64)

    @classmethod
    def attach(cls, handle: PoolHandle) -> Self:
        """Return the shared pool of another process; it lives as long as any that uses it.

        Raises
        ------
        UserError
            If that process, or its pool, is gone or not reachable from here.
        """
        path = f"/proc/{handle.pid}/fd/{handle.file}"
        try:
            file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise UserError(
                f"Expected the shared pool of process {handle.pid} on this machine; received: "
                f"{error.strerror}. Start all trainer processes on one machine, by one user."
            ) from error
        pool = cls.__new__(cls)
        pool._shape, pool._file, pool._staging = handle.shape, file, None
        pool._inputs, pool._frames = _mapped(file, handle.shape)
        pool._numbers = np.full(handle.shape.capacity, -1, dtype=np.int64)
        return pool

    @property
    def shape(self) -> PoolShape:
        """Size of the pool."""
        return self._shape

    @property
    def device(self) -> torch.device:
        """Where its batches are."""
        return self._frames.device

    @property
    def nbytes(self) -> int:
        """Bytes of all slots."""
        return self._shape.capacity * self._shape.item_bytes

    @property
    def handle(self) -> PoolHandle:
        """What another process needs for `attach`.

        Raises
        ------
        UserError
            If the pool is not shared.
        """
        if self._file is None:
            raise UserError("Expected a pool in the place `shared`; this one has no handle.")
        return PoolHandle(os.getpid(), self._file, self._shape)

    def put(self, slot: int, item: Item) -> None:
        """Write an item over what was in a slot.

        Raises
        ------
        UserError
            If its sizes are not those of the pool.
        """
        shape = self._shape
        sizes = (len(item.inputs), len(item.frames), *(frame.size for frame in item.frames))
        if sizes != (shape.n_inputs, shape.n_frames, *[shape.n_values] * shape.n_frames):
            raise UserError(
                f"Expected an item of {shape.n_inputs} inputs and {shape.n_frames} frames of "
                f"{shape.n_values} values; received sizes {sizes}."
            )
        self._numbers[slot] = item.number
        if self._staging is not None:
            self._staging.put(self._inputs[slot], self._frames[slot], item)
            return
        _write(self._inputs[slot].numpy(), self._frames[slot].numpy(), item)

    def numbers(self, slots: Slots) -> Slots:
        """Return the arrival numbers of the items in these slots (-1: none), shape (B,)."""
        return self._numbers[slots]

    def gather(self, slots: Slots, weight: Tensor | None = None) -> Batch:
        """Return copies of the items in these slots, in this order.

        Parameters
        ----------
        slots
            Places, shape (B,).
        weight
            Weights of the items, shape (B,); None: 1.
        """
        index = torch.from_numpy(np.ascontiguousarray(slots)).to(self.device)
        frames = self._frames.index_select(0, index)
        state = frames[:, 0] if self._shape.n_frames > 1 else None
        if weight is None:
            weight = torch.ones(len(slots), device=self.device)
        return Batch(self._inputs.index_select(0, index), state, frames[:, -1], weight)

    def state(self) -> State:
        """Return the slots up to the last one in use: views, to be written before the next put.

        From a GPU they are copies.
        """
        used = np.flatnonzero(self._numbers >= 0)
        stop = int(used[-1]) + 1 if len(used) else 0
        return {
            "inputs": self._inputs[:stop].cpu().numpy(),
            "frames": self._frames[:stop].cpu().numpy(),
            "numbers": self._numbers[:stop],
        }

    def restore(self, state: State) -> None:
        """Fill the slots again.

        Raises
        ------
        UserError
            If the sizes are others.
        """
        inputs, frames = (np.asarray(state[name], np.float32) for name in ("inputs", "frames"))
        stop, shape = len(inputs), self._shape
        expected = ((shape.n_inputs,), (shape.n_frames, shape.n_values))
        if (inputs.shape[1:], frames.shape[1:]) != expected or stop > shape.capacity:
            raise UserError(
                f"Expected a stored pool of at most {shape.capacity} items of shapes {expected}; "
                f"received {stop} of {inputs.shape[1:]}, {frames.shape[1:]}. It is from a run with "
                "other settings: use those, or start anew."
            )
        self._inputs[:stop] = torch.from_numpy(np.array(inputs))
        for slot in range(stop):  # one by one: a second copy of everything might not fit
            self._frames[slot] = torch.from_numpy(np.array(frames[slot]))
        self._numbers[:] = -1
        self._numbers[:stop] = np.asarray(state["numbers"])

    def close(self) -> None:
        """Give back the memory file; the pool must not be used afterwards."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


@final
class _Staging:
    """A ring of pinned buffers: the copy to the GPU goes on while the next item is prepared."""

    def __init__(self, shape: PoolShape, depth: int = 4) -> None:
        self._inputs = torch.zeros((depth, shape.n_inputs)).pin_memory()
        self._frames = torch.zeros((depth, shape.n_frames, shape.n_values)).pin_memory()
        self._copied: list[Any] = [torch.cuda.Event() for _ in range(depth)]  # type: ignore[no-untyped-call]
        self._next = 0

    def put(self, inputs: Tensor, frames: Tensor, item: Item) -> None:
        place = self._next
        self._next = (place + 1) % len(self._copied)
        self._copied[place].synchronize()  # returns at once for an event that was never recorded
        _write(self._inputs[place].numpy(), self._frames[place].numpy(), item)
        inputs.copy_(self._inputs[place], non_blocking=True)
        frames.copy_(self._frames[place], non_blocking=True)
        self._copied[place].record(torch.cuda.current_stream(inputs.device))


def _write(inputs: NDArray[np.float32], frames: NDArray[np.float32], item: Item) -> None:
    inputs[:] = item.inputs
    for row, frame in zip(frames, item.frames, strict=True):
        row[:] = frame


def _device(place: str) -> tuple[torch.device, bool]:
    if place in ("cpu", "pinned"):
        if place == "pinned":
            _require_cuda(place)
        return torch.device("cpu"), place == "pinned"
    if not place.startswith("cuda"):
        raise UserError(
            f"Expected a place for the reservoir among cpu, pinned, shared, cuda, cuda:<number>; "
            f"received {place!r}."
        )
    _require_cuda(place)
    device = torch.device(place)
    if device.index is not None and device.index >= torch.cuda.device_count():
        raise UserError(
            f"Expected one of the {torch.cuda.device_count()} GPUs of this machine, numbered from "
            f"0; received {place}."
        )
    return device, False


def _require_cuda(place: str) -> None:
    if not torch.cuda.is_available():
        raise UserError(
            f"Expected a GPU for the place {place!r} of the reservoir; PyTorch sees none. Use "
            "`cpu`, or start the training on a machine with a GPU and a driver."
        )


def _zeros(shape: tuple[int, ...], device: torch.device, pinned: bool) -> Tensor:
    return torch.zeros(shape, dtype=torch.float32, device=device, pin_memory=pinned)


def _input_bytes(shape: PoolShape) -> int:
    """Return the bytes of the inputs, rounded up so that the frames begin on a page."""
    return -(-4 * shape.capacity * shape.n_inputs // _BLOCK) * _BLOCK


def _size(shape: PoolShape) -> int:
    return _input_bytes(shape) + 4 * shape.capacity * shape.n_frames * shape.n_values


def _memory_file(size: int) -> int:
    # It has no name: the kernel frees it with the last process, however that ends.
    file = os.memfd_create("romflow-pool", os.MFD_CLOEXEC)
    os.ftruncate(file, size)
    return file


def _mapped(file: int, shape: PoolShape) -> tuple[Tensor, Tensor]:
    memory = mmap.mmap(file, _size(shape))
    sizes = ((shape.capacity, shape.n_inputs), (shape.capacity, shape.n_frames, shape.n_values))
    starts = (0, _input_bytes(shape))
    inputs, frames = (
        torch.frombuffer(memory, dtype=torch.float32, count=prod(size), offset=start).view(size)
        for size, start in zip(sizes, starts, strict=True)
    )
    return inputs, frames
