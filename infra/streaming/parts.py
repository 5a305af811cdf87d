"""Frames that come in parts, one from each rank of a simulation."""

from typing import final

import numpy as np

from infra.streaming.frames import WIRE, Values

__all__ = ["PartAssembly"]


@final
class PartAssembly:
    """Puts the parts of frames together, in whatever order they come.

    Parameters
    ----------
    n_values
        Length of a whole frame.
    """

    def __init__(self, n_values: int) -> None:
        self._n_values = n_values
        self._open: dict[int, tuple[Values, dict[int, int]]] = {}

    def add(self, step: int, start: int, values: Values) -> Values | None:
        """Add one part; return the whole frame once nothing of it is missing.

        Parameters
        ----------
        step
            The frame.
        start
            Index of the first value within the frame. A part that comes again replaces itself.
        values
            The part.

        Returns
        -------
        numpy.ndarray or None
            Shape (n_values,), read-only, when this was its last part.
        """
        if step not in self._open:
            self._open[step] = np.empty(self._n_values, WIRE), {}
        whole, lengths = self._open[step]
        whole[start : start + values.size] = values
        lengths[start] = values.size
        if sum(lengths.values()) < self._n_values:
            return None
        del self._open[step]
        whole.flags.writeable = False
        return whole

    @property
    def steps(self) -> frozenset[int]:
        """Frames of which parts are missing."""
        return frozenset(self._open)
