"""From tensors of the Open Inference protocol to questions of a model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError
from rom.selection import Select
from rom.served_model import ServedModel
from rom.service.inference_texts import InferText
from rom.service.problem import ServiceError
from rom.service.question import Question
from rom.service.tensors import array_of

__all__ = ["Asked", "asked_of", "output_kinds"]

type _Floats = NDArray[np.float64]

_TRUST = ("indicator", "in_range")


@final
@dataclass(frozen=True)
class Asked:
    """What a request asks for.

    Attributes
    ----------
    questions
        At least one; all of the same parameters.
    outputs
        Names in the order of the reply, and whether each is sent as bytes.
    """

    questions: tuple[Question, ...]
    outputs: Mapping[str, bool]

    @property
    def binary(self) -> bool:
        """Whether all outputs are sent as bytes."""
        return all(self.outputs.values())


def output_kinds(model: ServedModel) -> list[tuple[str, list[int], str]]:
    """Return name, shape and unit of all outputs of floating type."""
    outputs = [
        (q.name, [-1, -1 if q.per_time else 1], q.unit) for q in model.card.quantities
    ]  # fmt: skip
    outputs += [(f.name, [-1, -1, f.size], f.unit) for f in model.card.fields]
    return [*outputs, ("coefficients", [-1, -1, model.rank], "1"), ("indicator", [-1], "1")]


def asked_of(model: ServedModel, text: InferText, rest: memoryview) -> Asked:
    """Return what is asked of a model.

    Parameters
    ----------
    model
        Who is asked.
    text
        The request.
    rest
        The bytes behind its JSON.

    Raises
    ------
    ServiceError, UserError
        If inputs or outputs do not fit the model.
    """
    tensors = _tensors(model, text, rest)
    time, probes = tensors.pop("time", None), tensors.pop("probes", None)
    mu = model.parameters.values({name: _column(name, a) for name, a in tensors.items()})
    times = None if time is None else tuple(time.reshape(-1).tolist())
    wanted = _wanted(model, text)
    selects = _selects(model, tuple(wanted), probes)
    units = _units(text)
    return Asked(tuple(Question(mu, times, s, None, units) for s in selects), wanted)


def _tensors(model: ServedModel, text: InferText, rest: memoryview) -> dict[str, _Floats]:
    known = (*model.parameters.space.names, "time", "probes")
    tensors: dict[str, _Floats] = {}
    for tensor in text.inputs:
        if tensor.name not in known or tensor.name in tensors:
            raise ServiceError.of(
                422, "unknown_input", f"inputs out of {', '.join(known)}", repr(tensor.name)
            )
        tensors[tensor.name], rest = array_of(tensor, rest)
    return tensors


def _column(name: str, array: _Floats) -> _Floats:
    if array.ndim == 0 or array.size != array.shape[0]:
        raise ServiceError.of(
            422, "invalid_tensor", f"the shape (q,) or (q, 1) for {name}", str(list(array.shape))
        )
    return array.reshape(-1)


def _wanted(model: ServedModel, text: InferText) -> dict[str, bool]:
    """Return names of the outputs, and whether each is sent as bytes."""
    usual = text.parameters.get("binary_data_output") is True
    if not text.outputs:
        names = [q.name for q in model.card.quantities] or ["coefficients"]
        return dict.fromkeys([*names, *_TRUST], usual)
    return {o.name: o.parameters.get("binary_data", usual) is True for o in text.outputs}


def _selects(
    model: ServedModel, names: tuple[str, ...], probes: _Floats | None
) -> list[Select]:  # fmt: skip
    quantities = {q.name for q in model.card.quantities}
    fields = {f.name for f in model.card.fields}
    known = [*quantities, *fields, "coefficients", *_TRUST]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UserError(f"Expected outputs out of {', '.join(known)}; received {unknown}.")
    selects = []
    if wanted := tuple(name for name in names if name in quantities):
        selects.append(Select.quantities(*wanted))
    if wanted := tuple(name for name in names if name in fields and name not in quantities):
        selects.append(_of_fields(wanted, probes))
    if "coefficients" in names or not selects:
        selects.append(Select.coefficients())
    return selects


def _of_fields(names: tuple[str, ...], probes: _Floats | None) -> Select:
    if probes is None:
        return Select.fields(*names)
    if probes.ndim != 2 or not probes.size:
        raise ServiceError.of(
            422, "invalid_tensor", "`probes` of shape (k, d)", str(list(probes.shape))
        )
    return Select.probes(probes.tolist(), *names)


def _units(text: InferText) -> tuple[tuple[str, str], ...]:
    """Return the units that inputs say they are in."""
    pairs: list[tuple[str, Any]] = [
        (tensor.name, tensor.parameters["units"])
        for tensor in text.inputs
        if "units" in tensor.parameters and tensor.name not in ("time", "probes")
    ]
    return tuple((name, str(unit)) for name, unit in pairs)
