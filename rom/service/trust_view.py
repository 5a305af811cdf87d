"""Trust in an answer as the service shows it: a truth value and its reason for every query."""

from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from rom.answer import Answer

__all__ = ["header_text", "trust_headers", "trust_table", "trusted"]


def trusted(answer: Answer, tolerance: float) -> NDArray[np.bool_]:
    """Tell for each query, (q,), whether it is in range with an indicator up to a tolerance."""
    return answer.in_range & (answer.eta <= tolerance)


def trust_table(answer: Answer, tolerance: float) -> dict[str, Any]:
    """Return what a reply says about the trust in its queries, lists of q entries."""
    fine = trusted(answer, tolerance)
    return {
        "indicator": answer.eta,
        "coverage": answer.coverage,
        "tolerance": tolerance,
        "in_range": answer.in_range.tolist(),
        "trusted": fine.tolist(),
        "score": answer.score,
        "distance": answer.distance,
        "reasons": _reasons(answer, fine, tolerance),
    }


def trust_headers(answer: Answer, tolerance: float) -> dict[str, str]:
    """Return the same for all queries together, as headers of a binary reply."""
    return {
        "X-Romflow-Model": f"{answer.model}/{answer.version}",
        "X-Romflow-Level": answer.level_used,
        "X-Romflow-Indicator": f"{answer.eta.max():.6g}",
        "X-Romflow-Coverage": f"{answer.coverage:.6g}",
        "X-Romflow-In-Range": str(bool(answer.in_range.all())).lower(),
        "X-Romflow-Trusted": str(bool(trusted(answer, tolerance).all())).lower(),
    }


def header_text(text: str) -> str:
    """Return a text that a header can carry: other letters than ASCII are percent-encoded."""
    return text if text.isascii() and text.isprintable() else quote(text)


def _reasons(answer: Answer, fine: NDArray[np.bool_], tolerance: float) -> list[str]:
    """Say why queries are not trusted; an empty text for those that are."""
    if fine.all():
        return [""] * len(fine)
    return [
        "" if ok else reason or f"the indicator {eta:.3g} is above the tolerance {tolerance:g}"
        for ok, reason, eta in zip(fine.tolist(), answer.reasons, answer.eta.tolist(), strict=True)
    ]
