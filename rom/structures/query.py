"""One query of a published structure: the reduced run, and what is selected of it."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError
from rom.prepared_rows import RowMaker
from rom.selection import Select
from rom.structures.kept_runs import StructureRun
from rom.structures.life import CYCLES, RANGE, LifeSettings, cycles_to_failure
from rom.structures.online import run
from rom.structures.published_parts import PLASTICITY, StructureParts
from rom.structures.reconstruction import displacement, reconstruct, values_at_points
from rom.structures.reduced_loads import ReducedLoads
from rom.structures.response import PointFrame, ResponseMaker, StructureResponse
from rom.structures.state import ReducedState

__all__ = ["answered", "between", "query_run", "reduced_frames"]

type _Floats = NDArray[np.float64]


def query_run(parts: StructureParts, maker: ResponseMaker, mu: Mapping[str, float]) -> StructureRun:
    """Return the reduced run for all parameters of a problem.

    Raises
    ------
    UserError
        If a parameter is outside of the bounds of the problem.
    ReducedStepError
        If a step does not converge.
    """
    model, indicator = parts.model, parts.indicator
    loads = model.loads(parts.case(mu).loads)
    start = model.start(float(parts.times[0]))
    states = [start, *(state for state, _ in run(model, loads, start, parts.times[1:]))]
    fit = model.dual(indicator.name).gappy
    eta = [
        indicator(fit.residual(values_at_points(model, state, indicator.name)))
        for state in states[1:]
    ]
    response = maker(parts.times, reduced_frames(parts, loads, states))
    return StructureRun(response, np.stack([state.q for state in states]), np.array(eta))


def reduced_frames(
    parts: StructureParts, loads: ReducedLoads, states: list[ReducedState]
) -> Iterator[PointFrame]:
    """Give displacement, stress and plasticity on the whole mesh, state by state."""
    model, previous = parts.model, None
    for state in states:
        stress = reconstruct(model, state, "stress").values
        if parts.flows:
            previous = reconstruct(model, state, PLASTICITY, previous).values
        flowed = None if previous is None else previous[:, 0]
        yield PointFrame(displacement(model, loads, state), stress, flowed)


def answered(
    response: StructureResponse,
    rows: RowMaker,
    what: Select,
    times: _Floats,
    life: LifeSettings | None = None,
) -> dict[str, _Floats]:
    """Return what is selected of a response at some times.

    Parameters
    ----------
    response
        Of whatever model.
    rows
        Selects among its fields.
    what
        Fields or quantities.
    times
        (T,), s; what lies between two times of the response is interpolated.
    life
        Coefficients of the material: cycles to failure are those of the interpolated strain range,
        for they themselves fall by decades between two times.

    Returns
    -------
    dict
        (T, n) by field, (T,) by quantity.

    Raises
    ------
    UserError
        If something that is selected does not exist.
    """
    if what.kind == "quantities":
        return _quantities(response, what.names, times, life)
    found = rows(what)
    values = between(response.times, found.basis.modes, times)
    return {name: np.ascontiguousarray(values[part].T) for name, part in found.parts.items()}


def between(known: _Floats, columns: _Floats, times: _Floats) -> _Floats:
    """Return columns (n, T) of known times, interpolated to (n, len(times))."""
    after = np.clip(np.searchsorted(known, times), 1, len(known) - 1)
    share = (times - known[after - 1]) / (known[after] - known[after - 1])
    return np.asarray(columns[:, after - 1] * (1.0 - share) + columns[:, after] * share)


def _quantities(
    response: StructureResponse,
    names: tuple[str, ...],
    times: _Floats,
    life: LifeSettings | None,
) -> dict[str, _Floats]:
    known = response.quantities
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UserError(f"Expected quantities out of {', '.join(known)}; received {unknown}.")
    found = {}
    for name in names or known:
        lives = life is not None and name == CYCLES
        values = np.interp(times, response.times, known[RANGE if lives else name])
        if life is not None and lives:
            values = np.array([cycles_to_failure(float(value), life) for value in values])
        found[name] = values
    return found
