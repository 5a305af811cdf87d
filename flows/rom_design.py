"""The samples of a reduced model's dataset: to build from, held out, and left open for later."""

from dataclasses import replace

import numpy as np

from flows.design import Design, problem_and_space, require_possible
from flows.rom_study import RomStudy
from infra.records import Sample
from solvers.ordering import chunks, order
from solvers.parameters import ParameterSpace
from solvers.problem import Problem
from solvers.sampling import SobolSampler, make_sampler

__all__ = ["rom_design", "with_rounds"]

# Tell the seeds of held-out samples, and of later ones, from that of the others.
_HELD_OUT, _LATER = 1, 2


def rom_design(rom: RomStudy) -> Design:
    """Return all samples, and the chunks of those that are fixed beforehand.

    The held-out samples fill the box by a design of their own. The later ones have no parameters
    yet, and no chunk.

    Raises
    ------
    UserError
        See `flows.design.problem_and_space`; also if a sample cannot be computed.
    """
    problem, space = problem_and_space(rom.data)
    sampling = rom.study.sampling
    mine = make_sampler(sampling.method, space, sampling.seed).suggest(sampling.samples)
    held = SobolSampler(space, _seed(sampling.seed, _HELD_OUT)).suggest(rom.validation)
    later = SobolSampler(space, _seed(sampling.seed, _LATER)).suggest(rom.later)
    require_possible(problem, [*mine, *held])
    first = len(mine) + len(held)
    samples = (
        *mine,
        *(replace(sample, index=len(mine) + sample.index) for sample in held),
        *(Sample(first + sample.index, {}, sample.seed) for sample in later),
    )
    size = rom.study.run.chunk_size
    parts = [
        part
        for group in (samples[: len(mine)], samples[len(mine) : first])
        for part in _chunks(problem, space, group, size)
    ]
    return Design(problem, space, samples, tuple(parts))


def with_rounds(made: Design, rounds: tuple[tuple[int, ...], ...], size: int) -> Design:
    """Return the design with the chunks of samples that were drawn later.

    Parameters
    ----------
    made : of the samples that are fixed beforehand
    rounds : indices of the samples of each round; more rounds leave the earlier chunks as they are
    size : most samples of a chunk
    """
    more = [part[i : i + size] for part in rounds for i in range(0, len(part), size)]
    return replace(made, chunks=(*made.chunks, *more))


def _chunks(
    problem: Problem, space: ParameterSpace, samples: tuple[Sample, ...], size: int
) -> list[tuple[int, ...]]:
    """Put neighbours in parameter space together."""
    if not samples:
        return []
    mus = [sample.mu for sample in samples]
    features = problem.features(mus)
    found = space.to_unit(space.array(mus)) if features is None else features
    return [tuple(samples[i].index for i in part) for part in chunks(order(found), size)]


def _seed(seed: int, key: int) -> int:
    return int(np.random.SeedSequence(seed, spawn_key=(key,)).generate_state(1)[0])
