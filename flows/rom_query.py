"""`romflow query`: parameters and selections as people write them, answers as files and JSON."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, get_args

import numpy as np

from flows.figures.files import require_suffix, save, write_file
from flows.figures.model_fields import Patch, prediction_figure
from flows.rom_pictures import drawable, mu_text, patches
from flows.structure_trust import structure_tolerance
from infra.errors import UserError
from infra.records import Json
from rom.answer import Answer
from rom.selection import Select
from rom.served_model import ServedModel
from rom.settings import Policy

__all__ = [
    "answer_json",
    "ask",
    "parse_mu",
    "parse_policy",
    "parse_select",
    "picture_of",
    "require_drawable",
    "write_answer",
]

_FORMS = (
    "qoi, qoi=drag, field, field=pressure, probe=0.1,0.2 (may be repeated), region=outlet, "
    "box=0,0,1,1 or coefficients"
)


def parse_mu(given: Sequence[str]) -> dict[str, float]:
    """Return parameters by name from texts ``name=value``.

    Raises
    ------
    UserError
        For another form, a name that comes twice, or no number.
    """
    mu: dict[str, float] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if name in mu:
            raise UserError(f"--mu {text}: expected each parameter once, received {name} twice")
        try:
            mu[name] = float(value)
        except ValueError:
            equals = ""
        if not equals or not name:
            raise UserError(f"--mu {text}: expected name=number, for example reynolds=100")
    return mu


def parse_select(texts: Sequence[str]) -> Select:
    """Return what ``--select`` asks for; nothing: all quantities of interest.

    Raises
    ------
    UserError
        For another form, or several that cannot be asked at once.
    """
    if not texts:
        return Select.quantities()
    kinds = {text.partition("=")[0] for text in texts}
    if len(kinds) > 1 or (len(texts) > 1 and kinds != {"probe"}):
        raise UserError(
            f"--select {' --select '.join(texts)}: expected one selection, or several probes; "
            "ask once for each"
        )
    kind, _, rest = texts[0].partition("=")
    names = tuple(name for name in rest.split(",") if name)
    if kind in ("qoi", "quantities"):
        return Select.quantities(*names)
    if kind in ("field", "fields"):
        return Select.fields(*names)
    if kind == "coefficients" and not names:
        return Select.coefficients()
    if kind == "region" and names:
        return Select.in_region(names[0], *names[1:])
    if kind == "probe" and names:
        return Select.probes([_numbers(text) for text in texts])
    if kind == "box" and names:
        numbers = _numbers(texts[0])
        return Select.in_box(numbers[: len(numbers) // 2], numbers[len(numbers) // 2 :])
    raise UserError(f"--select {texts[0]}: expected {_FORMS}")


def ask(
    model: ServedModel,
    mu: Mapping[str, float],
    times: Sequence[float],
    select: Select,
    policy: str | None = None,
) -> Answer:
    """Ask one query.

    Raises
    ------
    UserError
        See `ReducedModel.query`; also for an unknown policy.
    """
    return model.query(mu, list(times) or None, select, policy=parse_policy(policy))


def parse_policy(policy: str | None) -> Policy | None:
    """Return what ``--policy`` asks for; nothing: what the model says.

    Raises
    ------
    UserError
        For an unknown one.
    """
    if policy is None:
        return None
    if policy not in ("flag", "refuse"):
        names = " or ".join(get_args(Policy.__value__))
        raise UserError(f"--policy: expected {names}, received {policy!r}")
    return "refuse" if policy == "refuse" else "flag"


def require_drawable(model: ServedModel) -> None:
    """Refuse to draw a model whose fields are not on triangles in the plane.

    Raises
    ------
    UserError
        If it is so.
    """
    if not drawable(model.space):
        raise UserError("--picture: expected a model on triangles in the plane")


def answer_json(model: ServedModel, answer: Answer, mu: Mapping[str, float]) -> dict[str, Json]:
    """Return the answer to one query as JSON; numbers that are none become null."""
    return {
        "model": answer.model,
        "version": answer.version,
        "mu": dict(mu),
        "units": dict(answer.units),
        "times": None if model.steady else answer.times.tolist(),
        "values": {name: _plain(values[0]) for name, values in answer.values.items()},
        "trust": {
            "indicator": float(answer.eta[0]),
            "coverage": answer.coverage,
            "in_range": bool(answer.in_range[0]),
            "score": float(answer.score[0]),
            "distance": float(answer.distance[0]),
            "reason": answer.reasons[0],
            **_against_tolerance(model, answer),
        },
        "level_used": answer.level_used,
    }


def write_answer(path: Path, model: ServedModel, answer: Answer, mu: Mapping[str, float]) -> Path:
    """Write values, times, parameters, trust and level of one query into an NPZ file.

    Raises
    ------
    UserError
        If its name does not end in ``.npz``.
    StorageFullError, StorageAccessError
        If it cannot be written.
    """
    require_suffix(path, ".npz")
    arrays: dict[str, Any] = {name: values[0] for name, values in answer.values.items()}
    arrays |= {f"mu_{name}": np.float64(value) for name, value in mu.items()}
    arrays |= {"time": answer.times} if not model.steady else {}
    arrays |= {"indicator": answer.eta[0], "coverage": answer.coverage}
    arrays |= {"in_range": answer.in_range[0], "level_used": np.str_(answer.level_used)}
    memory = BytesIO()
    np.savez(memory, allow_pickle=False, **arrays)
    return write_file(path, memory.getvalue())


def picture_of(
    path: Path, model: ServedModel, mu: Mapping[str, float], times: Sequence[float]
) -> Path:
    """Draw the fields for one query at the last time.

    Raises
    ------
    UserError
        If the fields cannot be drawn, or the name does not end in ``.png``.
    """
    require_suffix(path, ".png")
    require_drawable(model)
    space = model.space
    last = max(times) if times else float(model.times[-1])
    answer = model.query(mu, None if model.steady else last, "fields", policy="flag")
    frame = np.concatenate([answer.values[f.name][0, 0] for f in space.fields])
    row = model.parameters.values(mu)[0]
    when = "" if model.steady else f", t = {last:.4g} s"
    shown: list[Patch] = patches(space, frame)
    return save(prediction_figure(f"{mu_text(model, row)}{when}", shown), path)


def _against_tolerance(model: ServedModel, answer: Answer) -> dict[str, Json]:
    """Say where the indicator of a structure is; models of fields have no tolerance of theirs."""
    tolerance = structure_tolerance(model.card)
    if tolerance is None:
        return {}
    return {"tolerance": tolerance, "above_tolerance": bool(answer.eta[0] > tolerance)}


def _numbers(text: str) -> list[float]:
    kind, _, rest = text.partition("=")
    try:
        return [float(part) for part in rest.split(",")]
    except ValueError as error:
        raise UserError(
            f"--select {text}: expected numbers in metres, for example {kind}=0.1,0.2"
        ) from error


def _plain(values: np.ndarray) -> Json:
    plain = values.astype(object)
    plain[~np.isfinite(values)] = None
    found: Json = plain.tolist()
    return found
