"""Values of the tuner: arms, rules, choices and what is known in one bin of contexts."""

from dataclasses import dataclass, fields
from math import isfinite
from typing import Literal, final

from infra.errors import UserError
from solvers.tuning.record import ArmRecord

__all__ = ["Arm", "BinState", "Choice", "Role", "TuningRules"]

Role = Literal["default", "trial", "draw", "incumbent", "fallback"]


@final
@dataclass(frozen=True)
class Arm:
    """A solver configuration among which to choose.

    Parameters
    ----------
    name : unique name
    prior_cost : expected cost of a solve, > 0, in any unit that is the same for all arms; it
        decides who is tried first, a wrong one costs time but not the bound
    prior_setup : expected cost of the set-up at first use, >= 0, in the same unit
    certain : whether its cost hardly depends on the system, as that of a direct method: where it is
        expected to pay off by far, its set-up is an investment: in no ledger
    """

    name: str
    prior_cost: float = 1.0
    prior_setup: float = 0.0
    certain: bool = False

    def __post_init__(self) -> None:
        if not (0 < self.prior_cost < float("inf") and 0 <= self.prior_setup < float("inf")):
            raise UserError(
                f"arm {self.name}: expected a prior cost > 0 and a prior set-up >= 0, received "
                f"{self.prior_cost} and {self.prior_setup}"
            )


@final
@dataclass(frozen=True)
class TuningRules:
    """How much may be risked, and when; see `Tuner` for what follows from it.

    Parameters
    ----------
    horizon : number of solves by which a set-up is shared
    share : exploration may take this part of all costs ...
    advance : ... and this many solves of the incumbent besides, so that the race comes early
    excess : the total may exceed the default's by this part of it ...
    grace : ... of at least this many solves, so that something can be tried at the beginning
    trial : budget of an arm on trial, relative to the incumbent's expected cost
    least : no trial with a smaller budget than this; the tuner waits for more room instead
    backstop : least budget of the incumbent, relative to the default's expected cost
    trust : an arm never tried may be this much cheaper than its prior says
    half_life : after so many solves without trial an arm is believed capable of half its cost
    drift : the incumbent is dearer than it was, when its last three costs exceed their former
        mean by this factor; the others are then raced again
    """

    horizon: int = 200
    share: float = 0.01
    advance: float = 3.25
    excess: float = 0.085
    grace: int = 20
    trial: float = 1.05
    least: float = 0.9
    backstop: float = 1.3
    trust: float = 4.0
    half_life: float = 400.0
    drift: float = 1.2

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            least = {"horizon": 1, "trial": self.least, "drift": 1, "trust": 1}.get(entry.name, 0)
            strict = entry.name in {"half_life", "least"}
            if not isfinite(value) or value < least or (strict and value == 0):
                raise UserError(
                    f"rule {entry.name}: expected a finite number "
                    f"{'>' if strict else '>='} {least}, received {value}"
                )


@final
@dataclass(frozen=True)
class Choice:
    """What to run next.

    Attributes
    ----------
    arm : index of the configuration
    name : its name
    budget : stop the solve and tell `aborted=True` when its cost exceeds this; infinite: no limit
    role : why: the default's first solve, an arm on trial, a draw of Tsallis-INF among arms that
        noise cannot tell apart, the incumbent, or the fallback of an aborted solve
    probability : chance that the arm had
    place : bin of the context
    tried : arms that were aborted on this system
    paid : cost already spent on this system
    """

    arm: int
    name: str
    budget: float
    role: Role
    probability: float = 1.0
    place: int = 0
    tried: tuple[int, ...] = ()
    paid: float = 0.0


@final
@dataclass(frozen=True)
class BinState:
    """What is known in one bin of contexts.

    Attributes
    ----------
    records : one for each arm
    priors : expected costs of the arms, in a unit of their own
    losses : Tsallis-INF's estimated cumulated losses, None for arms outside the draw
    solves : systems finished
    spent : cost of all solves
    explored : what trials have cost beyond the incumbent's cost
    default : cost of the systems that the default has solved
    guessed : what it would have cost on the others, by its mean
    advance : solves of the incumbent that exploration is granted in advance
    raced : number of the solve at which the last race began
    invested : cost of the set-ups of arms of certain cost, which is in no ledger
    """

    records: tuple[ArmRecord, ...]
    priors: tuple[float, ...]
    losses: tuple[float | None, ...]
    solves: int = 0
    spent: float = 0.0
    explored: float = 0.0
    default: float = 0.0
    guessed: float = 0.0
    advance: float = 0.0
    raced: int = 0
    invested: float = 0.0
