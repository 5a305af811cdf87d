"""From the description of a dataset to the inputs of a surrogate, with their ranges."""

from collections.abc import Mapping
from dataclasses import replace

from infra.description import DatasetDescription
from infra.errors import UserError
from surrogates.inputs import InputSpec

__all__ = ["input_spec_of"]


def input_spec_of(
    description: DatasetDescription, bounds: Mapping[str, tuple[float, float]] | None = None
) -> InputSpec:
    """Return the inputs of a surrogate of this dataset.

    Parameters
    ----------
    description
        The dataset.
    bounds
        Ranges of parameters by name, in their units. Those that are not given have the range of
        the dataset's samples that have been drawn.

    Raises
    ------
    UserError
        If bounds are given for an unknown parameter, or there is nothing to take a range from.
    """
    names = [column.name for column in description.parameters]
    unknown = sorted(set(bounds or {}) - set(names))
    if unknown:
        raise UserError(
            f"Expected bounds of the parameters {names}; received them for {unknown}. Remove them."
        )
    given = bounds or {}
    ranges = {name: given.get(name) or _range(description, name) for name in names}
    times = tuple(float(t) for t in description.times)
    made = InputSpec.of(ranges, (times[0], times[-1]) if times else (0.0, 0.0))
    return replace(made, output_times=times)


def _range(description: DatasetDescription, name: str) -> tuple[float, float]:
    values = [sample.mu[name] for sample in description.drawn]
    if not values:
        raise UserError(
            f"Expected bounds of {name}, for no sample of {description.name} has been drawn yet; "
            "received none. Give them in the job (`bounds`)."
        )
    return min(values), max(values)
