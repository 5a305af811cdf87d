"""What is asked of a model, and how much that is."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError
from rom.selection import Select
from rom.served_model import ServedModel
from rom.settings import Policy

__all__ = ["Question", "numbers_per_query", "time_count"]


@final
@dataclass(frozen=True, eq=False)
class Question:
    """Queries of one model.

    Attributes
    ----------
    mu
        Free parameters in units, (q, d), finite.
    times
        s; None: the output times of the training.
    select
        What is asked for.
    policy
        For queries out of range; None: that of the model.
    units
        Pairs of parameter and unit, to be checked.
    """

    mu: NDArray[np.float64]
    times: tuple[float, ...] | None
    select: Select
    policy: Policy | None = None
    units: tuple[tuple[str, str], ...] = ()


def time_count(model: ServedModel, question: Question) -> int:
    """Return the number of times of an answer."""
    return len(model.times) if question.times is None else len(question.times)


def numbers_per_query(model: ServedModel, question: Question) -> int:
    """Return how many numbers an answer holds for each query, or a bound on it.

    Raises
    ------
    UserError
        If something that is selected does not exist.
    """
    select, times = question.select, time_count(model, question)
    if select.kind == "coefficients":
        return times * model.rank
    if select.kind == "quantities":
        single = {q.name for q in model.card.quantities if not q.per_time}
        names = select.names or tuple(q.name for q in model.card.quantities)
        return sum(1 if name in single else times for name in names)
    sizes = {info.name: info.size for info in model.space.fields}
    unknown = [name for name in select.names if name not in sizes]
    if unknown:
        raise UserError(f"Expected fields out of {', '.join(sizes)}; received {unknown}.")
    names = select.names or tuple(sizes)
    if select.kind == "nodes":
        return times * len(names) * len(select.nodes)
    if select.kind == "probes":
        return times * len(names) * len(select.points)
    return times * sum(sizes[name] for name in names)
