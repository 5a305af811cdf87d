"""A study on many nodes, event by event: chunks, starts, samples, commits, streams."""

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import final

import numpy as np
from _scaling_engine import Calls, Events, Place, Server, Ticks

__all__ = [
    "AHEAD",
    "GATHER",
    "PERIOD",
    "WAYS",
    "Costs",
    "Outcome",
    "Study",
    "Way",
    "ideal",
    "simulate",
]

# What the flow's calls of Slurm wait for, as `infra.cluster.slurm` and `infra.cluster.rate` have
# it: requests are gathered, two calls are 2 s apart in the long run, every other one is a question.
GATHER, PERIOD = 0.3, 4.0
# Chunks that a flow has open beyond those that are computed, as `flows.tasks` has it.
AHEAD = 64


@final
@dataclass(frozen=True)
class Costs:
    """What things cost, seconds; all of them can be measured.

    Attributes
    ----------
    samples : times from one commit to the next inside a chunk, each as likely as the others
    startup : from the start of a chunk's MPI job to where a first sample begins
    idle : of that, what no processor is needed for
    opening : what the start takes more for each sample of the dataset
    ending : from the last commit to the end of the job
    element : what the batch job takes around the MPI job
    store : part of a commit during which nobody else can commit
    looking : what a sample takes more for each one that is committed
    flow : start and end of the flow of chunks
    task : flow and Prefect's server for each chunk
    crowd : what that takes more for each chunk that is open in the flow
    controller : of Slurm's controller for each job
    first : from a submission to the job's start, if nothing else is to be done
    cadence : between two times at which Slurm starts elements that wait in their array
    frame : of the trainer for each frame
    prepare, prepare_each : before the first chunk: as such, and for each sample
    publish, publish_each : after the last one, likewise
    """

    samples: tuple[float, ...]
    startup: float = 0.0
    idle: float = 0.0
    opening: float = 0.0
    ending: float = 0.0
    element: float = 0.0
    store: float = 0.0
    looking: float = 0.0
    flow: float = 0.0
    task: float = 0.0
    crowd: float = 0.0
    controller: float = 0.0
    first: float = 0.0
    cadence: float = 0.0
    frame: float = 0.0
    prepare: float = 0.0
    prepare_each: float = 0.0
    publish: float = 0.0
    publish_each: float = 0.0


@final
@dataclass(frozen=True)
class Way:
    """Who gives chunks to nodes, and where frames go.

    Attributes
    ----------
    flow : whether a Prefect flow waits for each chunk
    slurm : whether chunks are jobs of Slurm
    stream : whether all frames go to a trainer
    """

    flow: bool
    slurm: bool
    stream: bool = False


WAYS = MappingProxyType(
    {
        "flow here": Way(flow=True, slurm=False),
        "flow on Slurm": Way(flow=True, slurm=True),
        "submitted": Way(flow=False, slurm=True),
        "online, flow on Slurm": Way(flow=True, slurm=True, stream=True),
    }
)


@final
@dataclass(frozen=True)
class Study:
    """How much there is to compute.

    Attributes
    ----------
    samples, chunk : samples altogether, and of one chunk
    frames : of each sample, for a trainer
    """

    samples: int
    chunk: int
    frames: int = 0

    @property
    def chunks(self) -> tuple[int, ...]:
        """Sizes of the chunks."""
        whole, rest = divmod(self.samples, self.chunk)
        return (self.chunk,) * whole + ((rest,) if rest else ())


