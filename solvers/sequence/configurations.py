"""The configurations that a `SequenceSolver` chooses among, and what they are expected to cost.

Costs are in units of one iteration of conjugate gradients with Jacobi's preconditioner (one pass
over the matrix and a few over vectors). The expectations were fitted to measurements on 10^4 to
2.6 x 10^5 unknowns; they only order the first trials, and keep configurations that can hardly win
from being tried at all.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, final

from infra.errors import UserError
from solvers.sequence.direct import DirectMethod
from solvers.sequence.fast_poisson import FastPoissonMethod
from solvers.sequence.fresh import FreshMethod
from solvers.sequence.given import GivenMethod
from solvers.sequence.lagged import LaggedMethod
from solvers.sequence.method import Method
from solvers.sequence.recycled import RecycledMethod
from solvers.sequence.report import Work
from solvers.sequence.ssor import SsorMethod, omega_candidates
from solvers.sequence.system import System
from solvers.sequence.toolbox import Toolbox
from solvers.tuning.rules import Arm

__all__ = [
    "Configuration",
    "Plan",
    "arms",
    "configurations",
    "factors_pay",
    "fixed_part",
    "given",
    "named",
    "ranked",
]

# Unknowns from which MUMPS factors faster than PETSc's simplicial code.
_LARGE = 20_000
# Configurations that are very good for smooth coefficients and very bad for others.
_GAMBLES = ("lagged", "fast-poisson")
# How much dearer they are expected to be where a coefficient jumps (measured on two values at
# contrasts of 25 and 1000, 10^4 and 6.5 x 10^4 unknowns: 5 to 18 times the iterations).
_ROUGH = 8.0
# Unknowns below which PETSc's LU is quicker than anything that pivots and blocks.
_SMALL = 3_000
# An iteration that orthogonalises against 20 to 40 vectors, beside its product with the matrix.
_RECYCLED = 6.0
# Unknowns up to which a direct method can be the default in three dimensions.
_AFFORDABLE = 40_000


@final
@dataclass(frozen=True)
class Plan:
    """How a sequence is going to be solved.

    Attributes
    ----------
    horizon : solves expected
    seed : seed of choices inside methods
    clock : whether methods may look at the clock
    """

    horizon: int
    seed: int
    clock: bool


@final
@dataclass(frozen=True)
class Configuration:
    """A way to solve the systems of a sequence.

    Attributes
    ----------
    name : as in reports and settings
    make : makes the method; preconditioners come from the toolbox
    cost : expected cost of a solve, refills of factors included
    setup : expected cost of the first set-up
    application : expected cost of one application of the preconditioner
    refill : expected cost of a later set-up
    uses : what it takes from the toolbox; configurations that use the same share its set-up
    """

    name: str
    make: Callable[[System, Toolbox], Method]
    cost: float
    setup: float = 0.0
    application: float = 1.0
    refill: float = 0.0
    uses: str = ""

    def operations(self, work: Work, *, first: bool) -> tuple[float, float]:
        """Return the costs of set-up and solve by counts; `first` for the first set-up."""
        setup = work.setups * (self.setup if first else self.refill)
        return setup, work.operator + self.application * work.preconditioner


def configurations(system: System, plan: Plan) -> tuple[Configuration, ...]:
    """Return all configurations that suit the traits; `ranked` orders them.

    Raises
    ------
    UserError
        If the traits' grid is not that of the matrix.
    """
    grid = system.traits.grid
    if grid is not None and grid.size != system.size:
        raise UserError(
            f"traits: expected a grid of {system.size} cells as the matrix has rows, received "
            f"shape {grid.shape} with {grid.size}"
        )
    offered = _definite(system, plan) if system.traits.definite else _general(system, plan)
    return tuple(offered)


def ranked(
    offered: tuple[Configuration, ...], system: System, plan: Plan, *, rough: bool
) -> tuple[Configuration, ...]:
    """Return the configurations with the expected cheapest first.

    Gambles on a smooth coefficient come last where it is known to jump (`rough`).
    """
    expected = [_expected(one, rough=rough) for one in offered]
    order = sorted(expected, key=lambda one: one.cost + one.setup / plan.horizon)
    if not system.traits.definite and factors_pay(system):
        # The first one is the default, which has to work: iterations may not arrive here.
        order.sort(key=lambda one: not one.name.startswith("direct"))
    elif order[0].name.startswith(_GAMBLES):
        # Their cost depends on the coefficients: one that is safe and needs no set-up goes first,
        # and shows what a unit of cost is.
        order.sort(key=lambda one: one.name != "ssor")
    return tuple(order)


def _expected(one: Configuration, *, rough: bool) -> Configuration:
    gamble = one.name == "fast-poisson" or one.name.endswith("rescaled")
    return replace(one, cost=_ROUGH * one.cost) if rough and gamble else one


def factors_pay(system: System) -> bool:
    """Return whether a sparse direct factorisation is affordable at all."""
    return system.traits.dimension < 3 or system.size < _AFFORDABLE


def arms(offered: tuple[Configuration, ...]) -> list[Arm]:
    """Return what the tuner has to know; the first one is the default.

    What that one sets up is there for the others.
    """
    first = offered[0]
    return [
        Arm(
            one.name,
            one.cost,
            one.setup if one is first or not one.uses or one.uses != first.uses else 0.0,
            certain=one.name.startswith("direct"),
        )
        for one in offered
    ]


def fixed_part(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return what must be the same for a tuner's state to be taken over."""
    names = sorted(arm["name"] for arm in state["arms"])
    return {"arms": names, "cost": state["cost"], "bins": state["bins"]}


