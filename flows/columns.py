"""Many parameters in few words: ``xi_0 ... xi_63`` is one entry of a table, not 64 columns."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

from solvers.parameters import Parameter

__all__ = ["Bundle", "bundles", "range_text"]

_NUMBERED = re.compile(r"(.*?)(\d+)")
# Fewer numbered names stand for themselves.
_FEWEST = 4


@final
@dataclass(frozen=True)
class Bundle:
    """One name, or numbered names that follow each other.

    Attributes
    ----------
    names : in their order
    """

    names: tuple[str, ...]

    @property
    def single(self) -> bool:
        """Whether it is one name."""
        return len(self.names) == 1

    @property
    def text(self) -> str:
        """The name, or the first and the last one."""
        return self.names[0] if self.single else f"{self.names[0]} ... {self.names[-1]}"


def bundles(names: Iterable[str]) -> tuple[Bundle, ...]:
    """Put names that differ by a growing number only into bundles of at least four.

    Parameters
    ----------
    names : distinct names; each is in one bundle, and their order stays

    Returns
    -------
    tuple of Bundle
    """
    runs: list[list[str]] = []
    for name in names:
        if runs and _follows(runs[-1][-1], name):
            runs[-1].append(name)
        else:
            runs.append([name])
    found: list[Bundle] = []
    for run in runs:
        parts = [run] if len(run) >= _FEWEST else [[name] for name in run]
        found += [Bundle(tuple(part)) for part in parts]
    return tuple(found)


def range_text(parameters: Sequence[Parameter]) -> list[str]:
    """Say what varies, one line per parameter or bundle of equal ones.

    Parameters
    ----------
    parameters : those that vary

    Returns
    -------
    list of str
        For example ``contrast: 3 to 1000, log`` and ``xi_0 ... xi_63 (64, normal, -5 to 5)``.
    """
    known = {p.name: p for p in parameters}
    return [_said([known[name] for name in bundle.names], bundle) for bundle in _alike(known)]


def _alike(known: dict[str, Parameter]) -> list[Bundle]:
    """Return bundles whose parameters have the same bounds, unit and scale."""
    found: list[Bundle] = []
    for bundle in bundles(known):
        forms = {(p.low, p.high, p.unit, p.scale) for p in map(known.__getitem__, bundle.names)}
        found += [bundle] if len(forms) == 1 else [Bundle((name,)) for name in bundle.names]
    return found


def _said(parameters: Sequence[Parameter], bundle: Bundle) -> str:
    first = parameters[0]
    unit = "" if first.unit == "1" else f" {first.unit}"
    span = f"{first.low:g} to {first.high:g}{unit}"
    if bundle.single:
        return f"{first.name}: {span}" + ("" if first.scale == "linear" else f", {first.scale}")
    return f"{bundle.text} ({len(parameters)}, {first.scale}, {span})"


def _follows(before: str, name: str) -> bool:
    first, second = _NUMBERED.fullmatch(before), _NUMBERED.fullmatch(name)
    if first is None or second is None:
        return False
    return first[1] == second[1] and int(second[2]) == int(first[2]) + 1
