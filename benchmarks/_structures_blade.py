"""Reduced structures under temperature fields that they have not seen: indicator and enrichment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import final

import numpy as np
from _report import Report, middle
from _structures_figure import Curves, draw
from _structures_full import FIELD
from numpy.typing import NDArray

from rom.structures.enriched_run import EnrichedRun, EnrichmentOptions, begin
from rom.structures.enrichment import Enricher
from rom.structures.full_step import FullState
from rom.structures.held_out import calibrated, relative_error
from rom.structures.indicator import StructureIndicator
from rom.structures.model import ReducedStructure
from rom.structures.offline import build_structure
from rom.structures.online import ReducedStepError, run
from rom.structures.reconstruction import reconstruct, values_at_points
from rom.structures.settings import StructureSettings
from rom.structures.state import ReducedState
from rom.structures.trajectory import Trajectory
from solvers.backend import MPI
from solvers.laws.description import law_from
from solvers.loads import LoadCase
from solvers.problems.structures.blade import Blade, BladeSettings
from solvers.problems.structures.problem import StructureCase
from solvers.structures.model import StructureModel
from solvers.structures.state import StructureState
from solvers.structures.state_files import History

__all__ = ["Scale", "compare_fields"]

# Where the temperature fields of training and held-out runs are drawn from.
_BOX = {"hot": (880.0, 1000.0), "spot": (0.2, 0.5), "leading_edge": (0.1, 0.5)}
# The new one: the hot spot is where it never was.
_NEW = {"hot": 1000.0, "spot": 0.8, "leading_edge": 0.3}
_SETTINGS = StructureSettings(
    displacement_tolerance=1e-4,
    stress_tolerance=1e-3,
    cubature_tolerance=1e-4,
    dual_tolerance=1e-4,
)
# Part of the steps that may be of high fidelity.
_FULL_PART = 0.1

type _Floats = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Scale:
    """How large the comparison is.

    Attributes
    ----------
    shape : settings of the blade
    training, held_out : numbers of temperature fields
    tolerance : of the indicator
    coverage : bounds of the target
    gain : least ratio of errors, as built over enriched; both the largest and those at the end
    """

    shape: Mapping[str, int]
    training: int
    held_out: int
    tolerance: float
    coverage: tuple[float, float] = (0.90, 0.99)
    gain: float = 10.0


@final
@dataclass(frozen=True, eq=False)
class _Truth:
    """A full-order run.

    Attributes
    ----------
    case : what was computed
    displacement : (T + 1, N, 3) mm
    plasticity : (T + 1, G, 1)
    """

    case: StructureCase
    displacement: _Floats
    plasticity: _Floats

    @property
    def trajectory(self) -> Trajectory:
        """All that a reduced model may know of it."""
        return Trajectory(self.case.times, self.displacement, self.case.loads)

    def error(self, found: _Floats, step: int, size: float) -> float:
        """Return the true error of the plasticity of a step."""
        return relative_error(
            found, self.plasticity[step], self.case.mesh.material_weights, size
        )  # fmt: skip


@final
class _Solver:
    """The full-order model as the solver of single steps."""

    def __init__(self, case: StructureCase) -> None:
        self._loads = case.loads
        self._model = StructureModel(case.mesh, law_from(case.law), case.loads, MPI.COMM_SELF)
        self.seconds: list[float] = []

    def __call__(self, restart: FullState, loads: LoadCase, time: float) -> FullState:
        """Return the state at a later time."""
        assert loads is self._loads, "the model was made for the loads of the case"
        clock = perf_counter()
        before = StructureState(
            restart.time,
            restart.displacement,
            restart.internal,
            restart.stress,
            restart.temperature,
        )
        after, _ = self._model.advance(before, time)
        self.seconds.append(perf_counter() - clock)
        return FullState(
            after.time, after.displacement, after.stress, after.internal, after.temperature
        )

    def run(self, times: _Floats) -> History:
        """Return all states."""
        history = History()
        self._model.run(times, history)
        return history

    def destroy(self) -> None:
        """Free PETSc's objects."""
        self._model.destroy()


