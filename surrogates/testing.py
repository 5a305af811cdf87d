"""Small designs and frames for tests of the data side."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from infra.streaming.frames import Frame, FrameKey, StreamSpec, frame_digest
from surrogates.arrivals import Arrival, Design

__all__ = ["small_arrival", "small_design", "small_frame", "small_spec", "small_values"]


def small_spec(n_samples: int = 4, n_frames: int = 5, n_values: int = 6) -> StreamSpec:
    """Return a stream of one field ``u``."""
    return StreamSpec("study", (("u", n_values),), n_samples, n_frames)


def small_design(spec: StreamSpec, validation: Iterable[int] = ()) -> Design:
    """Return the design of a stream: one parameter ``a`` = sample + 1, times step / 10."""
    held = frozenset(validation)
    mus = {sample: np.array([sample + 1.0]) for sample in range(spec.n_samples)}
    times = tuple(step / 10 for step in range(spec.n_frames))
    return Design(("a",), times, spec.n_values, frozenset(mus) - held, held, mus)


def small_values(spec: StreamSpec, sample: int, step: int) -> NDArray[np.float32]:
    """Return the values of a frame: they tell which one it is."""
    values = (1000 * sample + step + np.arange(spec.n_values) / 64).astype(np.float32)
    values.flags.writeable = False
    return values


def small_frame(spec: StreamSpec, sample: int, step: int, attempt: int = 0) -> Frame:
    """Return a frame."""
    values = small_values(spec, sample, step)
    return Frame(FrameKey(sample, attempt, step), values, frame_digest(values))


def small_arrival(spec: StreamSpec, number: int, sample: int, step: int) -> Arrival:
    """Return a frame on its way to the trainer."""
    key, mu = FrameKey(sample, 0, step), np.array([sample + 1.0])
    return Arrival(number, key, small_values(spec, sample, step), mu, step / 10)
