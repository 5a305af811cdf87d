"""Samplers: which parameters to compute. The methods live in `solvers.samplers`, one per file.

A new method is a class with `_mus`, and a line in `METHODS` if a parameter space and a seed are
enough to make it.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from infra.errors import UserError
from solvers.parameters import ParameterSpace
from solvers.samplers.box import LatinHypercubeSampler, SobolSampler, UniformSampler
from solvers.samplers.breed import BreedSampler, BreedSettings
from solvers.samplers.grid import GridSampler
from solvers.samplers.random_field import GaussianRandomFieldSampler
from solvers.samplers.sampler import Sampler

__all__ = [
    "METHODS",
    "BreedSampler",
    "BreedSettings",
    "GaussianRandomFieldSampler",
    "GridSampler",
    "LatinHypercubeSampler",
    "Sampler",
    "SobolSampler",
    "UniformSampler",
    "make_sampler",
]

METHODS: Mapping[str, Callable[[ParameterSpace, int], Sampler]] = MappingProxyType(
    {
        "sobol": SobolSampler,
        "latin-hypercube": LatinHypercubeSampler,
        "uniform": UniformSampler,
        "grid": GridSampler,
    }
)


def make_sampler(method: str, space: ParameterSpace, seed: int) -> Sampler:
    """Return the sampler that a study names.

    Raises
    ------
    UserError
        If the method is unknown, or needs a training; the message lists the valid names.
    """
    if method == "breed":
        raise UserError(
            "breed needs a training: it draws samples where a surrogate learns badly, with "
            "`romflow run train-surrogate-online`. Expected a sampling method out of "
            f"{', '.join(METHODS)} here"
        )
    if method not in METHODS:
        raise UserError(
            f"expected a sampling method out of {', '.join(METHODS)}; received {method!r}"
        )
    return METHODS[method](space, seed)
