"""The transient model: one factor for all, bad samples by name, clean states, stored frames."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, final

import numpy as np
import pytest

from infra.errors import UserError
from infra.records import Provenance, Sample, SolveReport
from infra.stream import MemorySink, Trajectory
from solvers.backend import MPI
from solvers.chunk import make_problem
from solvers.errors import CoefficientError, SampleError
from solvers.mesh import FloatArray, ReferenceMesh
from solvers.parameters import ParameterSpace
from solvers.problem import Kind, Problem, ProblemSettings
from solvers.settings import LinearSettings, TimeSettings
from solvers.steady_case import Prescribed, constant
from solvers.transient import TransientModel
from solvers.transient_case import TransientCase
from solvers.transient_snapshots import transient_layout
from solvers.worker import Events, run_chunk

ORIGIN = Provenance("unknown", False, {}, {}, 0, "here", 1, "", "")
TIME = TimeSettings(end=0.05, frames=6, step=0.01)
HEAT = [{}, {"temperature_left": 400.0}, {"temperature_initial": 150.0}]
WIND = [{}, {"wind_angle": -1.0}, {"diffusivity": 0.05, "wind_speed": 0.3}]


@dataclass
class Run:
    """Samples of one model, computed in this process."""

    model: TransientModel
    layout: Any
    shelf: dict[int, Trajectory]

    def compute(self, sample: Sample) -> SolveReport:
        with MemorySink(self.layout.description, sample, self.shelf) as sink:
            report = self.model.solve(sample, sink)
            sink.commit(report, ORIGIN)
            return report


def started(
    problem: Problem, samples: Sequence[Sample], time: TimeSettings = TIME, **linear: Any
) -> Run:
    mesh = problem.reference_mesh()
    layout = transient_layout("x", problem, problem.space(), samples, mesh, time.times(), {})
    model = TransientModel(problem, mesh, MPI.COMM_SELF, time, LinearSettings(**linear))
    return Run(model, layout, {})


def samples_of(problem: Problem, mus: Sequence[Mapping[str, float]]) -> list[Sample]:
    return [Sample(i, {**problem.defaults, **mu}, i) for i, mu in enumerate(mus)]


def test_one_factorisation_serves_all_steps_and_samples_of_one_operator() -> None:
    problem = make_problem("heat", {"cells": 6})
    samples = samples_of(problem, HEAT)
    run = started(problem, samples)
    reports = [run.compute(sample) for sample in samples]
    assert [report.counts["setups"] for report in reports] == [1, 0, 0]
    for report in reports:
        assert (report.steps, report.frames) == (5, 6)
        # Two damped steps have two systems each.
        assert report.counts["preconditioner_applications"] == 7
        assert report.values["residual"] < 1e-12


def test_an_operator_that_depends_on_the_sample_is_factored_once_for_each() -> None:
    problem = make_problem("advection", {"cells": 8})
    samples = samples_of(problem, WIND)
    run = started(problem, samples, method="direct")
    assert [run.compute(sample).counts["setups"] for sample in samples] == [1, 1, 1]


@pytest.mark.parametrize(("name", "mus"), [("heat", HEAT), ("advection", WIND)])
def test_a_sample_does_not_depend_on_those_before_it(
    name: str, mus: Sequence[Mapping[str, float]]
) -> None:
    problem = make_problem(name, {"cells": 8})
    samples = samples_of(problem, mus)
    run = started(problem, samples, method="direct")
    for sample in samples:
        run.compute(sample)
    for sample in samples:
        alone = started(problem, samples, method="direct")
        alone.compute(sample)
        for array, values in alone.shelf[sample.index].values.items():
            np.testing.assert_array_equal(run.shelf[sample.index].values[array], values, array)


@pytest.mark.parametrize("method", ["auto", "gamg"])
def test_every_method_gives_the_same_frames_within_the_tolerance(method: str) -> None:
    problem = make_problem("heat", {"cells": 8})
    samples = samples_of(problem, HEAT[:1])
    found = []
    for chosen in ("direct", method):
        run = started(problem, samples, method=chosen, rtol=1e-10)
        run.compute(samples[0])
        found.append(run.shelf[0].values["temperature"])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-8)


def test_more_frames_of_the_same_steps_are_the_same_solution() -> None:
    problem = make_problem("heat", {"cells": 6})
    samples = samples_of(problem, HEAT[:1])
    few = TimeSettings(start=0.02, end=0.04, frames=2, step=0.01)
    runs = [started(problem, samples, time) for time in (TIME, few)]
    for run in runs:
        run.compute(samples[0])
    every, some = (run.shelf[0].values["temperature"] for run in runs)
    np.testing.assert_array_equal(some, every[[2, 4]])


def test_the_first_frame_at_zero_is_the_initial_field_with_the_walls_values() -> None:
    problem = make_problem("heat", {"cells": 4})
    samples = samples_of(problem, [{"temperature_initial": 123.0}])
    run = started(problem, samples)
    run.compute(samples[0])
    first = run.shelf[0].values["temperature"][0]
    mesh = problem.reference_mesh()
    inside = np.setdiff1d(np.arange(mesh.n_vertices), mesh.facets)
    assert (first[inside] == 123.0).all()
    assert not (first[mesh.facets] == 123.0).any()


@final
class Faulty(Problem):
    """Heat with one sample whose case is changed by a function."""

    name: ClassVar[str] = "faulty"
    title: ClassVar[str] = "Faulty"
    kind: ClassVar[Kind] = "transient"
    Settings: ClassVar[type[ProblemSettings]] = ProblemSettings

    def __init__(self, change: Callable[[TransientCase], TransientCase]) -> None:
        self._inner = make_problem("heat", {"cells": 4})
        self._change = change

    @property
    def defaults(self) -> Mapping[str, float]:
        return self._inner.defaults

    def space(self) -> ParameterSpace:
        return self._inner.space()

    def reference_mesh(self) -> ReferenceMesh:
        return self._inner.reference_mesh()

    def case(self, mu: Mapping[str, float], mesh: ReferenceMesh) -> TransientCase:
        case = self._inner.case(mu, mesh)
        assert isinstance(case, TransientCase)
        return self._change(case) if mu["temperature_left"] == 113.0 else case


def first(values: FloatArray, value: float) -> FloatArray:
    changed = values.copy()
    changed[0] = value
    return changed


def with_equation(**changes: Any) -> Callable[[TransientCase], TransientCase]:
    return lambda case: replace(case, equation=replace(case.equation, **changes))


FAULTS: dict[str, tuple[Any, str]] = {
    "NaN in the capacity": (
        lambda c: replace(c, capacity=first(c.capacity, np.nan)),
        "capacity: expected finite values",
    ),
    "no capacity": (
        lambda c: replace(c, capacity=first(c.capacity, 0.0)),
        "capacity: expected positive values",
    ),
    "infinite initial values": (
        lambda c: replace(c, initial=constant(np.inf)),
        "initial values: expected finite values",
    ),
    "NaN on a wall": (
        with_equation(
            prescribed=tuple(
                Prescribed(p, constant(np.nan)) for p in ("left", "right", "bottom", "top")
            )
        ),
        "prescribed values: expected finite values",
    ),
    "infinite source": (
        lambda c: with_equation(source=first(c.equation.source, np.inf))(c),
        "source: expected finite values",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_sample_is_named_and_the_next_one_is_not_affected(fault: str) -> None:
    change, text = FAULTS[fault]
    problem = Faulty(change)
    samples = samples_of(problem, [{}, {"temperature_left": 113.0}, HEAT[2]])
    run, alone = (started(problem, samples) for _ in range(2))
    run.compute(samples[0])
    with pytest.raises(CoefficientError, match=text):
        run.compute(samples[1])
    run.compute(samples[2])
    alone.compute(samples[2])
    assert set(run.shelf) == {0, 2}
    one, other = (r.shelf[2].values["temperature"] for r in (run, alone))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("method", ["auto", "direct"])
def test_a_tolerance_that_cannot_be_reached_is_named(method: str) -> None:
    problem = make_problem("heat", {"cells": 6})
    samples = samples_of(problem, HEAT[:2])
    run = started(problem, samples, method=method, rtol=1e-17)
    for sample in samples:
        with pytest.raises(SampleError, match=r"linear\.rtol") as caught:
            run.model.solve(sample, None)
        assert caught.value.reason == "tolerance-below-round-off"


def test_what_was_learnt_is_taken_over_and_what_does_not_fit_is_not() -> None:
    problem = make_problem("advection", {"cells": 6})
    samples = samples_of(problem, WIND[:1])
    run = started(problem, samples)
    assert run.model.state() is None
    run.compute(samples[0])
    learned = run.model.state()
    assert learned is not None
    for state in (learned, {"nonsense": 1}):
        other = started(problem, samples)
        other.model.restore(json.loads(json.dumps(state)))
        other.compute(samples[0])


def test_times_that_do_not_suit_are_refused() -> None:
    problem = make_problem("heat", {"cells": 4})
    samples = samples_of(problem, [{}])
    with pytest.raises(UserError, match="expected a fixed step"):
        started(problem, samples, TimeSettings(end=1.0, frames=2, cfl=0.5))


def test_a_chunk_stores_its_frames_and_reports_them(lab: Any) -> None:
    study = lab.transient("heat", {"cells": 4}, HEAT, TIME)
    lines: list[str] = []
    run_chunk(study.job, MPI.COMM_WORLD, Events(lines.append))
    events = [json.loads(line)["event"] for line in lines]
    assert events.count("committed") == 3
    assert "frame" in events
    assert study.store.committed() == {0, 1, 2}
    for index in range(3):
        study.store.verify(index)
        assert study.store.read(index, "temperature").shape == (6, 25)
        assert study.store.record(index).provenance.options["scheme"].startswith("Crank-Nicolson")


def test_a_problem_in_time_needs_times(lab: Any) -> None:
    study = lab.transient("heat", {"cells": 4}, [{}], TIME)
    job = study.job.model_copy(update={"time": None})
    with pytest.raises(UserError, match="expected output times for heat"):
        run_chunk(job, MPI.COMM_WORLD, Events(lambda _: None))
