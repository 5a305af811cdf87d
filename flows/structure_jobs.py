"""Jobs of the query service for structures: the full-order model beside an answer."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flows.structure_full import compute_full
from infra.records import Json
from rom.selection import Select
from rom.service.local_jobs import JobHandle
from rom.structures.judgement import judge_run
from rom.structures.published import PublishedStructure

__all__ = ["compare_structure"]

type _Outcome = tuple[dict[str, Json], dict[str, NDArray[np.floating]]]


def compare_structure(
    model: PublishedStructure, mu: Mapping[str, float], place: Path, handle: JobHandle
) -> _Outcome:
    """Compute the full-order run beside a model's answer.

    Parameters
    ----------
    model : asked at the same parameters
    mu : load parameters
    place : folder that keeps full-order runs
    handle : told how far it is

    Returns
    -------
    tuple
        Errors and quantities, and the full-order fields (T, n) by name.
    """
    handle.progress(0.1, "the full-order model runs")
    full = compute_full(model, mu, place)
    handle.check()
    handle.progress(0.8, "the errors are computed")
    judged = judge_run(model.parts, full.trajectory)
    names = tuple(info.name for info in model.space.fields)
    answer = model.at_full_order(mu, full.response, None, Select.fields(*names))
    errors = dict(judged.errors)
    own: dict[str, Json] = {}
    if len(judged.own):
        own = {"error": float(judged.own.max())}
        if np.isfinite(judged.eta).all():
            own["indicator"] = float(judged.eta.max())
    result: dict[str, Json] = {
        **own,
        "errors": {name: float(value) for name, value in errors.items()},
        "quantities": {name: v.tolist() for name, v in full.response.quantities.items()},
        "seconds": full.seconds,
        "level_used": answer.level_used,
    }
    return result, {name: values[0] for name, values in answer.values.items()}
