"""What a query asks for: fields, a region, probes, quantities of interest or coefficients."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Self, final

from infra.errors import UserError

__all__ = ["Kind", "Select"]

type Kind = Literal["fields", "region", "nodes", "box", "probes", "quantities", "coefficients"]
type _Point = tuple[float, ...]


@final
@dataclass(frozen=True)
class Select:
    """What is asked for; made by the class methods. Equal selections share prepared rows.

    Attributes
    ----------
    kind
        Which of the following counts.
    names
        Fields, or quantities for the kind ``quantities``; none: all.
    region
        Name of a region of the model.
    nodes
        Places inside a field.
    points
        Probes, or the low and the high corner of a box, m.
    """

    kind: Kind
    names: tuple[str, ...] = ()
    region: str = ""
    nodes: tuple[int, ...] = ()
    points: tuple[_Point, ...] = ()

    @classmethod
    def fields(cls, *names: str) -> Self:
        """Ask for whole fields; without names for all."""
        return cls("fields", tuple(names))

    @classmethod
    def in_region(cls, region: str, *fields: str) -> Self:
        """Ask for the values in a region that the model names, for example a boundary part."""
        return cls("region", tuple(fields), region=region)

    @classmethod
    def at_nodes(cls, nodes: Iterable[int], *fields: str) -> Self:
        """Ask for the values at places of the fields."""
        return cls("nodes", tuple(fields), nodes=tuple(int(node) for node in nodes))

    @classmethod
    def in_box(cls, low: Sequence[float], high: Sequence[float], *fields: str) -> Self:
        """Ask for the values at all points of the mesh inside a box, borders included, m."""
        return cls("box", tuple(fields), points=_points([low, high]))

    @classmethod
    def probes(cls, points: Iterable[Sequence[float]], *fields: str) -> Self:
        """Ask for the linearly interpolated values at positions, m."""
        return cls("probes", tuple(fields), points=_points(points))

    @classmethod
    def quantities(cls, *names: str) -> Self:
        """Ask for quantities of interest; without names for all."""
        return cls("quantities", tuple(names))

    @classmethod
    def coefficients(cls) -> Self:
        """Ask for the coefficients of the modes."""
        return cls("coefficients")

    @classmethod
    def of(cls, what: "Select | str") -> "Select":
        """Return a selection, or that of the words ``fields``, ``quantities``, ``coefficients``.

        Raises
        ------
        UserError
            For another word.
        """
        if isinstance(what, Select):
            return what
        if what not in ("fields", "quantities", "coefficients"):
            raise UserError(
                "Expected a selection, or one of the words fields, quantities and coefficients; "
                f"received {what!r}. For probes, regions and boxes use `Select`."
            )
        return Select(what)  # type: ignore[arg-type]


def _points(points: Iterable[Sequence[float]]) -> tuple[_Point, ...]:
    try:
        return tuple(tuple(float(x) for x in point) for point in points)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"Expected positions as rows of numbers in metres; received others: {error}."
        ) from error