@final
@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes
    ----------
    phase : seconds from the first chunk's turn to the last one's end
    whole : the same with preparation and publication
    work : seconds of all samples, one after another
    committed : number of samples
    nodes : number of places
    busy : seconds for which each shared resource was in use
    """

    phase: float
    whole: float
    work: float
    committed: int
    nodes: int
    busy: dict[str, float]

    @property
    def efficiency(self) -> float:
        r"""Return :math:`W / (N T)`: work over nodes times seconds, all overheads in it."""
        return self.work / (self.nodes * self.whole)

    def loads(self) -> dict[str, float]:
        r"""Return what each resource has to do over the time :math:`W / N` without overheads.

        A load is linear in N. Above 1 the resource, and not the number of nodes, sets the time.
        """
        return {name: busy * self.nodes / self.work for name, busy in self.busy.items()}

    def full_at(self) -> dict[str, float]:
        """Return for each resource the number of nodes at which its load is 1."""
        loads = self.loads()
        return {name: self.nodes / load for name, load in loads.items() if load > 0.0}


def ideal(costs: Costs, study: Study, nodes: int) -> float:
    """Return the seconds of the samples alone, spread evenly."""
    return study.samples * float(np.mean(costs.samples)) / nodes


def simulate(
    costs: Costs,
    way: Way,
    study: Study,
    nodes: int,
    place: Callable[[Events], Callable[[int], Place]],
    seed: int = 0,
) -> Outcome:
    """Compute a study with so many chunks at once.

    Parameters
    ----------
    costs, way, study : what happens
    nodes : chunks side by side
    place : gives, for the queue of events, the place of each of them by its number
    seed : of the draws from `Costs.samples`
    """
    return _Simulation(costs, way, study, nodes, place, seed).run()


@final
class _Simulation:
    """The state: what is left, and who is busy."""

    def __init__(
        self,
        costs: Costs,
        way: Way,
        study: Study,
        nodes: int,
        place: Callable[[Events], Callable[[int], Place]],
        seed: int,
    ) -> None:
        self._costs, self._way, self._study, self._nodes = costs, way, study, nodes
        self._events = Events()
        place_of = place(self._events)
        self._places = [place_of(number) for number in range(nodes)]
        self._rounds = [0] * nodes
        self._chunks = list(reversed(study.chunks))
        self._rng = np.random.default_rng(seed)
        self._drawn = np.asarray(costs.samples)
        self._calls, self._ticks = Calls(GATHER, PERIOD), Ticks(costs.cadence, costs.first)
        self._flow, self._controller, self._store, self._stream = (Server() for _ in range(4))
        self._startup = costs.startup - costs.idle + costs.opening * study.samples
        self._task = costs.task + costs.crowd * min(len(self._chunks), nodes + AHEAD)
        self._committed, self._work, self._ended = 0, 0.0, 0.0

    def run(self) -> Outcome:
        costs, n = self._costs, self._study.samples
        start = costs.flow if self._way.flow else 0.0
        for slot in range(self._nodes):
            self._events.at(start, self._ask, slot)
        self._events.run()
        serial = costs.prepare + costs.publish + n * (costs.prepare_each + costs.publish_each)
        return Outcome(
            phase=self._ended,
            whole=self._ended + serial,
            work=self._work,
            committed=self._committed,
            nodes=self._nodes,
            busy={name: busy for name, busy in self._busy(serial).items() if busy > 0.0},
        )

    def _busy(self, serial: float) -> dict[str, float]:
        return {
            "Prefect": self._flow.busy,
            "Slurm's controller": self._controller.busy,
            "store": self._store.busy,
            "trainer": self._stream.busy,
            "preparation, publication": serial,
        }

    def _ask(self, slot: int) -> None:
        """Take the next chunk, if there is one."""
        if self._chunks:
            size = self._chunks.pop()
            seconds = self._task if self._way.flow else 0.0
            self._events.at(self._flow.serve(self._events.now, seconds), self._call, slot, size)

    def _call(self, slot: int, size: int) -> None:
        """Have it submitted: by the flow's calls, or long ago as an element of an array."""
        now = self._events.now
        called = self._way.flow and self._way.slurm
        self._events.at(self._calls.serve(now) if called else now, self._start, slot, size)

    def _start(self, slot: int, size: int) -> None:
        """Have the job started and the chunk opened."""
        costs, begin, before = self._costs, self._events.now, self._startup
        if self._way.slurm:
            # An element that waits in its array needs no new submission. What the controller does
            # for this job alone is in `first`, or it is done before the next tick.
            waits = self._rounds[slot] > 0 and not self._way.flow
            begin = self._controller.serve(begin, costs.controller) - costs.controller
            begin = self._ticks.serve(begin) if waits else begin + costs.first
            before += costs.element
        begin += costs.idle
        self._rounds[slot] += 1
        seconds = self._rng.choice(self._drawn, size).tolist()
        self._work += sum(seconds)
        self._sample(slot, seconds, begin, before)

    def _sample(self, slot: int, left: list[float], begin: float, before: float) -> None:
        """Compute the next sample from `begin` on, after `before` seconds of other work."""
        own = max(left.pop() - self._costs.store, 0.0) + self._costs.looking * self._committed
        self._places[slot].work(begin, before + own, self._commit, slot, left)

    def _commit(self, slot: int, left: list[float]) -> None:
        """Commit a sample, and have its frames received; then go on."""
        costs, now = self._costs, self._events.now
        through = self._store.serve(now, costs.store)
        if self._way.stream:
            # The job goes on when the trainer has the frames: the worst case of a full queue.
            through = max(through, self._stream.serve(now, self._study.frames * costs.frame))
        self._committed += 1
        if left:
            self._sample(slot, left, through, 0.0)
        else:
            self._places[slot].work(through, costs.ending, self._end, slot)

    def _end(self, slot: int) -> None:
        self._ended = self._events.now
        self._ask(slot)
