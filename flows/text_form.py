"""Settings as people write them: YAML files, names of shipped ones, and ``--set key=value``."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from infra.errors import UserError
from solvers.chunk import validation_message
from solvers.parameters import Interval

__all__ = ["assigned", "read_yaml", "validated", "with_study_beside"]


def read_yaml(source: str, shipped: Mapping[str, Path], kind: str) -> tuple[dict[str, Any], Path]:
    """Read a file, or one that comes with romflow by its name.

    Parameters
    ----------
    source : path, or a name among `shipped`
    shipped : files by name
    kind : what it is called in messages

    Returns
    -------
    dict, Path
        The keys with their values, with the file's name where none is given; and the file.

    Raises
    ------
    UserError
        If there is no such file or name, or it holds no keys with values.
    """
    path = shipped.get(source, Path(source))
    try:
        data = yaml.safe_load(path.read_text())
    except OSError as error:
        near = get_close_matches(source, shipped, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UserError(
            f"{kind} {source}: expected a file or one of {', '.join(shipped)}, received "
            f"{error.strerror or error}.{hint}"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{kind} {source}: expected YAML, received: {error}") from error
    if not isinstance(data, dict):
        received = "an empty file" if data is None else repr(data)
        raise UserError(f"{kind} {source}: expected keys with values, received {received}")
    return {"name": path.stem, **data}, path  # never the name of another one


def assigned(
    data: dict[str, Any], assignments: Sequence[str], exclusive: Sequence[frozenset[str]] = ()
) -> dict[str, Any]:
    """Change settings such as ``time.end=2``; values are read as YAML.

    Parameters
    ----------
    data : nested settings, changed and returned
    assignments : key=value each
    exclusive : groups of keys of which one replaces the others

    Raises
    ------
    UserError
        For an assignment without ``=``, or into something that is no group.
    """
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key:
            raise UserError(f"--set {assignment}: expected key=value, for example time.end=2")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UserError(f"--set {assignment}: expected a YAML value: {error}") from error
        _assign(data, key.split("."), value, assignment, exclusive)
    return data


def with_study_beside(data: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Look for a study that is named by a file beside this one's own file as well.

    Parameters
    ----------
    data : keys and values of a training or a reduced model
    path : its file
    """
    study = data.get("study")
    if isinstance(study, str) and study.endswith((".yaml", ".yml")):
        near = path.parent / study
        if not Path(study).exists() and near.exists():
            return {**data, "study": str(near)}
    return dict(data)


def validated[M: BaseModel](model: type[M], data: Mapping[str, Any], source: str) -> M:
    """Return the settings as a model.

    Raises
    ------
    UserError
        If they are no such settings: each wrong key is named, with what was probably meant.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise UserError(f"{source}: {_with_hints(model, error)}") from error


def _assign(
    data: dict[str, Any],
    keys: list[str],
    value: Any,
    assignment: str,
    exclusive: Sequence[frozenset[str]],
) -> None:
    for key in keys[:-1]:
        inner = data.setdefault(key, {})
        if not isinstance(inner, dict):
            raise UserError(
                f"--set {assignment}: expected a group before .{keys[-1]}, "
                f"received the value {inner!r}; set {key} itself"
            )
        data = inner
    if value is not None:
        for group in exclusive:
            if keys[-1] in group:
                for other in group - {keys[-1]}:
                    data.pop(other, None)
    data[keys[-1]] = value


def _with_hints(model: type[BaseModel], error: ValidationError) -> str:
    """Add what was probably meant to unknown keys."""
    lines = [validation_message(error)]
    for entry in error.errors():
        if entry["type"] != "extra_forbidden":
            continue
        *place, key = map(str, entry["loc"])
        known = _known_keys(model, place)
        near = get_close_matches(key, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known keys are {', '.join(known)}"
        lines.append(f"  {'.'.join([*place, key])}: {hint}")
    return "\n".join(lines)


def _known_keys(model: type[BaseModel], place: Sequence[str]) -> list[str]:
    """Return the keys of the group at `place`."""
    for key in place:
        inner = model.model_fields[key].annotation if key in model.model_fields else None
        groups = [g for g in (inner, *get_args(inner)) if isinstance(g, type)]
        # Only parameters are a mapping of groups, and their groups are ranges.
        model = next((g for g in groups if issubclass(g, BaseModel)), Interval)
    return list(model.model_fields)
