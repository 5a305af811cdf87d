"""Where the panels of one sample go."""

from dataclasses import dataclass
from typing import final

__all__ = ["BELOW", "Arrangement", "arrange"]

# Wider domains have their panels above each other, others side by side.
_WIDE = 1.8
# Inches: left margin, room right of a panel for its colour bar, gap, and room for labels below.
_LEFT, _BAR_ROOM, _GAP, BELOW = 0.7, 1.35, 0.18, 0.5
_NARROWEST = 6.2


@final
@dataclass(frozen=True)
class Arrangement:
    """Where panels go: each `width` by `height` inches, `columns` in a row."""

    width: float
    height: float
    columns: int
    rows: int

    @property
    def pitch(self) -> float:
        """Distance of neighbouring columns."""
        return self.width + _BAR_ROOM

    @property
    def row_width(self) -> float:
        """Width of a row with its margins."""
        return _LEFT + (self.columns - 1) * self.pitch + self.width + _BAR_ROOM

    @property
    def sheet_width(self) -> float:
        """Width of the figure; a single narrow panel leaves room for the title beside it."""
        return max(self.row_width, _NARROWEST)

    @property
    def depth(self) -> float:
        """Height of all rows with the labels below."""
        return self.rows * self.height + (self.rows - 1) * _GAP + BELOW

    def place(self, number: int, top: float) -> tuple[float, float, float, float]:
        """Return left, top, width and height of a panel."""
        row, column = divmod(number, self.columns)
        left = (self.sheet_width - self.row_width) / 2 + _LEFT + column * self.pitch
        return left, top + row * (self.height + _GAP), self.width, self.height

    def is_lowest(self, number: int) -> bool:
        """Tell whether a panel stands in the last row."""
        return number // self.columns == self.rows - 1

    def is_first(self, number: int) -> bool:
        """Tell whether a panel stands in the first column."""
        return number % self.columns == 0


def arrange(aspect: float, n_panels: int) -> Arrangement:
    """Return panels for a domain of this width over height.

    Parameters
    ----------
    aspect : width over height of the domain
    n_panels : number of panels, at least one
    """
    if aspect >= _WIDE:
        width = min(7.5, 2.7 * aspect)
        return Arrangement(width, width / aspect, 1, n_panels)
    largest = 3.5 if n_panels > 1 else 4.5
    width = min(largest, 4.5 * aspect)
    return Arrangement(width, width / aspect, n_panels, 1)
