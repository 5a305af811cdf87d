r"""The reduced model: answers for new parameters, with what they are worth.

.. math:: u(\mu, t) \approx c + \Phi\, a(\mu, t)

with coefficients a from a regression over parameters and times. A query reads only the rows of
:math:`\Phi` that were asked for.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, cast, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from infra.field_space import FieldSpace
from rom.answer import Answer, Gradient
from rom.basis import Basis
from rom.field_product import ProductKind, field_product
from rom.model_card import ModelCard
from rom.model_parts import ModelParts
from rom.parameter_map import ParameterMap
from rom.prepared_rows import PreparedRows, RowCache, RowMaker
from rom.query_checks import checked_times, checked_values, refuse
from rom.selection import Select
from rom.served_model import answer_of
from rom.settings import Policy
from rom.trust.domain import TrainedRange
from rom.trust.trust import Judgement, Trust

__all__ = ["ReducedModel"]

type _Floats = NDArray[np.float64]


@final
class ReducedModel:
    """A reduced model; built by `rom.building.build`, read by `rom.model_folder.load_model`.

    It never changes and may be used by several threads at once.

    Parameters
    ----------
    card
        What it says about itself.
    parts
        Its numbers.
    version
        In its registry; 0: it is not published.
    """

    def __init__(self, card: ModelCard, parts: ModelParts, version: int = 0) -> None:
        self.card, self.parts, self.version = card, parts, version
        self.parameters = ParameterMap(card.space)
        trained = TrainedRange(parts.points, card.trust.range_factor)
        self.trust = Trust(parts.regressor, parts.indicator, trained, parts.offset)
        rows = RowMaker(parts.space, parts.modes, parts.centre, parts.regions)
        self._rows = RowCache(rows)

    @property
    def name(self) -> str:
        """Its name."""
        return self.card.name

    @property
    def times(self) -> _Floats:
        """Output times of the training, shape (T,), s; (1,) with 0 for a steady problem."""
        return self.parts.regressor.times

    @property
    def space(self) -> FieldSpace:
        """Where the values of its fields live."""
        return self.parts.space

    @cached_property
    def units(self) -> Mapping[str, str]:
        """Units of fields and quantities by name."""
        units = {info.name: info.units for info in self.parts.space.fields}
        return units | dict(self.parts.quantities.units)

    @property
    def rank(self) -> int:
        """Number of modes."""
        return int(self.parts.modes.shape[1])

    @property
    def steady(self) -> bool:
        """Whether there is one time only."""
        return len(self.times) == 1

    @cached_property
    def basis(self) -> Basis:
        """The basis with its product, in 64 bits: for projections and errors of true fields."""
        spec: Any = self.card.basis.product
        product = field_product(
            self.parts.space, cast(ProductKind, spec["kind"]), spec["scales"], spec["length"]
        )
        parts = self.parts
        centre = None if parts.centre is None else np.asarray(parts.centre, np.float64)
        modes = np.asarray(parts.modes, np.float64)
        return Basis(modes, parts.singular_values, centre, product, self.card.training.snapshots)

    def query(
        self,
        mu: Mapping[str, Any] | ArrayLike,
        t: ArrayLike | None = None,
        select: Select | str = "quantities",
        *,
        units: Mapping[str, str] | None = None,
        policy: Policy | None = None,
    ) -> Answer:
        """Answer q queries.

        Parameters
        ----------
        mu
            Parameters: a mapping from names to numbers or to q numbers each, or an array (q, d)
            of the free parameters in the order of the card, (d,) for one query.
        t
            Times, a number or shape (T,), s; by default the output times of the training.
        select
            What is asked for.
        units
            Units in which `mu` is given, by name: they must be those of the model.
        policy
            What happens to queries out of range; by default what the model says.

        Returns
        -------
        Answer
            Values and trust.

        Raises
        ------
        UserError
            If a parameter is missing, unknown, not finite or in another unit, a time is outside
            those of the training, something selected does not exist, or a query is out of range
            and the policy refuses it.
        """
        what = Select.of(select)
        values = checked_values(self.parameters, mu, units)
        times = checked_times(self.times, t)
        u = self.parameters.units(values)
        coefficients = None
        if what.kind == "quantities":
            judged = self.trust.judge(u)
        else:
            coefficients, judged = self.trust.predict(u, times)
        reasons = self._reasons(values, judged, policy or self.card.trust.policy)
        answers = self._values(what, u, times, coefficients)
        coverage = self.parts.indicator.calibration.reached
        return answer_of(self, answers, times, judged, reasons, coverage=coverage, level="rom")

    def gradient(
        self,
        mu: Mapping[str, Any] | ArrayLike,
        t: ArrayLike | None = None,
        select: Select | str = "quantities",
        *,
        units: Mapping[str, str] | None = None,
    ) -> Gradient:
        """Return the derivatives of what is selected by the free parameters, per unit of each.

        Parameters
        ----------
        mu, t, select, units
            As for `query`; out of range it is the derivative of what `query` extrapolates.

        Raises
        ------
        UserError
            As for `query`.
        """
        what = Select.of(select)
        values = checked_values(self.parameters, mu, units)
        times = checked_times(self.times, t)
        u, slopes = self.parameters.units(values), self.parameters.slopes(values)
        names = self.parameters.names
        chain = slopes[:, np.newaxis, np.newaxis]
        if what.kind == "quantities":
            found = self.parts.quantities.jacobian(what.names, u, times)
            return Gradient({n: v * chain[..., 0, :] for n, v in found.items()}, names, times)
        jacobian = self.parts.regressor.jacobian(u, times) * chain
        if what.kind == "coefficients":
            return Gradient({"coefficients": jacobian}, names, times)
        rows = self._rows(what)
        lifted = np.einsum("nr,qtrd->qtnd", rows.basis.modes, jacobian, optimize=True)
        return Gradient({n: lifted[:, :, part] for n, part in rows.parts.items()}, names, times)

    def judge(self, mu: Mapping[str, Any] | ArrayLike) -> Judgement:
        """Return indicator and place of queries alone."""
        return self.trust.judge(self.parameters.units(self.parameters.values(mu)))

    def rows(self, select: Select) -> PreparedRows:
        """Return the rows of the modes for a selection of values of fields.

        Raises
        ------
        UserError
            If something selected does not exist.
        """
        return self._rows(select)

    def _reasons(self, values: _Floats, judged: Judgement, policy: Policy) -> tuple[str, ...]:
        reasons = self.trust.trained.reasons(self.parameters, values, judged.place)
        if policy == "refuse":
            refuse(self.name, reasons)
        return reasons

    def _values(
        self, what: Select, u: _Floats, times: _Floats, coefficients: _Floats | None
    ) -> dict[str, _Floats]:
        if coefficients is None:
            return self.parts.quantities.predict(what.names, u, times)
        if what.kind == "coefficients":
            return {"coefficients": coefficients}
        rows = self._rows(what)
        # One large matrix product, not one per query; the centre is added in place.
        flat = coefficients.reshape(-1, self.rank) @ rows.basis.modes.T
        if rows.basis.centre is not None:
            flat += rows.basis.centre
        lifted = flat.reshape(*coefficients.shape[:2], -1)
        return {name: lifted[:, :, part] for name, part in rows.parts.items()}
