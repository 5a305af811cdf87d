"""Which form of reply a client wants: the header ``Accept``, RFC 9110 section 12.5.1."""

from collections.abc import Sequence

from rom.service.problem import ServiceError

__all__ = ["chosen_type"]


def chosen_type(accept: str | None, offered: Sequence[str]) -> str:
    """Return the offered type that is wanted most; of equals the first.

    Raises
    ------
    ServiceError
        With the status 406 if none is wanted.
    """
    if not accept or accept == "*/*":
        return offered[0]
    ranges = [_range(entry) for entry in accept.split(",")]
    best, weight = "", 0.0
    for name in offered:
        if (own := _weight(name, ranges)) > weight:
            best, weight = name, own
    if not best:
        raise ServiceError.of(
            406, "not_acceptable", f"`Accept` with one of {', '.join(offered)}", repr(accept)
        )
    return best


def _range(entry: str) -> tuple[str, float]:
    name, *parameters = (part.strip().lower() for part in entry.split(";"))
    weight = 1.0
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                weight = min(1.0, max(0.0, float(parameter[2:])))
            except ValueError:
                weight = 0.0
    return name, weight


def _weight(name: str, ranges: list[tuple[str, float]]) -> float:
    """Return the weight of the most specific range that holds a type."""
    family = name.partition("/")[0]
    for pattern in (name, f"{family}/*", "*/*"):
        for entry, weight in ranges:
            if entry == pattern:
                return weight
    return 0.0
