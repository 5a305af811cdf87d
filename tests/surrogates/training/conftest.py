"""A small model, small data, and a feed whose arrivals the test decides."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from infra.field_space import FieldInfo, FieldSpace
from surrogates.architectures import build_surrogate
from surrogates.assembly import Item
from surrogates.bias import Bias, Visits
from surrogates.draws import End, Slots, Wait
from surrogates.feed import Counts, Feed, HeldOut
from surrogates.inputs import InputSpec
from surrogates.learner import Learner
from surrogates.pool import Pool, PoolShape
from surrogates.progress_lines import ProgressLines
from surrogates.schedules import make_schedule
from surrogates.settings import TrainingSettings
from surrogates.states import State, generator_state, generator_with
from surrogates.steps import LocalSteps, Steps
from surrogates.surrogate import Surrogate
from surrogates.training import Trainer
from surrogates.training_report import Report

N_VALUES = 6


class ScriptedFeed(Feed):
    """Shuffled passes over items that come as a script says: so many at each admission.

    Every pass is over the items that are there when it begins, and one more follows for those
    that came later; `threshold` items must be there before the first batch.
    """

    def __init__(
        self,
        items: Sequence[Item],
        script: Sequence[int] = (),
        *,
        passes: int = 1,
        threshold: int = 0,
        seed: int = 0,
        place: str = "cpu",
        held_out: Sequence[HeldOut] = (),
    ) -> None:
        first = items[0]
        shape = PoolShape(len(items), len(first.inputs), len(first.frames), N_VALUES)
        self._pool = Pool(shape, place)
        self._items, self._script, self._threshold = items, [*script], threshold
        self._rng = np.random.default_rng(seed)
        self._due: list[int] = []
        self._passes = np.full(len(items), passes)
        self._visits = Visits()
        self._held_out = [*held_out]
        self.waits = 0
        self.admissions = 0

    @property
    def pool(self) -> Pool:
        return self._pool

    def admit(self) -> int:
        self.admissions += 1
        rest = len(self._items) - self._visits.items
        count = min(self._script.pop(0) if self._script else rest, rest)
        for _ in range(count):
            number = self._visits.add()
            self._pool.put(number, self._items[number])
        return count

    def choose(self, n: int) -> Slots | Wait | End:
        here = self._visits.items
        over = here == len(self._items)
        if here < self._threshold and not over:
            return Wait("threshold")
        if not self._due:
            open_ = np.flatnonzero(self._passes[:here] > 0)
            self._due = self._rng.permutation(open_).tolist()
            self._passes[open_] -= 1
        if not self._due:
            return End() if over else Wait("items")
        slots = np.array(self._due[:n])
        del self._due[:n]
        self._visits.visit(slots)
        return slots

    def wait(self, timeout: float) -> None:  # noqa: ARG002
        self.waits += 1

    def held_out(self) -> list[HeldOut]:
        given, self._held_out = self._held_out, []
        return given

    def counts(self) -> Counts:
        v = self._visits
        over = v.items == len(self._items)
        return Counts(v.items, v.visited, v.total, v.items, len(self._items), over)

    def bias(self) -> Bias:
        return self._visits.bias()

    def state(self) -> State:
        return {
            "rng": generator_state(self._rng),
            "due": list(self._due),
            "script": list(self._script),
            "passes": self._passes.copy(),
            "visits": self._visits.counts,
        }

    def restore(self, state: State) -> None:
        self._rng = generator_with(state["rng"])
        self._due, self._script = [*state["due"]], [*state["script"]]
        self._passes = np.array(state["passes"])
        self._visits.restore(np.asarray(state["visits"]))
        for number in range(self._visits.items):
            self._pool.put(number, self._items[number])


def _field(mu: NDArray[np.float64], time: float) -> NDArray[np.float32]:
    places = np.linspace(0.0, 1.0, N_VALUES)
    return (300.0 + mu[0] * np.sin(places + time) + 5.0 * mu[1] * places).astype(np.float32)


@pytest.fixture
def space() -> FieldSpace:
    fields = (FieldInfo("temperature", "K", 4, "vertex"), FieldInfo("humidity", "1", 2, "cell"))
    return FieldSpace(fields)


@pytest.fixture
def two_inputs() -> InputSpec:
    return InputSpec.of({"a": (0.0, 10.0), "b": (-1.0, 1.0)}, (0.0, 2.0))


@pytest.fixture
def recipe(space: FieldSpace, two_inputs: InputSpec) -> Callable[..., Callable[[], Surrogate]]:
    """Return a function that returns a maker of surrogates; the maker can be pickled."""

    def make(mode: str = "direct", seed: int = 3, **settings: Any) -> Callable[[], Surrogate]:
        given: Any = {"hidden": (8,), **settings}
        return partial(build_surrogate, "mlp", space, two_inputs, mode, given, seed)  # type: ignore[arg-type]

    return make


@pytest.fixture
def items() -> Callable[..., list[Item]]:
    """Return a function that makes so many items, direct (one frame) or pairs (two)."""

    def make(count: int, frames: int = 1) -> list[Item]:
        rng = np.random.default_rng(11)
        made = []
        for number in range(count):
            mu, time = rng.uniform((0.0, -1.0), (10.0, 1.0)), rng.uniform(0.0, 1.8)
            times = [time + 0.2 * k for k in range(frames)]
            values = tuple(_field(mu, t) for t in times)
            made.append(Item(number, np.append(mu, time).astype(np.float32), values))
        return made

    return make


@pytest.fixture
def held_out() -> Callable[[int, int], list[HeldOut]]:
    """Return a function that makes so many held-out trajectories of so many frames."""

    def make(count: int, frames: int) -> list[HeldOut]:
        rng = np.random.default_rng(12)
        times = np.linspace(0.0, 2.0, frames)
        made = []
        for sample in range(100, 100 + count):
            mu = rng.uniform((0.0, -1.0), (10.0, 1.0))
            made.append(HeldOut(sample, mu, times, np.stack([_field(mu, t) for t in times])))
        return made

    return make


@pytest.fixture
def feed(items: Callable[..., list[Item]]) -> Callable[..., ScriptedFeed]:
    """Return a function that makes a feed of so many items; options as for `ScriptedFeed`."""

    def make(count: int, script: Sequence[int] = (), frames: int = 1, **options: Any):
        return ScriptedFeed(items(count, frames), script, **options)

    return make


@pytest.fixture
def trainer(recipe: Callable[..., Callable[[], Surrogate]]) -> Callable[..., Trainer]:
    """Return a function that makes a trainer of one process, or over the given steps."""

    def make(
        feed: Feed,
        settings: TrainingSettings,
        *,
        steps: Steps | None = None,
        lines: list[str] | None = None,
        **options: Any,
    ) -> Trainer:
        torch.set_num_threads(1)
        taken = steps or LocalSteps(Learner(recipe()(), settings), feed.pool)
        planned = settings.planned_steps(feed.pool.shape.capacity)
        schedule = make_schedule(settings.schedule, planned, settings.batch)
        said = [] if lines is None else lines
        report = Report(ProgressLines(said.append, settings.logging.interval))
        return Trainer(taken, feed, settings, schedule, planned, report, **options)

    return make


@pytest.fixture
def weights() -> Callable[[Steps], dict[str, torch.Tensor]]:
    """Return a function that copies the weights of rank 0."""

    def copy(steps: Steps) -> dict[str, torch.Tensor]:
        return {name: tensor.clone() for name, tensor in steps.learner.weights().items()}

    return copy
