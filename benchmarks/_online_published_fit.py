"""The published-kind loop, fed with recorded trajectories at a balanced pace."""

import threading
import time
from collections.abc import Sequence

import torch
from _online_arrival import Production, StepClock
from _online_fit import Fit, Loop, items_of
from _published_loop import PublishedBuffer, published_batches

from surrogates.arrivals import HeldOut
from surrogates.batch import Batch
from surrogates.bias import Visits
from surrogates.study import Study

__all__ = ["published_fit"]


def published_fit(
    study: Study,
    trajectories: Sequence[HeldOut],
    held_out: Sequence[HeldOut],
    production: Production,
    planned: int,
) -> Fit:
    """Train as published until the buffer is empty, but no more than the planned steps.

    What is in the buffer at the beginning, one sample more than the threshold, comes at once:
    only then does the consumer wait, and time would stand still.
    """
    settings = study.job.reservoir
    threshold = settings.threshold or 0
    buffer = PublishedBuffer(settings.capacity, threshold, study.job.training.seed)
    loop, clock, visits = Loop(study, held_out, planned), StepClock(), Visits()
    args = (buffer, trajectories, production, clock, threshold)
    thread = threading.Thread(target=_simulate, args=args, daemon=True)
    started = time.perf_counter()
    thread.start()
    # The number of the frame comes first; it is for the statistics only.
    for numbered, target in published_batches(buffer, loop.settings.batch):
        numbers = numbered[:, 0].long().numpy()
        while int(numbers.max()) >= visits.items:
            visits.add()
        visits.visit(numbers)
        loop.step(Batch.of(numbered[:, 1:].contiguous(), target))
        clock.go_to(clock.now + 1.0)
        if loop.steps == planned:
            break
    seconds = time.perf_counter() - started
    clock.go_to(float("inf"))
    buffer.end()
    thread.join()
    while visits.items < len(production.order):
        visits.add()
    return Fit(*loop.errors(), loop.steps, seconds, visits.bias())


def _simulate(
    buffer: PublishedBuffer,
    trajectories: Sequence[HeldOut],
    production: Production,
    clock: StepClock,
    threshold: int,
) -> None:
    item = items_of(trajectories)
    begin = production.moment(threshold)
    for number, (place, step) in enumerate(production.order):
        clock.wait_for(production.moment(number) - begin)
        inputs, values = item(place, step)
        numbered = torch.cat([torch.tensor([float(number)]), torch.from_numpy(inputs)])
        buffer.put((numbered, torch.from_numpy(values)))
    buffer.end()
