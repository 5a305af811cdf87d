"""Lines of CalculiX input decks: numbers, lists and cards as text."""

from collections.abc import Iterable, Sequence

__all__ = ["card", "number", "rows", "set_card"]

# CalculiX reads at most sixteen entries a line and twenty characters an entry.
_ENTRIES = 16


def number(value: float) -> str:
    """Return a number with thirteen digits in at most twenty characters."""
    return f"{value:.12e}"


def card(name: str, **parameters: object) -> str:
    """Return a keyword line such as ``*STEP,INC=100``."""
    given = [f"{key}={value}" for key, value in parameters.items()]
    return ",".join([f"*{name}", *given])


def rows(values: Iterable[Sequence[int]]) -> list[str]:
    """Return one line of whole numbers per row."""
    return [",".join(map(str, row)) for row in values]


def set_card(kind: str, name: str, members: Sequence[int]) -> list[str]:
    """Return the card of a set with its members, counted from one.

    Parameters
    ----------
    kind : ``"NSET"`` or ``"ELSET"``
    name : of the set
    members : numbers counted from zero
    """
    numbers = [str(member + 1) for member in members]
    lines = [
        ",".join(numbers[start : start + _ENTRIES]) for start in range(0, len(numbers), _ENTRIES)
    ]
    return [card(kind, **{kind: name}), *lines]
