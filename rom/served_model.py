"""What the query service asks of a model, whatever is behind it, and how models answer."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from infra.field_space import FieldSpace
from rom.answer import Answer, Gradient
from rom.model_card import ModelCard
from rom.parameter_map import ParameterMap
from rom.selection import Select
from rom.settings import Policy
from rom.trust.trust import Judgement

__all__ = ["ServedModel", "answer_of"]

type _Floats = NDArray[np.float64]


class ServedModel(Protocol):
    """A published model: `rom.reduced_model.ReducedModel`, or a structure.

    It never changes and may be used by several threads at once.

    Attributes
    ----------
    card
        What it says about itself.
    version
        In its registry; 0: it is not published.
    parameters
        The map to unit coordinates.
    """

    card: ModelCard
    version: int
    parameters: ParameterMap

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def times(self) -> _Floats:
        """Output times, (T,), s; (1,) with 0 for a steady problem."""
        ...

    @property
    def rank(self) -> int:
        """Number of modes."""
        ...

    @property
    def steady(self) -> bool:
        """Whether there is one time only."""
        ...

    @property
    def space(self) -> FieldSpace:
        """Where the values of its fields live."""
        ...

    @property
    def units(self) -> Mapping[str, str]:
        """Units of fields and quantities by name."""
        ...

    def query(
        self,
        mu: Mapping[str, Any] | ArrayLike,
        t: ArrayLike | None = None,
        select: Select | str = "quantities",
        *,
        units: Mapping[str, str] | None = None,
        policy: Policy | None = None,
    ) -> Answer:
        """Answer q queries."""
        ...

    def gradient(
        self,
        mu: Mapping[str, Any] | ArrayLike,
        t: ArrayLike | None = None,
        select: Select | str = "quantities",
        *,
        units: Mapping[str, str] | None = None,
    ) -> Gradient:
        """Return the derivatives of what is selected by the free parameters."""
        ...


def answer_of(
    model: ServedModel,
    values: Mapping[str, _Floats],
    times: _Floats,
    judged: Judgement,
    reasons: tuple[str, ...],
    *,
    coverage: float,
    level: str,
) -> Answer:
    """Return the answer of a model to queries that were judged; see `rom.answer.Answer`."""
    return Answer(
        values=values,
        units={name: model.units.get(name, "1") for name in values},
        times=times,
        eta=judged.eta,
        in_range=judged.place.in_range,
        score=judged.place.score,
        distance=judged.place.distance,
        reasons=reasons,
        coverage=coverage,
        level_used=level,
        model=model.name,
        version=model.version,
    )
