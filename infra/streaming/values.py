"""From a solver's arrays to the vector of a frame, or to a clear error."""

from collections.abc import Mapping

import google_crc32c
import numpy as np

from infra.errors import NotFiniteError, UserError
from infra.streaming.frames import StreamSpec, Values

__all__ = ["fill_values"]

# Values that are copied, checked and hashed together, while they are in the processor's cache.
_BLOCK = 1 << 16


def fill_values(
    spec: StreamSpec,
    part: tuple[int, int] | None,
    values: Mapping[str, np.ndarray] | np.ndarray,
    out: Values,
) -> int:
    """Copy the values of a frame as float32, check them, and return their digest.

    Parameters
    ----------
    spec
        The fields and their sizes.
    part
        First and one past the last index of a rank's part of the vector; None for all of it.
    values
        The vector, or arrays by field. Floating point of any precision, strided as it may be.
    out
        Takes the values, shape (n_values,) or (stop - start,).

    Returns
    -------
    int
        CRC-32C of the bytes of `out`.

    Raises
    ------
    UserError
        If names, sizes or types differ from the stream's.
    NotFiniteError
        If a value is NaN or infinite, in float32 if not before.
    """
    digest, finite = 0, True
    # What does not fit into float32 becomes infinite, and is found by the check.
    with np.errstate(over="ignore", invalid="ignore"):
        for array, place in _pieces(spec, part, values, out):
            for start in range(0, place.size, _BLOCK):
                block = place[start : start + _BLOCK]
                block[:] = array[start : start + _BLOCK]
                finite = finite and bool(np.isfinite(block).all())
                digest = google_crc32c.extend(digest, block)
    if not finite:
        raise NotFiniteError(
            f"Expected finite numbers; received {_where(spec, part, out)} that are NaN or "
            "infinite in float32. The solver diverged, or its units leave the range of float32."
        )
    return int(digest)


def _pieces(
    spec: StreamSpec,
    part: tuple[int, int] | None,
    values: Mapping[str, np.ndarray] | np.ndarray,
    out: Values,
) -> list[tuple[np.ndarray, Values]]:
    """Return flat arrays with their places in the vector."""
    if not isinstance(values, Mapping):
        return [(_checked("the frame", values, out.size), out)]
    if part is not None:
        raise UserError(
            "Expected one vector from a rank that sends a part of the frame; received arrays by "
            "name. Hand over the values of the rank's own range."
        )
    if set(values) != set(spec.slices):
        raise UserError(f"Expected the fields {list(spec.slices)}; received {list(values)}.")
    return [
        (_checked(f"`{name}`", values[name], place.stop - place.start), out[place])
        for name, place in spec.slices.items()
    ]


def _checked(what: str, values: np.ndarray, size: int) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind != "f" or array.size != size:
        raise UserError(
            f"Expected {size} floating-point values in {what}; received {array.dtype} of shape "
            f"{array.shape}. Convert the array, or describe the dataset as it is."
        )
    return array.reshape(-1)


def _where(spec: StreamSpec, part: tuple[int, int] | None, values: Values) -> str:
    bad = np.flatnonzero(~np.isfinite(values)) + (0 if part is None else part[0])
    pairs = [
        (name, int(np.count_nonzero((bad >= place.start) & (bad < place.stop))))
        for name, place in spec.slices.items()
    ]
    return ", ".join(f"{count} values of `{name}`" for name, count in pairs if count)
