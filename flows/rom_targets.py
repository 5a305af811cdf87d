"""What a reduced model promises, measured: the numbers that its report judges it by."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import final

import numpy as np
from scipy.special import betaincinv

from flows.rom_errors import Evaluation, Separation
from infra.records import Json
from rom.reduced_model import ReducedModel

__all__ = ["Target", "evaluation_record", "share_interval", "targets"]


@final
@dataclass(frozen=True)
class Target:
    """One promise.

    Attributes
    ----------
    name : what was measured
    value : what came out
    low, high : between which it should lie
    """

    name: str
    value: float
    low: float
    high: float

    @property
    def met(self) -> bool:
        """Whether it is kept."""
        return self.low <= self.value <= self.high

    @property
    def text(self) -> str:
        """What was asked for, in words."""
        if np.isinf(self.high):
            return f"at least {self.low:g}"
        return f"{self.low:g} to {self.high:g}"


def targets(
    model: ReducedModel, seen: Evaluation | None, apart: Separation
) -> tuple[Target, ...]:  # fmt: skip
    """Return coverage and sharpness of the indicator, and how well the range is told.

    They are those of the held-out simulations; without any, those of the calibration, in which
    each simulation was left out once.
    """
    trust = model.card.trust
    if seen is None:
        where, covered, sharpness = "left out once", trust.measured_coverage, trust.sharpness
        known = ""
    else:
        where, covered, sharpness = "held out", seen.covered, seen.sharpness
        number = len(seen.errors)
        low, high = share_interval(round(covered * number), number)
        known = f" (of {number}, which says {low:.0%} to {high:.0%} with 95 % confidence)"
    return (
        Target(f"errors below the indicator, simulations {where}{known}", covered, 0.90, 0.99),
        Target(f"median of indicator over error, simulations {where}", sharpness, 1.0, 3.0),
        Target("in the trained box and around it told apart (area under the ROC curve)",
               apart.by_score, 0.95, np.inf),
    )  # fmt: skip


def share_interval(hits: int, number: int) -> tuple[float, float]:
    """Return the exact 95 % interval of a share of which `hits` out of `number` were seen.

    Clopper and Pearson (1934), doi:10.1093/biomet/26.4.404. A few dozen simulations leave much
    open, whatever the share among them is.
    """
    low = 0.0 if hits == 0 else float(betaincinv(hits, number - hits + 1, 0.025))
    high = 1.0 if hits == number else float(betaincinv(hits + 1, number - hits, 0.975))
    return low, high


def evaluation_record(
    found: tuple[Target, ...], seen: Evaluation | None, apart: Separation
) -> dict[str, Json]:
    """Return the measured numbers as JSON, for the model's lineage."""
    numbers: dict[str, Json] = {
        "targets": [
            {k: None if isinstance(v, float) and np.isinf(v) else v for k, v in asdict(t).items()}
            | {"met": t.met}
            for t in found
        ],
        "separation_by_indicator": apart.by_indicator,
    }
    if seen is None:
        return numbers
    return numbers | {
        "simulations": len(seen.samples),
        "median_error": float(np.median(seen.errors)),
        "q90_error": float(np.quantile(seen.errors, 0.9)),
        "largest_error": float(seen.errors.max()),
        "coverage": seen.covered,
        "sharpness": seen.sharpness,
        "quantities": _plain(seen.quantities),
    }


def _plain(values: Mapping[str, float]) -> dict[str, Json]:
    return {name: float(value) for name, value in values.items()}
