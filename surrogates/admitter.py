"""From arrivals to the pool: what live and replayed training have in common."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import final

import numpy as np

from infra.errors import StoreError
from surrogates.arrivals import Arrival
from surrogates.assembly import Assembler, Item
from surrogates.draws import End, Slots, Wait
from surrogates.feed import Counts
from surrogates.pool import Pool
from surrogates.reservoirs.reservoir import Reservoir
from surrogates.states import State, generator_state, generator_with, nest, number, part

__all__ = ["Admitter"]


@final
class Admitter:
    """Assembler, reservoir, pool and generator: equal arrivals before equal steps, equal draws.

    Parameters
    ----------
    assembler, reservoir, pool
        The parts; reservoir and pool have one capacity.
    rng
        Source of all randomness (PCG64).

    Raises
    ------
    StoreError
        If the parts do not fit together.
    """

    def __init__(
        self, assembler: Assembler, reservoir: Reservoir, pool: Pool, rng: np.random.Generator
    ) -> None:
        if (reservoir.capacity, assembler.frames) != (pool.shape.capacity, pool.shape.n_frames):
            raise StoreError(
                f"Expected a pool of {reservoir.capacity} items of {assembler.frames} frames; "
                f"received one of {pool.shape}."
            )
        self.assembler = assembler
        self.reservoir = reservoir
        self.pool = pool
        self._rng = rng
        self._put_off: deque[Item] = deque()
        self.steps = 0

    @property
    def room(self) -> int:
        """How many arrivals may be admitted now.

        An arrival may complete two items, while there is place for one: the other one is put
        off. Without that, a reservoir and a trainer could wait for each other.
        """
        room = self.reservoir.room - len(self._put_off)
        return max(1, room // self.assembler.frames) if room > 0 else 0

    @property
    def put_off(self) -> int:
        """Items that wait for a slot."""
        return len(self._put_off)

    def admit(self, arrivals: Iterable[Arrival]) -> int:
        """Put what was put off, and the items of these arrivals, into the pool.

        Returns
        -------
        int
            How many items got a slot.
        """
        for arrival in arrivals:
            self._put_off.extend(self.assembler.add(arrival))
        placed = 0
        while self._put_off and (slot := self.reservoir.offer(self._rng)) is not None:
            self.pool.put(slot, self._put_off.popleft())
            placed += 1
        return placed

    def choose(self, n: int) -> Slots | Wait | End:
        """Draw, and count the step if there was a batch."""
        slots = self.reservoir.draw(n, self._rng)
        self.steps += not isinstance(slots, Wait | End)
        return slots

    def counts(self) -> Counts:
        """Return where the feed stands."""
        visits = self.reservoir.visits
        return Counts(
            admitted=visits.items,
            visited=visits.visited,
            visits=visits.total,
            held=self.reservoir.held,
            capacity=self.reservoir.capacity,
            over=self.reservoir.closed,
        )

    def state(self) -> State:
        """Return everything that changes."""
        return {
            "steps": self.steps,
            "rng": generator_state(self._rng),
            **nest("put_off", self._put_off_state()),
            **nest("assembler", self.assembler.state()),
            **nest("reservoir", self.reservoir.state()),
            **nest("pool", self.pool.state()),
        }

    def restore(self, state: State, read: Callable[[int], Arrival]) -> None:
        """Go on from a state; `read` gives an arrival by its number."""
        self.steps = number(state, "steps")
        self._rng = generator_with(state["rng"])
        self.reservoir.restore(part("reservoir", state))
        self.pool.restore(part("pool", state))
        self.assembler.restore(part("assembler", state), read)
        self._restore_put_off(part("put_off", state))

    def _put_off_state(self) -> State:
        shape, items = self.pool.shape, self._put_off
        inputs = np.array([item.inputs for item in items], np.float32)
        frames = np.array([item.frames for item in items], np.float32)
        return {
            "numbers": np.array([item.number for item in items], np.int64),
            "inputs": inputs.reshape(-1, shape.n_inputs),
            "frames": frames.reshape(-1, shape.n_frames, shape.n_values),
        }

    def _restore_put_off(self, state: State) -> None:
        columns = (np.asarray(state[name]) for name in ("numbers", "inputs", "frames"))
        self._put_off = deque(
            Item(int(number), inputs, tuple(frames))
            for number, inputs, frames in zip(*columns, strict=True)
        )
