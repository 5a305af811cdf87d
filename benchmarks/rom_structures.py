"""Reduced structures: parity over cycles, speed over mesh sizes, new temperature fields.

The judge is always our own full-order model on DOLFINx.
"""

import sys

from _report import Report, arguments
from _structures_blade import Scale, compare_fields
from _structures_cube import compare_cycles, compare_sizes

__all__ = ["main"]

_BLADE = {"around": 12, "through": 1, "along": 6, "increments": 50, "cycles": 2}
_SMALL = {"around": 8, "through": 1, "along": 4, "increments": 50, "cycles": 1}


def main() -> int:
    """Compare."""
    quick = arguments(__doc__).quick
    report = Report("rom_structures", "Hyper-reduced structures", quick=quick)
    if quick:
        compare_cycles(report, 3, (1, 2, 3, 4), 5)
        compare_sizes(report, (3, 6), 1.0, 3)
        # Few steps of few fields: too few for the targets of the whole comparison.
        few = Scale(_SMALL, 4, 2, 0.05, coverage=(0.5, 1.0), gain=1.2)
        compare_fields(report, few)
    else:
        compare_cycles(report, 6, (1, 2, 3, 4), 6)
        compare_sizes(report, (6, 10, 14, 20), 20.0, 5)
        compare_fields(report, Scale(_BLADE, 16, 16, 0.05))
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
