"""`romflow predict`: a saved surrogate at given parameters and times."""

import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, final
from zipfile import BadZipFile

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from flows.figures.files import require_suffix, save, write_file
from flows.figures.model_fields import Patch, prediction_figure
from infra.errors import UserError, storage_errors

if TYPE_CHECKING:
    from surrogates.surrogate import Surrogate

__all__ = ["Prediction", "model_folder", "predict"]

type _Way = tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.float32] | None]

# In the file to start from, and in that which is written.
_TIME = "time"
# How far a time may be from an output time, in intervals: people give rounded numbers.
_SLACK = 1e-3


@final
@dataclass(frozen=True, eq=False)
class Prediction:
    """Frames that a surrogate gives.

    Attributes
    ----------
    mu : parameters by name
    times : (T,) s
    frames : for each field its values, (T, n)
    units : of the fields
    outside : inputs that lie outside the range that the surrogate was trained on, with that range
    seconds : of the whole prediction, loading aside
    """

    mu: Mapping[str, float]
    times: NDArray[np.float64]
    frames: Mapping[str, NDArray[np.float32]]
    units: Mapping[str, str]
    outside: Mapping[str, tuple[float, float]]
    seconds: float


def predict(
    model: Path,
    given: Sequence[str],
    times: Sequence[float],
    *,
    start: Path | None = None,
    output: Path | None = None,
    picture: Path | None = None,
) -> Prediction:
    """Predict, and write what is asked for.

    Parameters
    ----------
    model : folder of a saved surrogate, or of its training
    given : ``name=value`` for each parameter
    times : output times, s; none for the last one of the training
    start : NPZ file with the fields at the time ``time`` in it (s, default the first output time
        of the training), for an autoregressive surrogate; it goes on from there in the training's
        steps, so that all times must be output times of the training
    output : NPZ file that receives parameters, times and fields
    picture : PNG file that receives the fields at the last time

    Raises
    ------
    UserError
        For a wrong folder, parameter, time, start or name of a file.
    """
    for path, suffix in ((output, ".npz"), (picture, ".png")):
        if path is not None:
            require_suffix(path, suffix)
    surrogate = _load(model)
    mu = _parameters(surrogate.inputs.names[:-1], given)
    at = np.array(times if times else [surrogate.inputs.high[-1]], dtype=np.float64)
    stepping = surrogate.autoregressive
    grid, chosen, first = _way(surrogate, at, start) if stepping else _direct(at, start)
    begun = time.perf_counter()
    frames = _frames(surrogate, mu, grid, first)[chosen]
    seconds = time.perf_counter() - begun
    at = grid[chosen]
    slices = surrogate.space.slices
    found = Prediction(
        mu=mu,
        times=at,
        frames={name: frames[:, part] for name, part in slices.items()},
        units={info.name: info.units for info in surrogate.space.fields},
        outside=_outside(surrogate, mu, at),
        seconds=seconds,
    )
    if output is not None:
        _write(output, found)
    if picture is not None:
        save(_picture(surrogate, found), picture)
    return found


def model_folder(place: Path) -> Path:
    """Return the folder that holds the card: the given one, or ``model`` inside it."""
    inner = place / "model"
    return inner if (inner / "card.json").is_file() else place


def _load(place: Path) -> "Surrogate":
    from surrogates.saving import load_model

    surrogate = load_model(model_folder(place))
    surrogate.eval()
    return surrogate


def _parameters(names: Sequence[str], given: Sequence[str]) -> dict[str, float]:
    mu: dict[str, float] = {}
    for text in given:
        name, equals, value = text.partition("=")
        try:
            mu[name] = float(value)
        except ValueError:
            equals = ""
        if not equals or not np.isfinite(mu[name]):
            raise UserError(f"--mu {text}: expected name=number, for example {names[0]}=1.0")
    missing, unknown = set(names) - set(mu), set(mu) - set(names)
    if missing or unknown:
        parts = [f"without {', '.join(sorted(missing))}"] if missing else []
        parts += [f"with the unknown {', '.join(sorted(unknown))}"] if unknown else []
        raise UserError(
            f"--mu: expected each of {', '.join(names)} once, received {' and '.join(parts)}"
        )
    return {name: mu[name] for name in names}


def _direct(at: NDArray[np.float64], start: Path | None) -> _Way:
    if start is not None:
        raise UserError("--start: expected none, for this surrogate needs no state")
    return at, np.arange(len(at)), None


def _way(surrogate: "Surrogate", at: NDArray[np.float64], start: Path | None) -> _Way:
    """Return the times to step through, which of them are asked for, and the first frame."""
    grid = np.array(surrogate.inputs.output_times, dtype=np.float64)
    if not grid.size:
        raise UserError(
            "Expected a card with the output times of the training, from one to the next of which "
            "this surrogate steps; received none. Train it again."
        )
    begun, frame = _start(surrogate, start)
    first = 0 if begun is None else _place(grid, begun, f"--start {start}: `{_TIME}`")
    places = np.array([_place(grid, t, "--time") for t in at.tolist()])
    early = at[places < first]
    if early.size:
        raise UserError(
            f"--time: expected times from that of --start on, {grid[first]:g} s, received "
            f"{early[0]:g} s. Start earlier, or ask for a later time."
        )
    return grid[first : places.max() + 1], places - first, frame


