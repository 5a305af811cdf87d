r"""Displacements that are prescribed and not zero.

.. math:: u = \sum_d g_d(t) L_d + \sum_i q_i \psi_i

The modes vanish where displacements are prescribed; the lift :math:`L_d` is one on its own region
and component. It is a combination of snapshots, found from their values :math:`g_d(t_j)`, so that
no linear system is solved: with :math:`A_{dj} = g_d(t_j)`, :math:`L = U A^+`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError
from rom.structures.trajectory import Trajectory
from solvers.loads import LoadCase, Prescribed

__all__ = ["Lifting", "Support", "lifting", "supports"]

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


def lifting(trajectories: Sequence[Trajectory]) -> Lifting:
    """Return the lifts of a training set.

    Raises
    ------
    UserError
        If trajectories have different supports.
    """
    held = supports(trajectories[0].loads)
    for trajectory in trajectories[1:]:
        if set(supports(trajectory.loads)) != set(held):
            raise UserError(
                f"Expected the same supports in all runs; received {_words(held)} and "
                f"{_words(supports(trajectory.loads))}. Build a model for each load type."
            )
    moved = tuple(s for s in held if any(_moved(t.loads, s) for t in trajectories))
    n = trajectories[0].displacement[0].size
    if not moved:
        return Lifting(held, (), np.zeros((0, n)), np.zeros((0, 0)))
    A = np.stack([_values(t.loads, moved, float(time)) for t in trajectories for time in t.times])
    inverse = np.linalg.pinv(A)
    frames = [t.displacement.reshape(len(t.times), n) for t in trajectories]
    starts = np.cumsum([0, *map(len, frames)])
    fields = sum(
        (inverse[:, a:b] @ frame for a, b, frame in zip(starts, starts[1:], frames, strict=False)),
        np.zeros((len(moved), n)),
    )
    return Lifting(held, moved, fields, inverse @ A)


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
