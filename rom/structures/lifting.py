r"""Displacements that are prescribed and not zero.

.. math:: u = \sum_d g_d(t) L_d + \sum_i q_i \psi_i

The modes vanish where displacements are prescribed; the lift :math:`L_d` is one on its own region
and component. It is a combination of snapshots, found from their values :math:`g_d(t_j)`, so that
no linear system is solved: with :math:`A_{dj} = g_d(t_j)`, :math:`L = U A^+`. Each node's lift
follows from its own displacements, so that nodes can be on different processes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError
from solvers.loads import LoadCase, Prescribed

__all__ = ["LiftPlan", "Lifting", "Support", "lift_plan", "supports"]

type _Floats = NDArray[np.float64]
# A region of nodes and a component.
type Support = tuple[str, int]

_ROUNDING = 1e-9


@final
@dataclass(frozen=True, eq=False)
class Lifting:
    """See the module.

    Attributes
    ----------
    held
        All supports, in the order of the loads.
    moved
        Those of them that are not always zero; one lift each.
    fields
        L, (number of moved, 3 N), dimensionless.
    allowed
        Orthogonal projector on the values that the training had, (moved, moved).
    """

    held: tuple[Support, ...]
    moved: tuple[Support, ...]
    fields: _Floats
    allowed: _Floats

    def __post_init__(self) -> None:
        # One layout, whether they were computed or read: sums round alike.
        for name in ("fields", "allowed"):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name)))

    def require_fits(self, loads: LoadCase) -> None:
        """Check that loads prescribe what the training did.

        Raises
        ------
        UserError
            If a support is missing or new, or one moves that never did.
        """
        given = supports(loads)
        if set(given) != set(self.held):
            raise UserError(
                f"Expected displacements prescribed on {_words(self.held)}, as in the training; "
                f"received {_words(given)}. A reduced model holds for the supports that it was "
                "built with."
            )
        moving = {_key(p.region, p.component) for p in loads.prescribed if _moves(p)}
        if not moving <= set(self.moved):
            raise UserError(
                f"Expected moving supports among {_words(self.moved)}; received also "
                f"{_words(tuple(moving - set(self.moved)))}. Add a run in which it moves."
            )

    def values(self, loads: LoadCase, time: float) -> _Floats:
        """Return g, (moved,), mm.

        Raises
        ------
        UserError
            If supports move in a proportion that no run had.
        """
        now = _values(loads, self.moved, time)
        away = now - self.allowed @ now
        if np.abs(away).max(initial=0.0) > _ROUNDING * np.abs(now).max(initial=0.0):
            raise UserError(
                f"Expected the supports {_words(self.moved)} to move in a proportion of the "
                f"training; received {now.tolist()} mm at t = {time:g} s. Add a run in which they "
                "move independently."
            )
        return now


def supports(loads: LoadCase) -> tuple[Support, ...]:
    """Return the regions and components with prescribed displacements, each once."""
    return tuple(dict.fromkeys(_key(p.region, p.component) for p in loads.prescribed))


@final
@dataclass(frozen=True, eq=False)
class LiftPlan:
    """How lifts follow from displacements.

    Attributes
    ----------
    held, moved
        As in `Lifting`.
    amounts
        A, the prescribed values at the K times of all runs, (K, moved), mm.
    """

    held: tuple[Support, ...]
    moved: tuple[Support, ...]
    amounts: _Floats

    @cached_property
    def inverse(self) -> _Floats:
        """The combination of displacements, (moved, K)."""
        return np.asarray(np.linalg.pinv(self.amounts)) if self.moved else self.amounts.T

    def fields(self, rows: _Floats) -> _Floats:
        """Return lifts (moved, n) from displacements (K, n) at all times, at any nodes."""
        return self.inverse @ rows

    def lifting(self, fields: _Floats) -> Lifting:
        """Return what is known about the lifts (moved, 3 N) of all nodes."""
        return Lifting(self.held, self.moved, fields, self.inverse @ self.amounts)


def lift_plan(runs: Sequence[tuple[LoadCase, _Floats]]) -> LiftPlan:
    """Return the plan for a training set: the loads and times (T + 1,) of each run.

    Raises
    ------
    UserError
        If runs have different supports.
    """
    held = supports(runs[0][0])
    for loads, _ in runs[1:]:
        if set(supports(loads)) != set(held):
            raise UserError(
                f"Expected the same supports in all runs; received {_words(held)} and "
                f"{_words(supports(loads))}. Build a model for each load type."
            )
    moved = tuple(s for s in held if any(_moved(loads, s) for loads, _ in runs))
    rows = [_values(loads, moved, float(time)) for loads, times in runs for time in times]
    return LiftPlan(held, moved, np.array(rows).reshape(len(rows), len(moved)))


def _values(loads: LoadCase, moved: tuple[Support, ...], time: float) -> _Floats:
    # Where two entries meet on one support, the later one holds.
    now = {_key(p.region, p.component): p.at(time) for p in loads.prescribed}
    return np.array([now[support] for support in moved])


def _moved(loads: LoadCase, support: Support) -> bool:
    return any(_moves(p) for p in loads.prescribed if _key(p.region, p.component) == support)


def _moves(prescribed: Prescribed) -> bool:
    return bool(prescribed.magnitude) and any(prescribed.amplitude.values)


def _key(region: str, component: int) -> Support:
    return region, component


def _words(found: tuple[Support, ...]) -> str:
    return ", ".join(f"{region} ({'xyz'[component]})" for region, component in found) or "nothing"
