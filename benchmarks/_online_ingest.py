"""Frames received per second: ours beside a raw ZeroMQ loop, the published kind, and files."""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, final

from _online_carriers import (
    batch_of,
    npz_client,
    npz_server,
    published_client,
    published_server,
    raw_client,
    raw_server,
    warm_up,
)
from _online_own import our_client, our_reading_server, our_server
from _online_pair import Pair, Watch
from _report import Report, middle

__all__ = ["measure"]

_SIZES = {"40kB": 10_000, "4MB": 1_000_000, "64MB": 16_000_000}
# Frames of the first, uncounted round, from which the number of the others follows.
_FIRST = {"40kB": 300, "4MB": 10, "64MB": 3}
_RAW, _OURS = "raw ZeroMQ, TCP", "**ours**"
_READING, _PUBLISHED = "**ours, read at full speed**", "published kind, read at full speed"
# Most frames of one run: what nobody reads must fit into memory.
_MOST_BYTES = 3 << 30


@final
@dataclass
class _Way:
    """One way of the frames, and how quick it was.

    Attributes
    ----------
    client, server : functions of `folder`, `n_values` and `frames`
    rates : frames per second, one for each round
    processor : seconds of the processor for one frame, both processes together
    """

    client: Callable[..., Watch]
    server: Callable[..., Watch]
    rates: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    def run(self, pair: Pair, n_values: int, frames: int) -> float:
        """Send so many frames after the first ones; return frames per second."""
        total = frames + warm_up(n_values)
        folder = Path(tempfile.mkdtemp(prefix="romflow-ingest-"))
        values: Mapping[str, Any] = {"folder": folder, "n_values": n_values, "frames": total}
        try:
            client, server = pair.run((self.client, values), (self.server, values))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self.processor.append((client.processor + server.processor) / frames)
        self.rates.append(frames / (server.ended - client.began))
        return self.rates[-1]


def _ways(*, quick: bool) -> dict[str, _Way]:
    """Return all ways; for a quick run only those of which targets speak."""
    main = {
        _RAW: _Way(raw_client, raw_server),
        _OURS: _Way(our_client, our_server),
        _READING: _Way(our_client, our_reading_server),
        _PUBLISHED: _Way(published_client, partial(published_server, reading=True)),
    }
    further = {
        "raw ZeroMQ, Unix socket": _Way(raw_client, partial(raw_server, local=True)),
        "ours, as from another machine": _Way(partial(our_client, shared=False), our_server),
        "the same, encrypted (`tcp`)": _Way(
            partial(our_client, shared=False), partial(our_server, transport="tcp")
        ),
        "published kind, nobody reads": _Way(
            published_client, partial(published_server, reading=False)
        ),
        "a file (npz) per frame": _Way(npz_client, npz_server),
    }
    return main if quick else main | further


def measure(report: Report, *, quick: bool) -> None:
    """Measure all ways for three sizes of fields, in turn; add tables and targets."""
    report.section("Ingest")
    report.note(
        "One client process and one server process on one machine, each on a core of its own with "
        "all its threads (those of ZeroMQ included). Frames of float32; the first ones warm up, "
        "then the time runs until the last is where the trainer reads it. The raw loop copies each "
        "frame once, into a ring; ours also checks, judges, journals and answers it. Medians of "
        "rounds in which all ways take turns, with least and largest; ratios are medians of the "
        "rounds' ratios. Journals and files lie in the folder for temporary files, mostly in the "
        "memory of the kernel, and are removed after each run."
    )
    with Pair() as pair:
        for size, n_values in _SIZES.items():
            _one(report, pair, size, n_values, quick=quick)


def _one(report: Report, pair: Pair, size: str, n_values: int, *, quick: bool) -> None:
    seconds, rounds = (0.15, 3) if quick else (1.3, 5)
    ways = _ways(quick=quick)
    counts = {}
    for name, way in ways.items():
        rate = way.run(pair, n_values, _FIRST[size])
        way.rates.clear()
        way.processor.clear()
        most = _MOST_BYTES // (4 * n_values)
        counts[name] = min(most, max(4, round(rate * seconds)))
    for _ in range(rounds):
        for name, way in ways.items():
            way.run(pair, n_values, counts[name])
    _tell(report, size, n_values, ways, counts)


def _tell(
    report: Report, size: str, n_values: int, ways: dict[str, _Way], counts: dict[str, int]
) -> None:
    rows = []
    for name, way in ways.items():
        spread = f"{min(way.rates):.4g} to {max(way.rates):.4g}"
        speed = f"{middle(way.rates) * 4e-6 * n_values:.4g}"
        to_raw, to_published = (_ratio(way, ways[other]) for other in (_RAW, _PUBLISHED))
        rows.append(
            [name, counts[name], middle(way.rates), spread, speed, f"{to_raw:.3f}",
             f"{to_published:.2f}", f"{1e6 * middle(way.processor):.1f}"]
        )  # fmt: skip
    report.note(
        f"Fields of {size}; who reads at full speed takes batches of {batch_of(n_values)} from a "
        "reservoir of the published policy."
    )
    report.table(
        ["way", "frames", "frames/s", "least to largest", "MB/s", "of raw TCP", "of published",
         "processor, us/frame"],
        rows,
    )  # fmt: skip
    report.at_least(f"ingest-{size}", _ratio(ways[_OURS], ways[_RAW]), 0.9)
    over = _ratio(ways[_READING], ways[_PUBLISHED])
    report.at_least(f"ingest-{size}-over-published", over, 2.0)


def _ratio(way: _Way, other: _Way) -> float:
    return middle([a / b for a, b in zip(way.rates, other.rates, strict=True)])
