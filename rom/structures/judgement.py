r"""How well a structure answers for runs that it has not seen.

The error of a field in a run is

.. math::
   \max_t \|f(t) - f^*(t)\| / \max_t \|f^*(t)\|

in L2, with the displacement at nodes and von Mises stress and plasticity at the material points;
that of a quantity the root mean square over all runs and times, relative to its deviation. Numbers
of cycles differ by decades: their error is the root mean square of the difference of log N, about
their relative error, over the times at which N or its answer is below the cap of
`rom.structures.life`. The indicator is held against its own error at each step
(`rom.structures.held_out`); steps without plasticity, where nothing can go wrong, do not count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from rom.products import SparseProduct
from rom.structures.full_response import full_frames
from rom.structures.held_out import relative_error, true_field
from rom.structures.life import CYCLES, MOST_CYCLES
from rom.structures.mass import mass_matrix
from rom.structures.online import ReducedStepError, run
from rom.structures.published_parts import PLASTICITY, StructureParts
from rom.structures.query import reduced_frames
from rom.structures.reconstruction import reconstruct, values_at_points
from rom.structures.response import PointFrame, StructureResponse
from rom.structures.state import ReducedState
from rom.structures.trajectory import Trajectory
from solvers.laws.mandel import von_mises

__all__ = ["JudgedRun", "judge_run", "quantity_errors"]

type _Floats = NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class JudgedRun:
    """One run that the model has not seen.

    Attributes
    ----------
    errors
        By field: displacement, von_mises and, where the law has it, accumulated_plasticity; one
        if the reduced run stopped.
    eta, own
        Indicator and its own error at the steps at which something flows, (k,); infinite and one
        at all of them if the reduced run stopped: such a run has no answer, and is not covered.
    truth, found
        Responses of both models; `found` is None if the reduced run stopped.
    """

    errors: Mapping[str, float]
    eta: _Floats
    own: _Floats
    truth: StructureResponse
    found: StructureResponse | None


def judge_run(parts: StructureParts, trajectory: Trajectory) -> JudgedRun:
    """Return the errors of a model in one run.

    Parameters
    ----------
    parts
        The model.
    trajectory
        A full-order run.
    """
    exact = list(full_frames(parts, trajectory))
    truth = parts.maker()(trajectory.times, exact)
    model = parts.model
    loads, start = model.loads(trajectory.loads), model.start(float(trajectory.times[0]))
    states = [start]
    try:
        states += [state for state, _ in run(model, loads, start, trajectory.times[1:])]
    except ReducedStepError:
        lost = dict.fromkeys(_fields(exact[0]), 1.0)
        count = max(1, _flowing(parts, trajectory))
        return JudgedRun(lost, np.full(count, np.inf), np.ones(count), truth, None)
    frames = list(reduced_frames(parts, loads, states))
    eta, own = _indicated(parts, trajectory, states)
    found = parts.maker()(trajectory.times, frames)
    return JudgedRun(_errors(parts, frames, exact), eta, own, truth, found)


def quantity_errors(judged: Sequence[JudgedRun]) -> dict[str, float]:
    """Return the errors of the quantities, see the module; runs that stopped do not count.

    What was not measured has no entry: numbers of cycles that are never below their cap.
    """
    pairs = [(one.truth.quantities, one.found.quantities) for one in judged if one.found]
    errors: dict[str, float] = {}
    for name in pairs[0][0] if pairs else ():
        exact = np.concatenate([truth[name] for truth, _ in pairs])
        found = np.concatenate([answer[name] for _, answer in pairs])
        if name == CYCLES:
            errors |= _of_cycles(exact, found)
            continue
        spread = float(exact.std())
        away = float(np.sqrt(np.mean((found - exact) ** 2)))
        errors[name] = away / spread if spread > 0.0 else 0.0
    return errors


def _of_cycles(exact: _Floats, found: _Floats) -> dict[str, float]:
    below = np.minimum(exact, found) < MOST_CYCLES
    away = np.log(found[below] / exact[below])
    return {CYCLES: float(np.sqrt(np.mean(away**2)))} if below.any() else {}


def _flowing(parts: StructureParts, trajectory: Trajectory) -> int:
    """Return the number of steps at which something flows."""
    model, name = parts.model, parts.indicator.name
    return sum(bool(f.any()) for f in true_field(model.mesh, model.law, trajectory, name))


def _indicated(
    parts: StructureParts, trajectory: Trajectory, states: Sequence[ReducedState]
) -> tuple[_Floats, _Floats]:
    """Return indicator and its own error at the steps at which something flows."""
    model, indicator = parts.model, parts.indicator
    exact = true_field(model.mesh, model.law, trajectory, indicator.name)
    volumes, fit = model.mesh.material_weights, model.dual(indicator.name).gappy
    eta, own = [], []
    previous: _Floats | None = None
    for state, field in zip(states[1:], exact, strict=True):
        previous = reconstruct(model, state, indicator.name, previous).values
        if field.any():
            eta.append(indicator(fit.residual(values_at_points(model, state, indicator.name))))
            own.append(relative_error(previous, field, volumes, indicator.size))
    return np.array(eta), np.array(own)


def _errors(
    parts: StructureParts, frames: Sequence[PointFrame], exact: Sequence[PointFrame]
) -> dict[str, float]:
    mesh = parts.model.mesh
    length, volumes = SparseProduct(mass_matrix(mesh)), mesh.material_weights
    found = {name: np.stack([_fields(f)[name] for f in frames]) for name in _fields(frames[0])}
    true = {name: np.stack([_fields(f)[name] for f in exact]) for name in found}

    def norms(name: str, values: _Floats) -> _Floats:
        if name == "displacement":
            return np.asarray(length.norms(values.T))
        return np.sqrt(np.square(values) @ volumes)

    errors = {}
    for name, values in found.items():
        size = float(norms(name, true[name]).max())
        away = float(norms(name, values - true[name]).max())
        errors[name] = away / size if size > 0.0 else 0.0
    return errors


def _fields(frame: PointFrame) -> dict[str, _Floats]:
    """Return what is compared, each as a vector."""
    fields = {
        "displacement": frame.displacement.reshape(-1),
        "von_mises": von_mises(frame.stress),
    }
    return fields if frame.plasticity is None else {**fields, PLASTICITY: frame.plasticity}
