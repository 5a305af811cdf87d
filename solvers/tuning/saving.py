"""Frozen dataclasses to JSON-able values and back, checked."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from infra.errors import UserError

__all__ = ["from_state", "to_state"]


def to_state(value: object) -> dict[str, Any]:
    """Return a frozen dataclass as dictionaries, lists, strings and finite numbers."""
    state: dict[str, Any] = TypeAdapter(type(value)).dump_python(value, mode="json")
    return state


def from_state[T](cls: type[T], state: Mapping[str, Any]) -> T:
    """Return the value of class `cls` that `to_state` has described.

    Raises
    ------
    UserError
        If entries are missing, unknown or of another type.
    """
    try:
        value = TypeAdapter(cls).validate_json(json.dumps(dict(state)), strict=True)
    except (ValidationError, TypeError, ValueError) as error:
        raise UserError(
            f"expected the saved state of a {cls.__name__}, received another one: {error}. "
            "Delete it to begin anew, or use the version that has written it"
        ) from error
    # Dataclasses ignore entries that they do not know; a state that changes would be a silent loss.
    if to_state(value) != dict(state):
        raise UserError(
            f"expected the saved state of a {cls.__name__}, received one with entries that it "
            "does not know; delete it to begin anew, or use the version that has written it"
        )
    return value
