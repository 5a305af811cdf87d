r"""What a regressor learns from: checked, in one canonical order, standardised.

Rows are sorted and equal inputs are merged into one row with the mean of their outputs. So a fit
does not depend on the order of arrival, not even by rounding, and never meets an input twice.
With mean m and deviation s of each output over the rows, methods see :math:`(y - m) / s`.
"""

from dataclasses import dataclass
from typing import Self, final

import numpy as np

from infra.errors import UserError
from rom.regression.state import Floats

__all__ = ["TrainingSet", "canonical_order", "require_finite"]


@final
@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Inputs and standardised outputs.

    Attributes
    ----------
    x
        Distinct inputs, (m, d).
    y
        Outputs with mean 0 and deviation 1 over the rows, (m, r); zeros where constant.
    mean, scale
        Of each output, (r,), in its units. The scale of a constant output is 0.
    """

    x: Floats
    y: Floats
    mean: Floats
    scale: Floats

    @classmethod
    def of(cls, x: Floats, y: Floats, fewest: int) -> Self:
        """Return the training set of inputs (m, d) and outputs (m, r).

        Raises
        ------
        UserError
            If shapes do not fit, values are not finite, or there are less than `fewest` distinct
            inputs.
        """
        x, y = _checked(x, y)
        x, y = _merged(x, y)
        if len(x) < fewest:
            raise UserError(
                f"Expected at least {fewest} distinct points to fit this regressor with "
                f"{x.shape[1]} inputs; received {len(x)}. Add samples, or fix a parameter."
            )
        mean, scale = _moments(y)
        spread = np.where(scale > 0, scale, 1.0)
        return cls(x, np.where(scale > 0, (y - mean) / spread, 0.0), mean, scale)


def canonical_order(x: Floats, y: Floats) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Return the order of rows by inputs (m, d), then by outputs (m, r), both lexicographic."""
    order: np.ndarray[tuple[int], np.dtype[np.intp]] = np.lexsort(np.column_stack([x, y]).T[::-1])
    return order


def require_finite(what: str, values: Floats) -> None:
    """Refuse NaN and infinite values; `what` names the array, whose rows are samples.

    Raises
    ------
    UserError
        The message names the first row.
    """
    if np.isfinite(values).all():
        return
    bad = np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(axis=1))
    raise UserError(
        f"Expected finite {what}; received NaN or infinite values in {len(bad)} of {len(values)} "
        f"rows, the first is row {bad[0]}. Leave these samples out or compute them again."
    )


def _checked(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    # Adding zero makes -0.0 and 0.0 the same input.
    x, y = np.asarray(x, dtype=np.float64) + 0.0, np.asarray(y, dtype=np.float64)
    fits = x.ndim == y.ndim == 2 and len(x) == len(y) and x.shape[1] > 0 and y.shape[1] > 0
    if not fits:
        raise UserError(
            "Expected inputs of shape (m, d) and outputs of shape (m, r) with the same m and at "
            f"least one column each; received {x.shape} and {y.shape}. Give one row per sample."
        )
    require_finite("inputs", x)
    require_finite("outputs", y)
    return x, y


def _merged(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    order = canonical_order(x, y)
    x, y = x[order], y[order]
    if not len(x):
        return x, y
    starts = np.flatnonzero(np.r_[True, (x[1:] != x[:-1]).any(axis=1)])
    counts = np.diff(np.r_[starts, len(x)])
    return x[starts], np.add.reduceat(y, starts, axis=0) / counts[:, np.newaxis]


def _moments(y: Floats) -> tuple[Floats, Floats]:
    mean, scale = y.mean(axis=0), y.std(axis=0)
    # What varies by rounding only is a constant: scaled up, it would be learnt as noise.
    largest = np.abs(y).max(axis=0)
    constant = np.ptp(y, axis=0) <= 64 * np.finfo(np.float64).eps * largest
    return np.where(constant, y[0], mean), np.where(constant, 0.0, scale)
