"""Online training beside its rivals: the stream, the solver's cost, memory, quality, time.

``python benchmarks/online.py [--quick] [--only SECTION ...]``. The rivals are a loop of the
published kind (`_published_loop.py`), everything in memory and shuffled, memory-mapped data, and
one npz file per simulation.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Mapping
from importlib.metadata import version
from types import MappingProxyType

from _report import Report, cores, one_thread

__all__ = ["SECTIONS", "main"]

SECTIONS: Mapping[str, str] = MappingProxyType(
    {
        name: f"_online_{name}"
        for name in ("ingest", "overhead", "memory", "feed", "quality", "time")
    }
)
"""Modules of the sections by name; each has `measure(report, quick=...)`."""


def main() -> int:
    """Run the sections and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="smaller sizes, the same targets")
    parser.add_argument("--only", nargs="+", choices=[*SECTIONS], metavar="SECTION",
                        help=f"sections to run, out of {', '.join(SECTIONS)}")  # fmt: skip
    options = parser.parse_args()
    if one_thread() != dict(os.environ):  # as in `_report.arguments`
        os.execve(sys.executable, sys.orig_argv, one_thread())
    chosen = [name for name in SECTIONS if options.only is None or name in options.only]
    name = "online" if options.only is None else f"online-{'-'.join(chosen)}"
    report = Report(name, "Online training beside its rivals", quick=options.quick)
    report.note(
        f"PyTorch {version('torch')}, pyzmq {version('pyzmq')}; one thread for every library, "
        f"{cores()} cores: one for the simulations, one for the trainer, where both run."
    )
    for section in chosen:
        importlib.import_module(SECTIONS[section]).measure(report, quick=options.quick)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
