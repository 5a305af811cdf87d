"""Laws of the pool."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from infra.errors import UserError
from surrogates.assembly import Item
from surrogates.pool import Pool, PoolHandle, PoolShape, fit_capacity

SHAPE = PoolShape(capacity=5, n_inputs=3, n_frames=2, n_values=4)
WITHOUT_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
WITH_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
PLACES = ["cpu", "shared", *(pytest.param(p, marks=WITH_GPU) for p in ("pinned", "cuda"))]


def item(number: int, shape: PoolShape = SHAPE) -> Item:
    inputs = np.arange(shape.n_inputs, dtype=np.float32) + 100 * number
    frames = [
        np.arange(shape.n_values, dtype=np.float32) + 1000 * number + 10 * k
        for k in range(shape.n_frames)
    ]
    for frame in frames:
        frame.flags.writeable = False
    return Item(number, inputs, tuple(frames))


@pytest.mark.parametrize("place", PLACES)
def test_what_was_put_is_gathered_in_the_order_of_the_slots(place: str) -> None:
    pool = Pool(SHAPE, place)
    for slot in range(5):
        pool.put(slot, item(slot))
    pool.put(2, item(7))
    batch = pool.gather(np.array([2, 0, 2]))
    assert batch.inputs.device.type == ("cuda" if place == "cuda" else "cpu")
    assert batch.state is not None
    np.testing.assert_array_equal(batch.inputs.cpu()[:, 0], [700, 0, 700])
    np.testing.assert_array_equal(batch.state.cpu()[:, 0], [7000, 0, 7000])
    np.testing.assert_array_equal(batch.target.cpu()[:, 3], [7013, 13, 7013])
    assert batch.weight.tolist() == [1, 1, 1]
    assert pool.numbers(np.array([2, 0])).tolist() == [7, 0]


def test_a_pool_of_single_frames_has_no_state() -> None:
    shape = PoolShape(2, 1, 1, 3)
    pool = Pool(shape)
    pool.put(1, item(4, shape))
    batch = pool.gather(np.array([1]), torch.tensor([0.5]))
    assert batch.state is None
    assert batch.target.tolist() == [[4000, 4001, 4002]]
    assert batch.weight.tolist() == [0.5]


def test_a_batch_is_a_copy() -> None:
    pool = Pool(SHAPE)
    pool.put(0, item(1))
    batch = pool.gather(np.array([0]))
    pool.put(0, item(2))
    assert batch.target[0, 0] == 1010
    assert batch.inputs[0, 0] == 100


@pytest.mark.parametrize("place", PLACES)
def test_a_restored_pool_is_the_same(place: str) -> None:
    pool, again = Pool(SHAPE, place), Pool(SHAPE, place)
    for slot in (0, 3):
        pool.put(slot, item(slot))
    again.put(4, item(9))
    again.restore(pool.state())
    slots = np.array([0, 3])
    assert torch.equal(again.gather(slots).target, pool.gather(slots).target)
    assert torch.equal(again.gather(slots).inputs, pool.gather(slots).inputs)
    assert again.numbers(np.arange(5)).tolist() == [0, -1, -1, 3, -1]


def test_a_full_pool_is_saved_without_a_copy() -> None:
    pool = Pool(SHAPE)
    for slot in range(5):
        pool.put(slot, item(slot))
    frames = pool.state()["frames"]
    pool.put(0, item(8))
    assert isinstance(frames, np.ndarray)
    assert frames[0, 0, 0] == 8000


@pytest.mark.parametrize(
    "shape",
    [PoolShape(5, 2, 2, 4), PoolShape(5, 3, 1, 4), PoolShape(5, 3, 2, 5), PoolShape(2, 3, 2, 4)],
)
def test_a_pool_of_other_sizes_is_refused(shape: PoolShape) -> None:
    pool = Pool(SHAPE)
    for slot in range(5):
        pool.put(slot, item(slot))
    with pytest.raises(UserError, match="other settings"):
        Pool(shape).restore(pool.state())


def test_an_item_of_other_sizes_is_refused() -> None:
    with pytest.raises(UserError, match="3 inputs and 2 frames of 4 values"):
        Pool(SHAPE).put(0, item(0, PoolShape(5, 3, 1, 4)))


def test_the_capacity_is_cut_to_the_memory() -> None:
    wished = PoolShape(1000, 2, 1, 98)  # 400 bytes each
    assert fit_capacity(wished, 400_000) == (wished, "")
    cut, message = fit_capacity(wished, 399_999)
    assert cut.capacity == 999
    assert "999 items instead of 1000" in message
    assert Pool(cut).nbytes <= 399_999
    with pytest.raises(UserError, match="at least one item"):
        fit_capacity(wished, 399)


def test_another_process_reads_what_is_put_later() -> None:
    # 7 inputs of 600 slots do not end on a page: the frames begin on the next.
    shape = PoolShape(600, 7, 2, 4)
    pool = Pool(shape, "shared")
    handle = pool.handle
    program = (
        "import sys, numpy as np\n"
        "from surrogates.pool import Pool, PoolHandle, PoolShape\n"
        f"pool = Pool.attach(PoolHandle({handle.pid}, {handle.file}, PoolShape(600, 7, 2, 4)))\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "print(pool.gather(np.array([599])).target[0, 3].item(), flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        pool.put(599, item(3, shape))
        out, _ = process.communicate("go\n", timeout=60)
    assert out == "3013.0\n"
    pool.close()
    pool.close()


def test_an_attached_pool_writes_for_all() -> None:
    pool = Pool(SHAPE, "shared")
    other = Pool.attach(pool.handle)
    other.put(1, item(5))
    assert pool.gather(np.array([1])).target[0, 0] == 5010


def test_a_pool_that_is_gone_is_a_clear_error() -> None:
    handle = PoolHandle(os.getpid(), 10**6, SHAPE)
    with pytest.raises(UserError, match="on one machine"):
        Pool.attach(handle)
    with pytest.raises(UserError, match="place `shared`"):
        _ = Pool(SHAPE).handle


@WITHOUT_GPU
@pytest.mark.parametrize("place", ["cuda", "cuda:1", "pinned"])
def test_a_gpu_that_is_absent_is_a_clear_error(place: str) -> None:
    with pytest.raises(UserError, match=f"a GPU for the place '{place}'"):
        Pool(SHAPE, place)


@WITH_GPU
def test_a_gpu_number_that_is_absent_is_a_clear_error() -> None:
    with pytest.raises(UserError, match="GPUs of this machine"):
        Pool(SHAPE, "cuda:99")


@WITH_GPU
def test_many_puts_in_a_row_reach_the_gpu_whole() -> None:
    shape = PoolShape(64, 3, 2, 100_000)
    pool = Pool(shape, "cuda")
    for slot in range(64):
        pool.put(slot, item(slot, shape))
    target = pool.gather(np.arange(64)).target.cpu().numpy()
    for slot in range(64):
        np.testing.assert_array_equal(target[slot], item(slot, shape).frames[1])


def test_an_unknown_place_and_an_empty_shape_are_refused() -> None:
    with pytest.raises(UserError, match="among cpu, pinned"):
        Pool(SHAPE, "disk")
    with pytest.raises(UserError, match="positive sizes"):
        Pool(PoolShape(0, 3, 2, 4))
