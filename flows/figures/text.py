"""Texts in figures: units, times and parameter values."""

import re
import textwrap

from flows.columns import bundles
from infra.description import DatasetDescription, ParameterColumn

__all__ = ["labelled", "parameter_text", "time_texts", "unit_text", "wrapped"]

_FACTOR = re.compile(r"([A-Za-z%°]+)(-?\d+)?")
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
# Width of an average letter of the default font over its size.
_LETTER = 0.56


def unit_text(units: str) -> str:
    """Write units of CF's notation as in a report: ``m2 s-2`` becomes ``m²/s²``.

    Returns
    -------
    str
        ``-`` for the dimensionless ``1``; what is no product of powers is returned unchanged.
    """
    if units == "1":
        return "-"
    factors = [_FACTOR.fullmatch(word) for word in units.split()]
    over: list[str] = []
    under: list[str] = []
    for factor in factors:
        if factor is None:
            return units
        power = int(factor[2] or 1)
        raised = str(abs(power)).translate(_RAISED) if abs(power) != 1 else ""
        (under if power < 0 else over).append(factor[1] + raised)
    below = f"({' '.join(under)})" if len(under) > 1 else "".join(under)
    return (" ".join(over) or "1") + (f"/{below}" if below else "")


def labelled(name: str, units: str, separator: str = " ") -> str:
    """Return an axis label: a quantity and its unit in brackets."""
    return f"{name}{separator}[{unit_text(units)}]"


def time_texts(times: tuple[float, ...]) -> list[str]:
    """Return the times with as few decimals, at least two, as tell all of them apart."""
    for decimals in range(2, 16):
        texts = [f"{time:.{decimals}f}" for time in times]
        if len(set(texts)) == len(texts):
            return texts
    return [repr(time) for time in times]


def parameter_text(description: DatasetDescription, sample: int) -> str:
    """Return the values of a sample's parameters that differ between samples.

    All parameters are listed if none differs, as in a dataset of one sample. Crowds of numbered
    parameters, such as the coefficients of a random field, are left out.
    """
    varying = [p for p in description.parameters if _varies(description, p.name)]
    mu = description.samples[sample].mu
    known = {p.name: p for p in varying or description.parameters}
    shown = [known[bundle.names[0]] for bundle in bundles(known) if bundle.single]
    return ", ".join(_value_text(p, mu[p.name]) for p in shown)


def wrapped(text: str, width: float, size: float) -> list[str]:
    """Break a text into lines that fit into `width` inches at a font size of `size` points."""
    letters = max(8, int(width / (_LETTER * size / 72)))
    return textwrap.wrap(text, letters, break_long_words=False) or [""]


def _varies(description: DatasetDescription, name: str) -> bool:
    return len({sample.mu[name] for sample in description.drawn}) > 1


def _value_text(column: ParameterColumn, value: float) -> str:
    unit = "" if column.units == "1" else f"\u00a0{unit_text(column.units)}"
    # Spaces inside an entry do not break: a value stays on the line of its name.
    return f"{column.name.replace('_', '\u00a0')}\u00a0=\u00a0{value:.4g}{unit}"
