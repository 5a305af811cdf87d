"""What a study asks for, before anything is written: samples, chunks, layout of the dataset."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from flows.columns import bundles
from flows.study import Study
from infra.errors import UserError
from infra.layout import Layout, required_bytes
from infra.records import Sample
from solvers.chunk import make_problem
from solvers.mesh import ReferenceMesh
from solvers.ordering import chunks, order
from solvers.parameters import ParameterSpace
from solvers.problem import Problem
from solvers.sampling import make_sampler
from solvers.snapshots import flow_layout
from solvers.steady_snapshots import steady_layout
from solvers.transient_snapshots import transient_layout

__all__ = ["Design", "design", "layout", "problem_and_space", "require_possible",
           "size_on_disk"]  # fmt: skip


@final
@dataclass(frozen=True)
class Design:
    """What a study asks for, before anything is written.

    Attributes
    ----------
    problem, space, samples : what is computed; samples that are drawn later have no `mu` yet
    chunks : sample indices of each chunk, neighbours in parameter space together
    """

    problem: Problem
    space: ParameterSpace
    samples: tuple[Sample, ...]
    chunks: tuple[tuple[int, ...], ...]


def design(study: Study) -> Design:
    """Choose samples and chunks; check everything that can be checked without computing.

    Raises
    ------
    UserError
        For an unknown problem, setting, parameter or method, bounds outside the problem's,
        several samples of which all would be equal, or samples that are impossible.
    """
    problem, space = problem_and_space(study)
    samples = tuple(
        make_sampler(study.sampling.method, space, study.sampling.seed).suggest(
            study.sampling.samples
        )
    )
    require_possible(problem, samples)
    parts = chunks(order(_features(problem, space, samples)), study.run.chunk_size)
    return Design(problem, space, samples, tuple(tuple(map(int, part)) for part in parts))


def problem_and_space(study: Study) -> tuple[Problem, ParameterSpace]:
    """Return the problem of a study and the box of its parameters.

    Raises
    ------
    UserError
        For an unknown problem, setting or parameter, bounds outside the problem's, or several
        samples of which all would be equal.
    """
    problem = make_problem(study.problem.name, study.problem.settings)
    space = _space(problem, study)
    _check_variety(study, space)
    return problem, space


def layout(study: Study, made: Design, mesh: ReferenceMesh, description: str = "") -> Layout:
    """Return the layout of the study's dataset.

    Parameters
    ----------
    study, made, mesh : what is computed
    description : the one sentence, if it is another than the study's
    """
    text = description or study.description
    content = {**study.content(), "description": text}
    attrs: Mapping[str, Any] = {"study": content, "description": text}
    # The arrays follow from the samples that are known; the others differ from them in `mu` only.
    known = [sample for sample in made.samples if sample.mu or not made.space.parameters]
    samples = [replace(sample, index=index) for index, sample in enumerate(known)]
    about = (study.name, made.problem, made.space, samples, mesh)
    if study.time is None:
        found = steady_layout(*about, attrs)
    else:
        of_kind = transient_layout if made.problem.kind == "transient" else flow_layout
        found = of_kind(*about, study.time.times(), attrs)
    return found if len(known) == len(made.samples) else replace(found, samples=made.samples)


def size_on_disk(study: Study, made: Design, mesh: ReferenceMesh) -> int:
    """Return an upper bound of the dataset's size in bytes."""
    return required_bytes(layout(study, made, mesh))


def _space(problem: Problem, study: Study) -> ParameterSpace:
    """Return the box of the study: parameters that it does not mention have their default.

    Those that make a random field vary over their whole range instead.
    """
    names = problem.random_parameters
    defaults = {name: value for name, value in problem.defaults.items() if name not in names}
    return problem.space().restrict({**defaults, **study.parameters})


def _check_variety(study: Study, space: ParameterSpace) -> None:
    count = study.sampling.samples
    if count > 1 and space.dimension == 0:
        known = ", ".join(bundle.text for bundle in bundles(space.names)) or "none"
        raise UserError(
            f"study {study.name}: expected a parameter with a range for {count} samples, received "
            f"only fixed ones: all samples would be equal. Give one of the parameters ({known}) a "
            "range {low, high}, or set sampling.samples to 1."
        )


def _features(
    problem: Problem, space: ParameterSpace, samples: Sequence[Sample]
) -> NDArray[np.float64]:
    """Return what the order goes by, (n_samples, d): neighbours have similar solutions."""
    mus = [sample.mu for sample in samples]
    found = problem.features(mus)
    return space.to_unit(space.array(mus)) if found is None else found


def require_possible(problem: Problem, samples: Sequence[Sample]) -> None:
    """Check that all samples can be computed.

    Raises
    ------
    UserError
        If one cannot; the message says why.
    """
    impossible = []
    for sample in samples:
        try:
            problem.check(sample.mu)
        except UserError as error:
            impossible.append((sample.index, str(error)))
    if impossible:
        index, text = impossible[0]
        raise UserError(
            f"{len(impossible)} of {len(samples)} samples cannot be computed; the first, "
            f"sample {index}: {text} Narrow the ranges in the study's parameters."
        )