def given(name: str, options: Mapping[str, str], rtol: float) -> Configuration:
    """Return the configuration ``given`` with PETSc options; `name` is their prefix."""
    return Configuration("given", lambda s, _: GivenMethod(s, name, options, rtol), 1.0)


def named(name: str, offered: tuple[Configuration, ...]) -> Configuration:
    """Return the configuration called `name`.

    Raises
    ------
    UserError
        If it is not offered for this system.
    """
    for one in offered:
        if one.name == name:
            return one
    known = ", ".join(one.name for one in offered)
    raise UserError(f"linear.method: expected auto or one of {known}, received {name!r}")


def _definite(system: System, plan: Plan) -> list[Configuration]:
    n, d = system.size, system.traits.dimension
    omegas = omega_candidates(n, d)
    found = [
        *_direct(system, 1.0),
        *_lagged(system, plan, "cg", "factor", iterations=14, rescaled=True),
        *_lagged(system, plan, "cg", "factor", iterations=40, rescaled=False),
        *_lagged(system, plan, "cg", "gamg", iterations=16, rescaled=True),
        *_lagged(system, plan, "cg", "gamg", iterations=42, rescaled=False),
        Configuration(
            "gamg",
            lambda s, t: FreshMethod(s, "cg", t.get("gamg")),
            190.0,
            300.0,
            9.0,
            70.0,
            "gamg",
        ),
        Configuration(
            "ssor",
            lambda s, _: SsorMethod(s, omegas, horizon=plan.horizon, seed=plan.seed),
            # Sweeps along the rows of a grid wait for each cell before; meshes are numbered better.
            (11.6 if system.grid else 7.0) * n**0.25 if d < 3 else 10.0 * n ** (1 / 6),
        ),
        Configuration("icc", lambda s, t: FreshMethod(s, "cg", t.get("icc")), _icc(n, d), 10.0),
        Configuration(
            "icc-recycled",
            lambda s, t: RecycledMethod(s, "cg", t.get("icc")),
            1.2 * _icc(n, d),
            10.0,
            application=_RECYCLED,
            uses="icc",
        ),
    ]
    if system.grid is not None:
        found.append(
            Configuration("fast-poisson", lambda s, _: FastPoissonMethod(s), 35.0, 30.0, 2.5)
        )
    return found


def _general(system: System, plan: Plan) -> list[Configuration]:
    n, d = system.size, system.traits.dimension
    weak = 20.0 * n**0.25 if d < 3 else 15.0 * n ** (1 / 6)
    return [
        *_direct(system, 2.0),
        *_lagged(system, plan, "gmres", "factor", iterations=60, rescaled=False),
        Configuration("ilu-bcgs", lambda s, t: FreshMethod(s, "bcgs", t.get("ilu")), weak, 10.0),
        Configuration(
            "ilu-gmres", lambda s, t: FreshMethod(s, "gmres", t.get("ilu")), 1.5 * weak, 10.0
        ),
        Configuration(
            "ilu-recycled",
            lambda s, t: RecycledMethod(s, "gcrodr", t.get("ilu")),
            1.4 * weak,
            10.0,
            application=_RECYCLED,
            uses="ilu",
        ),
    ]


def _direct(system: System, factors: float) -> list[Configuration]:
    """Return the direct methods; `factors` is the number of triangular factors."""
    n, d = system.size, system.traits.dimension
    ordering = 480.0 * (n / 1e4) ** 0.35 if system.grid else 800.0 * (n / 1e4) ** 0.15
    first = ordering if d < 3 else 4000.0 * n / 3.3e4
    refill = (100.0 if system.grid else 115.0) * (n / 1e4) ** 0.45 if d < 3 else 4000.0 * n / 3.3e4
    application = _substitution(system)
    own = Configuration(
        "direct", lambda _, t: DirectMethod(t.get("factor")),
        factors * refill, factors * first, factors * application, factors * refill, "factor",
    )  # fmt: skip
    least = _LARGE if system.traits.definite else _SMALL
    if system.size < least or system.matrix.comm.size > 1:
        return [own]
    quick = 130.0 * (n / 6.5e4) ** 0.35 if d < 3 else 2000.0 * n / 3.3e4
    mumps = Configuration(
        "direct-mumps", lambda _, t: DirectMethod(t.get("mumps")),
        factors * (quick + 3 * application), 1.4 * factors * quick, 3 * factors * application,
        factors * quick, "mumps",
    )  # fmt: skip
    return [own, mumps]


def _lagged(
    system: System, plan: Plan, kind: str, what: str, *, iterations: int, rescaled: bool
) -> list[Configuration]:
    """Return Krylov methods with the factor, or hierarchy, of another matrix."""
    direct = _direct(system, 1.0 if system.traits.definite else 2.0)[0]
    gamg = what == "gamg"
    application = 9.0 if gamg else direct.application
    name = f"lagged-{what}" + ("-rescaled" if rescaled else "")
    return [
        Configuration(
            name,
            lambda s, t: LaggedMethod(
                s, kind, t.get(what), t.mean if rescaled else None, clock=plan.clock
            ),
            iterations * (application + 1.0),
            300.0 if gamg else direct.setup,
            application,
            70.0 if gamg else direct.refill,
            what,
        )
    ]


def _substitution(system: System) -> float:
    n = system.size
    if system.traits.dimension < 3:
        return max(0.75 * math.log2(max(n, 2)) - 2.7, 1.0)
    return 47.0 * (n / 3.3e4) ** (1 / 3)


def _icc(n: int, d: int) -> float:
    return 29.0 * n**0.25 if d < 3 else 22.0 * n ** (1 / 6)
