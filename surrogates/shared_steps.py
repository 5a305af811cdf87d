"""The step protocol of several processes on one machine; see `surrogates.steps`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import final
from zlib import crc32

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import Store, TCPStore  # type: ignore[attr-defined] # not in its stubs
from torch.nn.parallel import DistributedDataParallel

from surrogates.announcements import Announcement, Code, announce, hear
from surrogates.checkpoint import read_tensors
from surrogates.devices import device_of, prepare_process
from surrogates.draws import Slots
from surrogates.errors import TrainingError
from surrogates.followers import Followers
from surrogates.learner import Learner
from surrogates.pool import Pool, PoolHandle
from surrogates.settings import TrainingSettings
from surrogates.steps import LocalSteps, Steps, part_of, take_part
from surrogates.surrogate import Surrogate

__all__ = ["SharedSteps", "open_steps"]

# A process that says nothing for so long has hung; one that died is noticed at once.
_SILENCE = timedelta(minutes=30)
# How long a process may take to start: imports on a loaded machine, and the build of the model.
_START = timedelta(minutes=10)


@final
@dataclass(frozen=True)
class _Post:
    """What each of the other processes is given when it starts."""

    port: int
    build: Callable[[], Surrogate]
    pool: PoolHandle
    settings: TrainingSettings
    restored: Path | None
    scored: bool


def open_steps(
    build: Callable[[], Surrogate],
    pool: Pool,
    settings: TrainingSettings,
    restored: Path | None = None,
    *,
    scored: bool = False,
) -> Steps:
    """Start the trainer processes, and return the protocol over them.

    Parameters
    ----------
    build
        Makes the surrogate; it can be sent to another process, and makes the same there.
    pool
        Where the items are; in shared memory if there are several processes.
    settings
        Number of processes, device, optimiser.
    restored
        Checkpoint from which weights and optimiser are taken.
    scored
        Whether the losses of the items are kept, see `Steps.item_losses`.

    Raises
    ------
    UserError
        If a GPU is asked for that is not there, or the model cannot be built.
    RankLostError
        If a process ends while it starts.
    """
    device = device_of(settings)
    device_of(settings, settings.processes - 1)
    if settings.processes == 1:
        learner = Learner(build().to(device), settings, scored=scored)
        _restore(learner, restored)
        return LocalSteps(learner, pool)
    return SharedSteps(build, pool, settings, restored, scored=scored)


@final
class SharedSteps(Steps):
    """Rank 0's end of the protocol.

    Parameters
    ----------
    build, pool, settings, restored, scored
        As for `open_steps`.
    """

    def __init__(
        self,
        build: Callable[[], Surrogate],
        pool: Pool,
        settings: TrainingSettings,
        restored: Path | None = None,
        *,
        scored: bool = False,
    ) -> None:
        self._pool, self._batch, self._ranks = pool, settings.batch, settings.processes
        store = TCPStore("127.0.0.1", 0, self._ranks, True, _START, wait_for_workers=False)
        post = _Post(store.port, build, pool.handle, settings, restored, scored)
        self._scored, self._item_losses = scored, torch.empty(0)
        self._followers = Followers(_follow, post, self._ranks - 1)
        try:
            with self._together():
                self.learner = _join(store, 0, post)
        except BaseException:
            self.close()
            raise

    def step(self, slots: Slots, rate: float, observe: bool) -> None:
        """Announce a step and take part in it; see `Steps.step`."""
        with self._together():
            announce(Announcement(Code.STEP, slots, rate, observe), self._batch)
            whole = self._pool.gather(slots)
            take_part(self.learner, whole, 0, self._ranks, rate, observe)
            if self._scored:
                self._item_losses = _item_losses(self.learner, whole.size, 0, self._ranks)

    def item_losses(self) -> Tensor:
        """Return the losses of the items of all processes; see `Steps.item_losses`."""
        return self._item_losses

    def mean_loss(self) -> float:
        """Return the mean loss of the whole batches; see `Steps.mean_loss`."""
        with self._together():
            announce(Announcement(Code.LOSS), self._batch)
            return _mean_loss(self.learner, self._ranks)

    def keep_alive(self) -> None:
        """Announce that there is nothing to do; see `Steps.keep_alive`."""
        with self._together():
            announce(Announcement(Code.IDLE), self._batch)

    def require_agreement(self) -> None:
        """Compare checksums of the weights; see `Steps.require_agreement`."""
        with self._together():
            announce(Announcement(Code.AGREE), self._batch)
            sums = _checksums(self.learner, self._ranks)
        if len(set(sums)) > 1:
            raise TrainingError(
                f"Expected the same weights on all {self._ranks} processes; received checksums "
                f"{sums}. This is a defect or a broken machine: go on from the last checkpoint."
            )

    def close(self) -> None:
        """End the other processes; in order if they wait for an announcement, else at once."""
        orderly = not self._followers.busy and self._followers.complete
        if orderly:
            with suppress(TrainingError), self._together():
                announce(Announcement(Code.END), self._batch)
        self._followers.end(kill=not orderly)
        if dist.is_initialized():
            dist.destroy_process_group()

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Mark a block in which this process may wait for the others."""
        with self._followers.together():
            yield


