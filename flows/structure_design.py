"""The runs of a structure's study: problem, parameters, samples, and what all have in common."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from flows.structure_study import StructureStudy
from flows.text_form import validated
from infra.errors import UserError
from infra.records import Json, Sample
from rom.structures.offline import wanted_fields
from solvers.laws.description import law_from, to_dict
from solvers.laws.law import Law
from solvers.loads import LoadCase
from solvers.parameters import ParameterSpace
from solvers.problems.structures import structure_class
from solvers.problems.structures.problem import StructureCase, StructureProblem
from solvers.sampling import SobolSampler, make_sampler
from solvers.structure_mesh import StructureMesh

__all__ = ["StructureDesign", "structure_design", "structure_problem"]

# Tells the seed of held-out runs from that of the others.
_HELD_OUT = 1


@final
@dataclass(frozen=True, eq=False)
class StructureDesign:
    """See the module.

    Attributes
    ----------
    problem, settings : the problem and its complete settings
    space : all parameters, those that are fixed included
    mesh, law : of all runs
    times : output times of all runs, s
    steps : output times of a cycle
    training, held_out : parameters of the runs
    """

    problem: StructureProblem
    settings: Mapping[str, Json]
    space: ParameterSpace
    mesh: StructureMesh
    law: Law
    times: NDArray[np.float64]
    steps: int
    training: tuple[Sample, ...]
    held_out: tuple[Sample, ...]

    @property
    def samples(self) -> tuple[Sample, ...]:
        """All runs; those that are held out come last."""
        return (*self.training, *self.held_out)

    def loads(self, mu: Mapping[str, float]) -> LoadCase:
        """Return what acts in a run."""
        return self.problem.case(mu, self.mesh).loads


def structure_problem(name: str, settings: Mapping[str, Any]) -> StructureProblem:
    """Return a problem with settings as people write them.

    Raises
    ------
    UserError
        If there is no such problem or setting.
    """
    kind = structure_class(name)
    made: StructureProblem = kind(validated(kind.Settings, settings, f"settings of {name}"))
    return made


def structure_design(study: StructureStudy) -> StructureDesign:
    """Choose the runs, and check everything that can be checked without computing.

    Raises
    ------
    UserError
        For an unknown problem, setting or parameter, bounds outside the problem's, or parameters
        that change the law or the times.
    InvertedElementsError
        If the settings give no usable mesh.
    """
    problem = structure_problem(study.problem, study.settings)
    settings: Any = problem.settings  # type: ignore[attr-defined]
    space = problem.space().restrict({**problem.defaults, **study.parameters})
    if not space.free:
        raise UserError("parameters: expected at least one range {low, high}; all are fixed.")
    mesh = problem.mesh()
    first = _case(problem, mesh, space, [p.low for p in space.free])
    law = law_from(first.law if study.law is None else study.law)
    _require_fields(study, law)
    _require_alike(study, problem, mesh, space, first)
    seed = study.sampling.seed
    training = make_sampler(study.sampling.method, space, seed).suggest(study.sampling.samples)
    held = SobolSampler(space, _seed(seed)).suggest(study.validation)
    steps = (len(first.times) - 1) // int(settings.cycles)
    return StructureDesign(
        problem=problem,
        settings=settings.model_dump(mode="json"),
        space=space,
        mesh=mesh,
        law=law,
        times=first.times,
        steps=steps,
        training=tuple(training),
        held_out=tuple(
            Sample(len(training) + sample.index, sample.mu, sample.seed) for sample in held
        ),
    )


def _require_fields(study: StructureStudy, law: Law) -> None:
    """Refuse fields that the law does not have, and a model that could not answer."""
    names = wanted_fields(law, study.model)
    if "stress" not in names:
        raise UserError(
            "model.fields: expected the stress among them, of which answers are made; received "
            f"{', '.join(names) or 'none'}."
        )
    field = study.indicator.field
    if field is not None and field not in names:
        raise UserError(
            f"indicator.field: expected one of the fields of the model, {', '.join(names)}; "
            f"received {field}."
        )


def _require_alike(
    study: StructureStudy,
    problem: StructureProblem,
    mesh: StructureMesh,
    space: ParameterSpace,
    first: StructureCase,
) -> None:
    """Refuse parameters that change what a reduced structure has once: its law and its times."""
    low = [p.low for p in space.free]
    wrong = []
    for place, parameter in enumerate(space.free):
        other = _case(problem, mesh, space, [*low[:place], parameter.high, *low[place + 1 :]])
        same = study.law is not None or to_dict(law_from(other.law)) == to_dict(law_from(first.law))
        if not same or not np.array_equal(other.times, first.times):
            wrong.append(f"{parameter.name} changes the {'times' if same else 'law'}")
    if wrong:
        raise UserError(
            "parameters: expected ranges for parameters that change loads alone, for a reduced "
            f"structure has one law and one set of times; received: {'; '.join(wrong)}. Fix them "
            "at a number, and build a model for each."
        )


def _case(
    problem: StructureProblem, mesh: StructureMesh, space: ParameterSpace, row: list[float]
) -> StructureCase:
    return problem.case(space.mu(row), mesh)


def _seed(seed: int) -> int:
    return int(np.random.SeedSequence(seed, spawn_key=(_HELD_OUT,)).generate_state(1)[0])