@final
@dataclass(frozen=True, eq=False)
class _Reduced:
    """A reduced run: errors and indicator of all steps, (T,), and median seconds of both."""

    errors: _Floats
    eta: _Floats
    step: float
    judging: float


def compare_fields(report: Report, scale: Scale) -> None:
    """Calibrate on some fields, judge on others, and enrich on a new one."""
    blade = Blade(BladeSettings.model_validate(scale.shape))
    mesh, rng = blade.mesh(), np.random.default_rng(6)
    truths = [_truth(blade.case(_drawn(rng), mesh)) for _ in range(scale.training + scale.held_out)]
    law = law_from(truths[0].case.law)
    training = [truth.trajectory for truth in truths[: scale.training]]
    clock = perf_counter()
    model, _ = build_structure(mesh, law, training, _SETTINGS)
    built = perf_counter() - clock
    clock = perf_counter()
    indicator = calibrated(mesh, law, training, _SETTINGS, FIELD)
    seconds = built, perf_counter() - clock
    _introduce(report, scale, model, indicator, seconds)
    held = [_reduced(model, indicator, truth) for truth in truths[scale.training :]]
    _judge(report, scale, held, truths[scale.training :], indicator)
    _enrich(report, scale, model, indicator, _truth(blade.case(_NEW, mesh)))


def _drawn(rng: np.random.Generator) -> dict[str, float]:
    return {name: float(rng.uniform(low, high)) for name, (low, high) in _BOX.items()}


def _truth(case: StructureCase) -> _Truth:
    solver = _Solver(case)
    history = solver.run(case.times)
    solver.destroy()
    column = law_from(case.law).column(FIELD)
    return _Truth(case, history.displacement, history.internal[:, :, column])


def _reduced(model: ReducedStructure, indicator: StructureIndicator, truth: _Truth) -> _Reduced:
    """Run without enrichment; a run that stops has the error one from there on."""
    case = truth.case
    loads, states, clocks = model.loads(case.loads), [], [perf_counter()]
    try:
        for state, _ in run(model, loads, model.start(), case.times[1:]):
            states.append(state)
            clocks.append(perf_counter())
    except ReducedStepError:
        pass
    errors, eta = np.ones(len(case.times) - 1), np.full(len(case.times) - 1, np.inf)
    judging, previous = [], None
    for i, state in enumerate(states):
        clock = perf_counter()
        eta[i] = _eta(model, indicator, state)
        judging.append(perf_counter() - clock)
        previous = reconstruct(model, state, FIELD, previous).values
        errors[i] = truth.error(previous, i + 1, indicator.size)
    return _Reduced(errors, eta, middle(np.diff(clocks).tolist()), middle(judging))


def _eta(model: ReducedStructure, indicator: StructureIndicator, state: ReducedState) -> float:
    values = values_at_points(model, state, indicator.name)
    return indicator(model.dual(indicator.name).gappy.residual(values))


def _introduce(
    report: Report,
    scale: Scale,
    model: ReducedStructure,
    indicator: StructureIndicator,
    seconds: tuple[float, float],
) -> None:
    mesh = model.mesh
    report.section("New temperature fields on the blade")
    box = ", ".join(f"{name} {low:g} to {high:g}" for name, (low, high) in _BOX.items())
    report.note(
        f"{len(mesh.cells)} hexahedra, {mesh.n_nodes} nodes, {mesh.n_material_points} material "
        f"points. {scale.training} training fields and {scale.held_out} held-out ones are drawn "
        f"from {box}. The model has {model.rank} modes and {len(model.places)} points; building "
        f"took {seconds[0]:.1f} s, the calibration, leaving out one field at a time, "
        f"{seconds[1]:.1f} s. The indicator asks for {indicator.level:.0%}: log eta = "
        f"{indicator.intercept:.2f} + {indicator.slope:.2f} log R + {indicator.quantile:.2f}."
    )


