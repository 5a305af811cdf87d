"""The steady model: bad samples by name, clean states, blocks of one operator, certificates."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, final

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
from solvers.problem import Problem, ProblemSettings
from solvers.settings import LinearSettings, TimeSettings
from solvers.steady import SteadyModel
from solvers.steady_case import Robin, SteadyCase, TransportEquation, constant
from solvers.steady_snapshots import steady_layout
from solvers.worker import Events, run_chunk

ORIGIN = Provenance("unknown", False, {}, {}, 0, "here", 1, "", "")


@final
class Faulty(Problem):
    """Darcy with one sample whose coefficients are changed by a function."""

    name: ClassVar[str] = "faulty"
    title: ClassVar[str] = "Faulty"
    kind: ClassVar[Literal["flow", "steady"]] = "steady"
    Settings: ClassVar[type[ProblemSettings]] = ProblemSettings

    def __init__(self, change: Callable[[SteadyCase], SteadyCase], at: float = 13.0) -> None:
        self._inner = make_problem("darcy", {"cells": 6, "modes": 4})
        self._change, self._at = change, at

    @property
    def defaults(self) -> Mapping[str, float]:
        return self._inner.defaults

    def space(self) -> ParameterSpace:
        return self._inner.space()

    def reference_mesh(self) -> ReferenceMesh:
        return self._inner.reference_mesh()

    def case(self, mu: Mapping[str, float], mesh: ReferenceMesh) -> SteadyCase:
        case = self._inner.case(mu, mesh)
        assert isinstance(case, SteadyCase)
        return self._change(case) if mu["contrast"] == self._at else case


@dataclass
class Run:
    """Samples of one model, computed in this process."""

    model: SteadyModel
    layout: Any
    shelf: dict[int, Trajectory]

    def compute(self, sample: Sample) -> SolveReport:
        with MemorySink(self.layout.description, sample, self.shelf) as sink:
            report = self.model.solve(sample, sink)
            sink.commit(report, ORIGIN)
            return report


def started(problem: Problem, samples: Sequence[Sample], **linear: Any) -> Run:
    mesh = problem.reference_mesh()
    layout = steady_layout("x", problem, problem.space(), samples, mesh, {})
    model = SteadyModel(problem, mesh, MPI.COMM_SELF, LinearSettings(**linear))
    return Run(model, layout, {})


def samples_of(problem: Problem, mus: Sequence[Mapping[str, float]]) -> list[Sample]:
    return [Sample(i, {**problem.defaults, **mu}, i) for i, mu in enumerate(mus)]


def with_equation(change: Callable[[TransportEquation], Mapping[str, Any]]) -> Any:
    def changed(case: SteadyCase) -> SteadyCase:
        equation = case.equation
        assert isinstance(equation, TransportEquation)
        return replace(case, equation=replace(equation, **change(equation)))

    return changed


def first(values: FloatArray, value: float) -> FloatArray:
    changed = values.copy()
    changed[0] = value
    return changed


FAULTS: dict[str, tuple[Any, str, str]] = {
    "NaN in a coefficient": (
        with_equation(lambda e: {"diffusion": first(e.diffusion, np.nan)}),
        "coefficients", "diffusion: expected finite values",
    ),
    "infinite source": (
        with_equation(lambda e: {"source": first(e.source, np.inf)}),
        "coefficients", "source: expected finite values",
    ),
    "NaN in boundary data": (
        with_equation(lambda _: {"robin": (Robin("left", constant(np.nan)),)}),
        "coefficients", "data on left: expected finite values",
    ),
    "infinite exchange": (
        with_equation(lambda _: {"robin": (Robin("top", constant(0.0), constant(np.inf)),)}),
        "coefficients", "exchange on top: expected finite values",
    ),
    "singular matrix": (with_equation(lambda e: {"diffusion": 0.0 * e.diffusion}), "", "expected"),
    "indefinite matrix": (with_equation(lambda e: {"diffusion": -e.diffusion}), "", "expected"),
}  # fmt: skip


@pytest.mark.parametrize("method", ["auto", "direct"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_sample_is_named_and_the_next_one_is_not_affected(fault: str, method: str) -> None:
    change, reason, text = FAULTS[fault]
    problem = Faulty(change)
    samples = samples_of(problem, [{"contrast": c} for c in (5.0, 13.0, 40.0)])
    run = started(problem, samples, method=method, cost="operations")
    run.compute(samples[0])
    with pytest.raises(SampleError, match=text) as caught:
        run.compute(samples[1])
    assert reason in (caught.value.reason, "")
    run.compute(samples[2])
    assert set(run.shelf) == {0, 2}
    alone = started(problem, samples, method=method, cost="operations")
    alone.compute(samples[2])
    np.testing.assert_allclose(
        run.shelf[2].values["pressure"], alone.shelf[2].values["pressure"], rtol=1e-6, atol=1e-12
    )


def test_the_first_sample_may_be_bad_too() -> None:
    problem = Faulty(FAULTS["NaN in a coefficient"][0])
    samples = samples_of(problem, [{"contrast": 13.0}, {"contrast": 5.0}])
    run = started(problem, samples)
    with pytest.raises(CoefficientError):
        run.model.solve(samples[0], None)
    run.model.solve(samples[1], None)


def test_what_a_problem_refuses_fails_its_sample() -> None:
    problem = make_problem("darcy", {"cells": 4, "modes": 2})
    samples = samples_of(problem, [{}, {"xi_0": 0.0}])
    run = started(problem, samples)
    with pytest.raises(CoefficientError, match="that is not zero"):
        run.model.solve(samples[1], None)


@pytest.mark.parametrize("name", ["darcy", "darcy-fv", "convection-diffusion"])
def test_every_solution_carries_its_true_residual(name: str) -> None:
    problem = make_problem(name, {"cells": 8, "modes": 4})
    samples = samples_of(problem, [{}, {"xi_1": 1.0}])
    run = started(problem, samples, rtol=1e-9)
    for sample in samples:
        report = run.compute(sample)
        stored = float(run.shelf[sample.index].values["residual"])
        assert 0 <= stored <= 1.01e-9
        assert report.values["residual"] == stored


def test_a_solution_of_zero_data_is_zero() -> None:
    problem = make_problem("poisson", {"cells": 4})
    samples = samples_of(problem, [{"source_0": 0.0}])
    run = started(problem, samples)
    run.compute(samples[0])
    assert not run.shelf[0].values["solution"].any()


MUS = [{"source_1": 0.1 * i, "boundary_3": 0.3 - 0.05 * i} for i in range(20)]


def blocks(samples: Sequence[Sample], expected: Sequence[Sample], **linear: Any) -> Run:
    run = started(make_problem("poisson", {"cells": 8}), samples, **linear)
    run.model.expect(expected)
    return run


def test_expected_samples_of_one_operator_are_solved_with_one_factorisation() -> None:
    samples = samples_of(make_problem("poisson", {}), MUS)
    run = blocks(samples, samples)
    reports = [run.compute(sample) for sample in samples]
    assert sum(report.counts["setups"] for report in reports) == 1
    assert all(report.counts["iterations"] == 0 for report in reports)


def test_blocks_change_no_solution() -> None:
    samples = samples_of(make_problem("poisson", {}), MUS)
    together, apart = blocks(samples, samples), blocks(samples, [])
    for sample in samples:
        together.compute(sample)
        apart.compute(sample)
        one, other = (run.shelf[sample.index].values["solution"] for run in (together, apart))
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


def test_samples_come_in_any_order_whatever_was_expected() -> None:
    samples = samples_of(make_problem("poisson", {}), MUS[:5])
    run = blocks(samples, [samples[0], samples[1], samples[4]])
    for i in (0, 3, 4, 2, 1):
        run.compute(samples[i])
    direct = blocks(samples, [])
    for sample in samples:
        direct.compute(sample)
        one, other = (r.shelf[sample.index].values["solution"] for r in (run, direct))
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("bad", "reason", "text"),
    [
        ({"source_1": np.nan}, "coefficients", "source: expected finite values"),
        ({"boundary_1": np.nan}, "coefficients", "prescribed values: expected finite values"),
        # Its values are finite and their squares are not: the block sees it, no check before.
        ({"source_1": 1e200}, "not-finite", "right-hand side of the poisson system"),
    ],
)
def test_a_bad_sample_of_a_block_fails_when_it_is_due(
    bad: Mapping[str, float], reason: str, text: str
) -> None:
    problem = make_problem("poisson", {"cells": 4})
    samples = samples_of(problem, [{}, bad, {"source_2": 0.5}])
    layout_samples = [samples[0], replace(samples[1], mu=samples[0].mu), samples[2]]
    run = started(problem, layout_samples)
    run.model.expect(samples)
    run.compute(samples[0])
    with pytest.raises(SampleError, match=text) as caught:
        run.model.solve(samples[1], None)
    assert caught.value.reason == reason
    run.compute(samples[2])
    assert set(run.shelf) == {0, 2}


@pytest.mark.parametrize("method", ["auto", "direct"])
def test_a_tolerance_that_no_sample_of_a_block_can_reach_is_named(method: str) -> None:
    samples = samples_of(make_problem("poisson", {}), MUS[:3])
    run = blocks(samples, samples, method=method, rtol=1e-17)
    for sample in samples:
        with pytest.raises(SampleError, match=r"linear\.rtol") as caught:
            run.model.solve(sample, None)
        assert caught.value.reason == "tolerance-below-round-off"


@pytest.mark.parametrize("name", ["darcy", "poisson"])
def test_a_chunk_stores_samples_and_records_failures(lab: Any, name: str) -> None:
    bad = {"darcy": {"xi_0": 0.0}, "poisson": {}}[name]
    study = lab.steady(
        name, {"cells": 4, **({"modes": 2} if name == "darcy" else {})}, [{}, bad, {}]
    )
    lines: list[str] = []
    run_chunk(study.job, MPI.COMM_WORLD, Events(lines.append))
    events = [json.loads(line)["event"] for line in lines]
    failed = {1} if name == "darcy" else set()
    assert study.store.committed() == {0, 1, 2} - failed
    assert {i: f.reason for i, f in study.store.failures().items()} == dict.fromkeys(
        failed, "coefficients"
    )
    assert events.count("started") == 3
    assert "frame" not in events
    for index in study.store.committed():
        study.store.verify(index)
        options = study.store.record(index).provenance.options
        assert options["linear_rtol"] == "1e-08"


def test_a_rerun_computes_what_is_missing_only(lab: Any) -> None:
    study = lab.steady("poisson", {"cells": 4}, [{}, {"source_1": 1.0}, {"source_2": 1.0}])
    lines: list[str] = []
    for samples in ((1,), (0, 1, 2)):
        job = study.job.model_copy(update={"samples": samples})
        run_chunk(job, MPI.COMM_WORLD, Events(lines.append))
    events = [(json.loads(line)["event"], json.loads(line)["sample"]) for line in lines]
    assert [e for e in events if e[0] != "started"] == [
        ("committed", 1),
        ("committed", 0),
        ("skipped", 1),
        ("committed", 2),
    ]


def test_times_do_not_fit_a_steady_problem(lab: Any) -> None:
    study = lab.steady("poisson", {"cells": 4}, [{}])
    job = study.job.model_copy(update={"time": TimeSettings(end=1.0, frames=2, step=0.5)})
    with pytest.raises(UserError, match="expected no output times for poisson"):
        run_chunk(job, MPI.COMM_WORLD, Events(lambda _: None))


def test_a_method_that_does_not_suit_the_matrix_is_wrong_input(lab: Any) -> None:
    study = lab.steady("darcy", {"cells": 4, "modes": 2}, [{}], method="ilu-gmres")
    with pytest.raises(UserError, match="ilu-gmres"):
        run_chunk(study.job, MPI.COMM_WORLD, Events(lambda _: None))
