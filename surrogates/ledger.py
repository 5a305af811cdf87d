"""One line per accepted frame, and what became of every sample."""

from collections.abc import Mapping
from dataclasses import astuple
from typing import Any, cast, final

import numpy as np
from numpy.typing import NDArray

from infra.errors import StoreError, UserError
from infra.streaming.frames import FrameKey, Verdict
from surrogates.arrivals import Design
from surrogates.holes import Hole
from surrogates.states import State

__all__ = ["LINE", "Ledger"]

LINE = np.dtype(
    [
        ("sample", "<i4"),
        ("attempt", "<i8"),
        ("step", "<i4"),
        ("digest", "<u4"),
        ("seconds", "<f8"),
    ]
)
"""A line: its key, the CRC-32C of the values, and when it was accepted (Unix time)."""

_LISTED = 100


@final
class Ledger:
    """Accepts each frame (sample, step) once: the first attempt that brings it wins.

    It takes 28 bytes per line and 4 bytes per frame that the design expects; the memory for all
    lines is reserved at once, and taken as they come. Its methods are not safe for several
    threads; `Intake` guards them.

    Parameters
    ----------
    design
        Which frames may come.
    """

    def __init__(self, design: Design) -> None:
        self._design = design
        samples = sorted(design.samples)
        self._rows = {sample: row for row, sample in enumerate(samples)}
        # Number of the line of a frame, -1: not accepted.
        self._line_of = np.full((len(samples), design.n_frames), -1, dtype=np.int32)
        self._held = np.zeros(len(samples), dtype=np.int32)
        # Zeros: the system gives the memory only where it is written.
        self._lines = np.zeros(self._line_of.size, dtype=LINE)
        self._length = 0
        self._complete = 0
        self._holes: dict[int, Hole] = {}
        self._duplicates = 0
        self._different = 0
        self._conflicts: list[FrameKey] = []

    def __len__(self) -> int:
        return self._length

    @property
    def lines(self) -> NDArray[np.void]:
        """The lines, dtype `LINE`, by number: a view."""
        return self._lines[: self._length]

    @property
    def holes(self) -> Mapping[int, str]:
        """Samples that were given up, with the reason; see `reopen`."""
        return {sample: hole.reason for sample, hole in self._holes.items()}

    @property
    def duplicates(self) -> int:
        """Frames that came again with equal values."""
        return self._duplicates

    @property
    def different(self) -> int:
        """Frames that came again with other values."""
        return self._different

    @property
    def conflicts(self) -> tuple[FrameKey, ...]:
        """The first hundred frames that came again with other values."""
        return tuple(self._conflicts)

    @property
    def complete_samples(self) -> int:
        """Number of samples of which every frame was accepted."""
        return self._complete

    @property
    def over(self) -> bool:
        """Whether every sample is complete or a hole."""
        return self._complete + len(self._holes) == len(self._rows)

    def knows(self, sample: int) -> bool:
        """Whether the design has this sample."""
        return sample in self._rows

    def complete(self, sample: int) -> bool:
        """Whether every frame of a sample was accepted."""
        return bool(self._held[self._rows[sample]] == self._design.n_frames)

    def settled(self, sample: int) -> bool:
        """Whether nothing more is wanted of a sample: it is complete or a hole."""
        return sample in self._holes or self.complete(sample)

    def held(self, sample: int) -> frozenset[int]:
        """Return the accepted steps of a sample."""
        return frozenset(np.flatnonzero(self._line_of[self._rows[sample]] >= 0).tolist())

    def numbers(self, sample: int) -> NDArray[np.int64]:
        """Return the numbers of the lines of a sample, by step."""
        row = self._line_of[self._rows[sample]]
        return np.asarray(row[row >= 0], dtype=np.int64)

    def judge(self, key: FrameKey, digest: int) -> Verdict:
        """Say what to do with a frame, and count duplicates; an accepted one is not noted yet.

        Returns
        -------
        Verdict
            ACCEPTED; DUPLICATE: it is here already, or its sample is a hole; DIFFERENT: it is
            here with other values; REFUSED: the design does not have it.
        """
        row = self._rows.get(key.sample)
        if row is None or not 0 <= key.step < self._design.n_frames:
            return Verdict.REFUSED
        line = int(self._line_of[row, key.step])
        if line < 0:
            return Verdict.DUPLICATE if key.sample in self._holes else Verdict.ACCEPTED
        if int(self._lines["digest"][line]) == digest:
            self._duplicates += 1
            return Verdict.DUPLICATE
        self._different += 1
        if len(self._conflicts) < _LISTED:
            self._conflicts.append(key)
        return Verdict.DIFFERENT

    def accept(self, key: FrameKey, digest: int, seconds: float) -> int:
        """Write the line of a frame; return its number.

        Raises
        ------
        StoreError
            If `judge` would not accept it.
        """
        row = self._rows.get(key.sample)
        if row is None or self._line_of[row, key.step] >= 0 or key.sample in self._holes:
            raise StoreError(f"Expected a frame that is not in the ledger; received {key}.")
        number = self._length
        self._lines[number] = (key.sample, key.attempt, key.step, digest, seconds)
        self._length += 1
        self._line_of[row, key.step] = number
        self._held[row] += 1
        self._complete += int(self._held[row] == self._design.n_frames)
        return number

    def hole(self, sample: int) -> Hole | None:
        """Return why and by whom a sample was given up; None if it is no hole."""
        return self._holes.get(sample)

    def close(self, sample: int, hole: Hole) -> bool:
        """Record that a sample will not be completed.

        Parameters
        ----------
        sample
            Its number.
        hole
            Why. Of a sample that is a hole already, the first reason stays.

        Returns
        -------
        bool
            False if it is complete, a hole already, or not in the design.
        """
        if sample not in self._rows or self.complete(sample):
            return False
        former = self._holes.get(sample)
        if former is not None:
            attempt = max(former.attempt, hole.attempt)
            hole = Hole(former.reason, attempt, former.recorded or hole.recorded)
        self._holes[sample] = hole
        return former is None

    def reopen(self, sample: int) -> bool:
        """Want a hole's frames again; return False if the sample is no hole."""
        return self._holes.pop(sample, None) is not None

    def state(self) -> State:
        """Return the lines, as columns of bytes, and the counts."""
        return {
            "lines": self.lines.copy().view(np.uint8).reshape(-1, LINE.itemsize),
            "holes": {str(sample): [*astuple(hole)] for sample, hole in self._holes.items()},
            "duplicates": self._duplicates,
            "different": self._different,
            "conflicts": [[k.sample, k.attempt, k.step] for k in self._conflicts],
        }

    def restore(self, state: State) -> None:
        """Go on from a state.

        Raises
        ------
        UserError
            If a line is not of this design.
        """
        stored = np.ascontiguousarray(np.asarray(state["lines"], dtype=np.uint8))
        lines = stored.reshape(-1).view(LINE)
        rows = np.array([self._rows.get(int(s), -1) for s in lines["sample"]], dtype=np.int64)
        if (rows < 0).any() or (lines["step"] >= self._design.n_frames).any():
            raise UserError(
                "Expected the ledger of this study; received one with other samples or output "
                "times. Use another run folder, or the study of that run."
            )
        self._length = len(lines)
        self._lines = np.zeros(self._line_of.size, dtype=LINE)
        self._lines[: self._length] = lines
        self._line_of[:] = -1
        self._line_of[rows, lines["step"]] = np.arange(self._length, dtype=np.int32)
        self._held = np.count_nonzero(self._line_of >= 0, axis=1).astype(np.int32)
        self._complete = int(np.count_nonzero(self._held == self._design.n_frames))
        holes = cast(dict[str, Any], state["holes"])
        self._holes = {int(sample): Hole(*values) for sample, values in holes.items()}
        self._duplicates = int(cast(Any, state["duplicates"]))
        self._different = int(cast(Any, state["different"]))
        self._conflicts = [FrameKey(*key) for key in cast(Any, state["conflicts"])]