def _judge(
    report: Report,
    scale: Scale,
    held: Sequence[_Reduced],
    truths: Sequence[_Truth],
    indicator: StructureIndicator,
) -> None:
    """Tell coverage and cost; steps without plasticity, where nothing can go wrong, are left."""
    rows, all_covered = [], []
    for number, (found, truth) in enumerate(zip(held, truths, strict=True)):
        flows = truth.plasticity[1:].any(axis=(1, 2))
        covered = (found.errors <= found.eta)[flows]
        ratio = (found.eta / np.maximum(found.errors, 1e-15))[flows]
        all_covered.append(covered)
        rows.append(
            [number, float(found.errors.max()), float(covered.mean()), float(np.median(ratio))]
        )
    report.table(["held-out field", "largest error of p", "covered", "median eta / error"], rows)
    coverage = float(np.concatenate(all_covered).mean())
    cost = middle([found.judging / found.step for found in held])
    report.note(
        f"A reduced step takes {1e3 * middle([found.step for found in held]):.3g} ms, the "
        f"indicator {1e6 * middle([found.judging for found in held]):.3g} us. Leaving out one "
        f"training field at a time covered {indicator.covered:.3f}."
    )
    report.within("blade-coverage", coverage, *scale.coverage)
    report.at_most("blade-indicator-cost", cost, 0.05)


def _enrich(
    report: Report,
    scale: Scale,
    model: ReducedStructure,
    indicator: StructureIndicator,
    truth: _Truth,
) -> None:
    case, plain = truth.case, _reduced(model, indicator, truth)
    steps, solver = len(case.times) - 1, _Solver(case)
    options = EnrichmentOptions(tolerance=scale.tolerance, budget=int(_FULL_PART * steps))
    enricher = Enricher(model, case.loads, solver, options, _SETTINGS)
    clock = perf_counter()
    runs = list(enricher.run(begin(model, indicator, case.loads), case.times[1:]))
    seconds = perf_counter() - clock
    solver.destroy()
    last, errors = runs[-1], _errors(runs, truth, indicator.size)
    eta = np.array([record.eta for record in last.records])
    full = np.array([record.level == "full" for record in last.records])
    names = ", ".join(f"{name} {value:g}" for name, value in _NEW.items())
    report.section(f"A field outside of the training: {names}")
    report.table(
        ["model", "largest error of p", "at the end", "high-fidelity steps", "modes", "points"],
        [
            ["as built", *_ends(plain.errors), 0, model.rank, len(model.places)],
            ["enriched", *_ends(errors), int(full.sum()), last.model.rank, len(last.model.places)],
        ],
    )
    report.note(
        f"Of {steps} steps; tolerance of the indicator {scale.tolerance:g}. Errors are relative in "
        "L2 at each time; below a hundredth of the training's largest norm relative to that. The "
        f"enriched run took {seconds:.1f} s, {sum(solver.seconds):.1f} s of it in the full-order "
        f"model; {sum(not record.trusted for record in last.records)} steps were kept above the "
        "tolerance because no high-fidelity step was left. The indicator sees what the bases "
        "cannot express now: an error made before a high-fidelity step goes on from its restart, "
        "and is not told any more."
    )
    name = report.path.stem.replace("rom_structures", "rom_structures_enrichment")
    picture = report.path.with_name(f"{name}.png")
    draw(
        Curves(case.times[1:], plain.errors, plain.eta, errors, eta, full, scale.tolerance), picture
    )
    report.note(f"![indicator and true error over time]({picture.name})")
    report.at_least("blade-unenriched-error", float(plain.errors.max()), 0.2)
    report.at_least("blade-gain-largest", float(plain.errors.max() / errors.max()), scale.gain)
    report.at_least("blade-gain-end", float(plain.errors[-1] / errors[-1]), scale.gain)
    report.at_most("blade-full-steps", float(full.mean()), _FULL_PART)


def _errors(runs: Sequence[EnrichedRun], truth: _Truth, size: float) -> _Floats:
    """Return the true errors (T,) of the plasticity that an enriched run gives."""
    errors, previous = [], None
    for i, one in enumerate(runs, start=1):
        previous = reconstruct(one.model, one.state, FIELD, previous).values
        errors.append(truth.error(previous, i, size))
    return np.array(errors)


def _ends(errors: _Floats) -> tuple[float, float]:
    return float(errors.max()), float(errors[-1])