def _join(store: Store, rank: int, post: _Post) -> Learner:
    """Enter the group of processes and make this one's replica; collective."""
    settings = post.settings
    device = device_of(settings, rank)
    backend = "gloo" if device.type == "cpu" else "cpu:gloo,cuda:nccl"
    dist.init_process_group(
        backend, store=store, rank=rank, world_size=settings.processes, timeout=_SILENCE
    )
    surrogate = post.build().to(device)
    module = DistributedDataParallel(
        surrogate,
        device_ids=None if device.type == "cpu" else [device],
        # Every process computes the same statistics, and large constant buffers need not travel.
        forward_sync_buffers=False,
        gradient_as_bucket_view=True,
    )
    learner = Learner(surrogate, settings, module, settings.processes, scored=post.scored)
    _restore(learner, post.restored)
    return learner


def _follow(number: int, post: _Post) -> None:
    """Do what rank 0 announces, until the end; runs in a process of its own."""
    prepare_process(post.settings)
    rank, ranks, batch = number + 1, post.settings.processes, post.settings.batch
    store = TCPStore("127.0.0.1", post.port, ranks, False, _START)
    learner, pool = _join(store, rank, post), Pool.attach(post.pool)
    while True:
        heard = hear(batch)
        match heard.code:
            case Code.STEP:
                assert heard.slots is not None, "a step has slots"
                whole = pool.gather(heard.slots)
                take_part(learner, whole, rank, ranks, heard.rate, heard.observe)
                if post.scored:
                    _item_losses(learner, whole.size, rank, ranks)
            case Code.LOSS:
                _mean_loss(learner, ranks)
            case Code.AGREE:
                _checksums(learner, ranks)
            case Code.END:
                dist.destroy_process_group()
                return
            case Code.IDLE:
                pass


def _item_losses(learner: Learner, size: int, rank: int, ranks: int) -> Tensor:
    """Put the losses of all parts together, (size,) float32; collective."""
    start, stop = part_of(size, rank, ranks)
    every = torch.zeros(size)
    # A process without an item has computed one of weight zero, which is another's.
    every[start:stop] = learner.item_losses[: stop - start].cpu()
    dist.all_reduce(every)
    return every


def _mean_loss(learner: Learner, ranks: int) -> float:
    """Add the parts' losses up; collective."""
    both = learner.losses()
    learner.forget_losses()
    dist.all_reduce(both)
    total, counts = both.tolist()
    return total / (counts / ranks) if counts else float("nan")


def _checksums(learner: Learner, ranks: int) -> list[int]:
    """Return the checksum of the weights of every process; collective."""
    mine = 0
    for tensor in learner.weights().values():
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        mine = crc32(flat.view(torch.uint8).numpy(), mine)
    parts = [torch.zeros(1, dtype=torch.int64) for _ in range(ranks)]
    dist.all_gather(parts, torch.tensor([mine], dtype=torch.int64))
    return [int(part) for part in parts]


def _restore(learner: Learner, checkpoint: Path | None) -> None:
    if checkpoint is not None:
        learner.restore(*read_tensors(checkpoint))
