"""Laws of the queue of slots: it is a queue of Python's, in less memory."""

from collections import deque

import numpy as np
import pytest

from surrogates.reservoirs.slot_list import SlotList
from surrogates.reservoirs.slot_queue import SlotQueue

CAPACITY = 7


@pytest.mark.parametrize("seed", range(5))
def test_a_queue_of_slots_does_what_a_deque_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    queue, model = SlotQueue(CAPACITY), deque[int]()
    for _ in range(400):
        outside = [slot for slot in range(CAPACITY) if slot not in model]
        match rng.integers(5):
            case 0 if outside:
                queue.append(outside[0])
                model.append(outside[0])
            case 1:
                some = rng.permutation(outside)[: rng.integers(CAPACITY)].astype(np.int64)
                queue.extend(some)
                model.extend(some.tolist())
            case 2 if model:
                assert queue.pop() == model.pop()
            case 3 if model:
                assert queue.popleft() == model.popleft()
            case 4:
                n = int(rng.integers(len(model) + 1))
                assert queue.take(n).tolist() == [model.popleft() for _ in range(n)]
        assert len(queue) == len(model)
        assert queue.slots.tolist() == [*model]
    other = SlotQueue(CAPACITY)
    other.reset(queue.slots)
    assert other.slots.tolist() == [*model]


def test_slots_are_kept_in_few_bytes_and_given_as_indices() -> None:
    both, queue = SlotList(CAPACITY), SlotQueue(CAPACITY)
    both.extend(np.arange(3))
    queue.extend(np.arange(3))
    kept = sum(value.nbytes for value in vars(both).values() if isinstance(value, np.ndarray))
    assert kept == 8 * CAPACITY
    assert queue.slots.dtype == both.slots.dtype == np.int64
    assert both.pick(2, np.random.default_rng(0)).dtype == np.int64
    assert both.at(2) == 2