def _place(grid: NDArray[np.float64], t: float, entry: str) -> int:
    """Return the place of a time among the output times."""
    near = int(np.abs(grid - t).argmin())
    interval = np.diff(grid).min(initial=np.inf)
    slack = _SLACK * (interval if np.isfinite(interval) else abs(grid[near]))
    if not abs(grid[near] - t) <= slack:
        around = sorted({*grid[grid < t][-1:].tolist(), *grid[grid > t][:1].tolist()})
        nearest = " or ".join(f"{value:.9g}" for value in around or grid[[0, -1]].tolist())
        raise UserError(
            f"{entry}: expected one of the {grid.size} output times of the training, "
            f"{grid[0]:g} to {grid[-1]:g} s, received {t:.9g}; the nearest: {nearest}"
        )
    return near


def _start(surrogate: "Surrogate", path: Path | None) -> tuple[float | None, NDArray[np.float32]]:
    """Return time and values of the frame to go on from."""
    fields = surrogate.space.fields
    names = [info.name for info in fields]
    if path is None:
        raise UserError(
            f"--start: expected an NPZ file with the fields ({', '.join(names)}) at an output time "
            "(`time`, else the first), for this surrogate goes on from a state; received none"
        )
    arrays = _arrays(path, names)
    missing = [name for name in names if name not in arrays]
    if missing:
        raise UserError(
            f"--start {path}: expected the fields {', '.join(names)}, received none of "
            f"{', '.join(missing)}"
        )
    begun = arrays.get(_TIME)
    if begun is not None and begun.size != 1:
        raise UserError(f"--start {path}: expected one `{_TIME}`, received {begun.size} of them")
    parts = [arrays[name].ravel() for name in names]
    for info, part in zip(fields, parts, strict=True):
        if len(part) != info.size:
            raise UserError(
                f"--start {path}: expected {info.size} values of {info.name}, received {len(part)}"
            )
        if not np.isfinite(part).all():
            raise UserError(
                f"--start {path}: expected finite values of {info.name} in float32, received some "
                "that are NaN or infinite"
            )
    return None if begun is None else float(begun.item()), np.concatenate(parts)


def _arrays(path: Path, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Read fields in single precision, and the time in double if there is one."""
    try:
        with storage_errors(path), path.open("rb") as file, np.errstate(over="ignore"):
            stored = np.load(file, allow_pickle=False)
            if not isinstance(stored, NpzFile):
                raise ValueError("a single array")
            kinds = {**dict.fromkeys(names, np.float32), _TIME: np.float64}
            return {
                name: stored[name].astype(kind, casting="same_kind")
                for name, kind in kinds.items()
                if name in stored.files
            }
    except (OSError, ValueError, TypeError, EOFError, BadZipFile, zlib.error) as error:
        raise UserError(
            f"--start {path}: expected an NPZ file with the fields {', '.join(names)}, received: "
            f"{error}"
        ) from error


def _frames(
    surrogate: "Surrogate",
    mu: Mapping[str, float],
    times: NDArray[np.float64],
    start: NDArray[np.float32] | None,
) -> NDArray[np.float32]:
    import torch

    row = torch.tensor([list(mu.values())], dtype=torch.float64)
    first = None if start is None else torch.from_numpy(start)[None]
    rolled = surrogate.rollout(row, torch.from_numpy(times), first)
    return np.asarray(rolled[0].numpy())


def _outside(
    surrogate: "Surrogate", mu: Mapping[str, float], times: NDArray[np.float64]
) -> dict[str, tuple[float, float]]:
    inputs = surrogate.inputs
    values = [(v, v) for v in mu.values()] + [(float(times.min()), float(times.max()))]
    ranges = zip(inputs.names, inputs.low, inputs.high, values, strict=True)
    slack = 1e-9
    return {
        name: (low, high)
        for name, low, high, (least, most) in ranges
        if least < low - slack * abs(low) or most > high + slack * abs(high)
    }


def _write(path: Path, found: Prediction) -> None:
    memory = BytesIO()
    arrays: dict[str, Any] = {**found.frames, _TIME: found.times}
    arrays |= {f"mu_{name}": np.float64(value) for name, value in found.mu.items()}
    np.savez(memory, allow_pickle=False, **arrays)
    write_file(path, memory.getvalue())


def _picture(surrogate: "Surrogate", found: Prediction) -> Any:
    space = surrogate.space
    if any(location not in space.cells for location in space.locations) or space.gdim != 2:
        raise UserError("--picture: expected a surrogate on triangles in the plane")
    patches = [
        Patch(
            info.name,
            info.units,
            space.points_of(info.location),
            space.cells[info.location],
            found.frames[info.name][-1].astype(np.float64),
        )
        for info in space.fields
    ]
    values = ", ".join(f"{name} = {value:.4g}" for name, value in found.mu.items())
    return prediction_figure(f"{values}, t = {found.times[-1]:.4g} s", patches)
