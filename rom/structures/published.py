"""A reduced structure as people query it: load parameters in, fields and quantities out.

A query makes the whole reduced run from virgin material on, at the output times of the training;
times between them are interpolated. The runs of the last queries are kept, for a page asks for
one field after the other. The indicator of an answer is the largest of its steps.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from infra.errors import UserError
from infra.field_space import FieldSpace
from rom.answer import Answer, Gradient
from rom.model_card import ModelCard
from rom.parameter_map import ParameterMap
from rom.prepared_rows import RowMaker
from rom.query_checks import checked_times, checked_values, refuse
from rom.regions import Region
from rom.selection import Select
from rom.served_model import answer_of
from rom.settings import Policy
from rom.structures.kept_runs import KeptRuns, StructureRun
from rom.structures.online import ReducedStepError
from rom.structures.published_parts import StructureParts
from rom.structures.query import answered, between, query_run
from rom.structures.response import LOCATION, ResponseMaker, StructureResponse, structure_space
from rom.trust.domain import TrainedRange
from rom.trust.trust import Judgement

__all__ = ["PublishedStructure"]

type _Floats = NDArray[np.float64]
type Level = Literal["reduced", "enriched"]

# Queries of one call: each is a run of its own.
_MOST = 64


@final
class PublishedStructure:
    """See the module. It never changes and may be used by several threads at once.

    Parameters
    ----------
    card
        What it says about itself.
    parts
        Its numbers.
    version
        In its registry; 0: it is not published.
    """

    def __init__(self, card: ModelCard, parts: StructureParts, version: int = 0) -> None:
        self.card, self.parts, self.version = card, parts, version
        self.parameters = ParameterMap(card.space)
        self.maker: ResponseMaker = parts.maker()
        self._trained = TrainedRange(parts.points, card.trust.range_factor)
        self._runs = KeptRuns(self._computed)

    @property
    def name(self) -> str:
        """Its name."""
        return self.card.name

    @property
    def times(self) -> _Floats:
        """Output times, (T,), s."""
        return self.parts.times

    @property
    def rank(self) -> int:
        """Number of modes."""
        return self.parts.model.rank

    @property
    def steady(self) -> bool:
        """Never: a structure has a history."""
        return False

    @property
    def level(self) -> Level:
        """Which model answers: ``enriched`` if it knows high-fidelity steps, else ``reduced``."""
        return "enriched" if self.parts.enriched else "reduced"

    @cached_property
    def space(self) -> FieldSpace:
        """Where the values of its fields live."""
        return structure_space(self.parts.model.mesh, flows=self.parts.flows)

    @cached_property
    def units(self) -> Mapping[str, str]:
        """Units of fields and quantities by name."""
        return {info.name: info.units for info in self.space.fields} | self.maker.units

    def query(
        self,
        mu: Mapping[str, Any] | ArrayLike,
        t: ArrayLike | None = None,
        select: Select | str = "quantities",
        *,
        units: Mapping[str, str] | None = None,
        policy: Policy | None = None,
    ) -> Answer:
        """Answer q queries; see `rom.reduced_model.ReducedModel.query`.

        Raises
        ------
        UserError
            As there; also if there are more than 64 queries, or a reduced run does not converge.
        """
        what = Select.of(select)
        values, times = self._values(mu, units), checked_times(self.times, t)
        place = self._trained.place(self.parameters.units(values))
        reasons = self._trained.reasons(self.parameters, values, place)
        if (policy or self.card.trust.policy) == "refuse":
            refuse(self.name, reasons)
        runs = [self._runs(row) for row in values]
        found = self._selected(runs, what, times)
        judged = Judgement(np.array([run.eta.max() for run in runs]), place)
        covered = self.parts.indicator.covered
        return answer_of(self, found, times, judged, reasons, coverage=covered, level=self.level)

    def gradient(
        self,
        mu: Mapping[str, Any] | ArrayLike,
        t: ArrayLike | None = None,
        select: Select | str = "quantities",
        *,
        units: Mapping[str, str] | None = None,
    ) -> Gradient:
        """Refuse: a run through plasticity has no derivatives here.

        Raises
        ------
        UserError
            Always.
        """
        del t, select
        self._values(mu, units)
        raise UserError(
            f"Expected a model with derivatives; received {self.name}, a structure, whose answers "
            "have none. Take differences of two queries."
        )

    def run(self, mu: Mapping[str, Any]) -> StructureRun:
        """Return the whole run of one query.

        Raises
        ------
        UserError
            See `query`.
        """
        return self._runs(self.parameters.values(mu)[0])

    def at_full_order(
        self, mu: Mapping[str, Any], response: StructureResponse, t: ArrayLike | None, what: Select
    ) -> Answer:
        """Return the answer to one query that the full-order model has computed.

        Its indicator is zero, and it is in range everywhere: no reduced model takes part.

        Raises
        ------
        UserError
            If a time or something selected does not exist.
        """
        row, times = self._values(mu, None), checked_times(self.times, t)
        place = replace(self._trained.place(self.parameters.units(row)), score=np.zeros(1))
        found = answered(response, self._rows(response), what, times, self.parts.life)
        values = {name: array[np.newaxis] for name, array in found.items()}
        judged = Judgement(np.zeros(1), place)
        return answer_of(self, values, times, judged, ("",), coverage=1.0, level="full")

    def _values(
        self, mu: Mapping[str, Any] | ArrayLike, units: Mapping[str, str] | None
    ) -> _Floats:
        values = checked_values(self.parameters, mu, units)
        if len(values) > _MOST:
            raise UserError(
                f"Expected at most {_MOST} queries of a structure at once, each of which is a run "
                f"of its own; received {len(values)}. Send them in parts."
            )
        return values

    def _selected(
        self, runs: list[StructureRun], what: Select, times: _Floats
    ) -> dict[str, _Floats]:
        found = [self._of_run(run, what, times) for run in runs]
        return {name: np.stack([one[name] for one in found]) for name in found[0]}

    def _of_run(self, run: StructureRun, what: Select, times: _Floats) -> dict[str, _Floats]:
        if what.kind == "coefficients":
            return {"coefficients": between(self.times, run.coefficients.T, times).T}
        return answered(run.response, self._rows(run.response), what, times, self.parts.life)

    def _rows(self, response: StructureResponse) -> RowMaker:
        nodes = self.parts.model.mesh.nodes
        regions = {name: Region(LOCATION, numbers) for name, numbers in nodes.items()}
        return RowMaker(self.space, response.frames, None, regions)

    def _computed(self, row: _Floats) -> StructureRun:
        mu = self.parameters.space.mu(row)
        try:
            return query_run(self.parts, self.maker, mu)
        except ReducedStepError as error:
            raise UserError(
                f"Expected parameters for which the reduced run of {self.name} converges; received "
                f"{mu}, at which it stops: {error} Ask within the trained range, enrich the model "
                "there, or ask the full-order model."
            ) from error
