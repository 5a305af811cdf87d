"""A trajectory as an animated GIF that is small enough for a README."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.collections import TriMesh
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from flows.figures.files import require_suffix, write_file
from flows.figures.films import Film, film_of
from flows.figures.panels import INK, SIZE, Sheet, colour_bar, draw_field, label_axes
from flows.figures.text import parameter_text, time_texts, wrapped
from infra.errors import UserError
from infra.store import SnapshotStore
from solvers.mesh import FloatArray

__all__ = ["save_animation"]

_DPI = 100
# Inches: margins around the panel, and its largest height.
_LEFT, _RIGHT, _BELOW, _LINE, _TALLEST = 0.7, 1.35, 0.5, 0.19, 4.5
_NARROWEST = 400
# Colours of the field, by the largest number of frames that has them, and greys of texts and
# lines: one palette for all frames.
_SHADES, _FEWEST, _GREYS = ((80, 64), (160, 32)), 20, 16
_LOOP_MS, _SHORTEST_MS, _LONGEST_MS = 6000, 40, 250


def save_animation(
    store: SnapshotStore,
    sample: int,
    path: Path,
    field: str | None = None,
    width_px: int = 900,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write all frames of one sample as a GIF that repeats for ever.

    Colours keep their meaning over all frames. The data of one frame are in memory at a time,
    and the pictures with one byte per pixel.

    Parameters
    ----------
    store, sample : what is drawn
    field : name of the field; None stands for the vorticity of a flow, or for the solution
    path : file to write; its name ends in ``.gif``
    width_px : width of the picture, 400 or more
    progress : called with the number of frames drawn and their total

    Returns
    -------
    Path
        `path`; folders above it are made.

    Raises
    ------
    UserError
        If the sample is not committed, or an argument is out of range.
    StorageFullError, StorageAccessError
        If the file cannot be written; an older one is left as it was.
    """
    require_suffix(path, ".gif")
    if width_px < _NARROWEST:
        raise UserError(
            f"animation: expected a width of at least {_NARROWEST} pixels, received {width_px}."
        )
    pictures = _pictures(store, film_of(store, sample, field), sample, width_px, progress)
    duration = min(max(_LOOP_MS // len(store.times), _SHORTEST_MS), _LONGEST_MS)
    buffer = io.BytesIO()
    next(pictures).save(
        buffer,
        format="GIF",
        save_all=True,
        append_images=pictures,
        duration=duration,
        loop=0,
        optimize=False,  # it would give every frame a palette of its own
    )
    return write_file(path, buffer.getvalue())


def _pictures(
    store: SnapshotStore,
    film: Film,
    sample: int,
    width_px: int,
    progress: Callable[[int, int], None] | None,
) -> Iterator[Image.Image]:
    """Draw the frames one after the other on the same figure."""
    total = len(store.times)
    figure, mesh, clock = _stage(store, film, sample, width_px / _DPI)
    palette = _palette(film.quantity.colours, _shades(total))
    for frame, time in enumerate(time_texts(store.description.times)):
        mesh.set_array(film.values(frame))
        clock.set_text(f"t = {time} s")
        yield _picture(figure, palette)
        if progress is not None:
            progress(frame + 1, total)


def _stage(
    store: SnapshotStore, film: Film, sample: int, width: float
) -> tuple[Figure, TriMesh, Text]:
    """Return the figure with everything that stays, and the two things that change."""
    box, quantity = film.box, film.quantity
    panel = min(width - _LEFT - _RIGHT, _TALLEST * box.aspect)
    height = panel / box.aspect
    lines = wrapped(parameter_text(store.description, sample), width - 0.4, SIZE)
    top = 0.55 + _LINE * len(lines)
    sheet = Sheet.blank(width, top + height + _BELOW)
    sheet.text(0.2, 0.12, store.description.title, SIZE + 2, "bold")
    sheet.text(0.2, 0.4, "\n".join(lines), SIZE)
    axes = sheet.axes((width - panel - _RIGHT + _LEFT) / 2, top, panel, height)
    start: FloatArray = np.zeros(len(film.points))
    mesh = draw_field(axes, film.triangles, film.points, start, film.limits, quantity, box)
    colour_bar(sheet, axes, mesh, film.limits, quantity)
    label_axes(axes)
    clock = sheet.figure.text(
        1 - 0.2 / width, 1 - 0.12 / sheet.height, "", fontsize=SIZE + 1, ha="right", va="top"
    )
    clock.set_color(INK)
    return sheet.figure, mesh, clock


def _picture(figure: Figure, palette: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, pil_kwargs={"compress_level": 1})
    with Image.open(buffer) as picture:
        # Dithering would change every pixel in every frame.
        return picture.convert("RGB").quantize(palette=palette, dither=Image.Dither.NONE)


def _shades(n_frames: int) -> int:
    """Return a number of colours: up to 160 frames of 900 by 250 pixels then take about 3 MB."""
    return next((shades for most, shades in _SHADES if n_frames <= most), _FEWEST)


def _palette(colours: str, n_shades: int) -> Image.Image:
    """Return a picture whose palette holds the colour map and greys."""
    shades = colormaps[colours](np.linspace(0, 1, n_shades))[:, :3]
    greys = np.repeat(np.linspace(0, 1, _GREYS)[:, None], 3, axis=1)
    table = np.rint(255 * np.concatenate([shades, greys])).astype(np.uint8)
    holder = Image.new("P", (1, 1))
    holder.putpalette(table.tobytes())
    return holder
