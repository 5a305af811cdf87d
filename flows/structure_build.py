"""From full-order runs to a reduced structure: built, calibrated, judged by held-out runs."""

import time
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from flows.structure_data import StructureData
from infra.records import Sample
from rom.structures.held_out import calibrated
from rom.structures.judgement import JudgedRun, judge_run
from rom.structures.offline import build_structure
from rom.structures.published_parts import PLASTICITY, StructureParts
from rom.structures.trajectory import Trajectory

__all__ = ["BuiltStructure", "build_parts", "judge"]

# Told lines for people.
type Tell = Callable[[str], None]


@final
@dataclass(frozen=True, eq=False)
class BuiltStructure:
    """A reduced structure, and how it came about.

    Attributes
    ----------
    parts : its numbers
    training : runs that it knows
    trajectories : their histories
    judged : one entry for each held-out run
    seconds : of building, calibration and judging
    """

    parts: StructureParts
    training: tuple[Sample, ...]
    trajectories: tuple[Trajectory, ...]
    judged: tuple[JudgedRun, ...]
    seconds: float


def build_parts(data: StructureData, tell: Tell) -> BuiltStructure:
    """Build the model of all runs that are there.

    Parameters
    ----------
    data : the runs
    tell : told what is done

    Raises
    ------
    UserError
        If there are too few runs, or one does not fit.
    CubatureError
        If the cubature does not reach its tolerance.
    LocalIntegrationError
        If the law has no answer along a history.
    """
    begun, made, study = time.perf_counter(), data.made, data.study
    training = data.trained
    trajectories = tuple(data.trajectory(sample) for sample in training)
    model, report = build_structure(made.mesh, made.law, trajectories, study.model)
    tell(
        f"model of {len(training)} runs in {time.perf_counter() - begun:.1f} s: {model.rank} "
        f"modes, the law at {len(model.places)} of {made.mesh.n_material_points} points, cubature "
        f"residual {report.rule.residual:.1e}"
    )
    name = study.indicator.field or _usual(model.duals)
    indicator = calibrated(
        made.mesh, made.law, trajectories, study.model, name, study.indicator.level
    )
    tell(
        f"indicator of the {name.replace('_', ' ')}: {indicator.covered:.1%} of the errors of runs "
        f"that were left out are below it, {indicator.level:.1%} asked for"
    )
    space = made.space
    parts = StructureParts(
        model=model,
        indicator=indicator,
        problem=study.problem,
        settings=made.settings,
        times=made.times,
        steps=made.steps,
        points=space.to_unit(space.array([dict(sample.mu) for sample in training])),
        life=study.life,
    )
    judged = judge(parts, [data.trajectory(sample) for sample in data.held_out], tell)
    return BuiltStructure(parts, training, trajectories, judged, time.perf_counter() - begun)


def judge(
    parts: StructureParts, trajectories: Sequence[Trajectory], tell: Tell
) -> tuple[JudgedRun, ...]:
    """Return the errors of a model in runs that it has not seen."""
    judged = tuple(judge_run(parts, trajectory) for trajectory in trajectories)
    for field in judged[0].errors if judged else ():
        errors = [one.errors[field] for one in judged]
        tell(
            f"{field.replace('_', ' ')} in {len(judged)} held-out runs: error "
            f"{np.median(errors):.2%} in the median, {max(errors):.2%} at most"
        )
    return judged


def _usual(fields: Container[str]) -> str:
    return PLASTICITY if PLASTICITY in fields else "stress"
