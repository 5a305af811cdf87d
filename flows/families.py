"""Families of problems: each has one flow, one command and one deployment, of the same name."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import final

from infra.errors import UserError

__all__ = ["FAMILIES", "Family", "family_of"]


@final
@dataclass(frozen=True)
class Family:
    """Problems that are computed under one name.

    Attributes
    ----------
    flow : name of the flow and of its command
    summary : one sentence for people
    study : the shipped study that is computed if none is given
    problems : names of its problems
    """

    flow: str
    summary: str
    study: str
    problems: tuple[str, ...]

    def check(self, problem: str, study: str) -> None:
        """Refuse a study of another family.

        A problem that no family knows is left to those who look it up.

        Parameters
        ----------
        problem, study : names of the study's problem and of the study

        Raises
        ------
        UserError
            The message names the right command.
        """
        right = family_of(problem)
        if right is not None and right != self:
            raise UserError(
                f"study {study}: {self.flow} expected one of the problems "
                f"{', '.join(self.problems)}, received {problem}. Use the command "
                f"`romflow run {right.flow}`, or the deployment {right.flow}/local."
            )


_ALL = (
    Family(
        "generate-ns-data",
        "Generate, or complete, a dataset of incompressible flows.",
        "cylinder-demo",
        ("cylinder", "cavity", "backward-step", "taylor-green"),
    ),
    Family(
        "generate-darcy-data",
        "Generate, or complete, a dataset of flows through porous media.",
        "darcy-demo",
        ("darcy", "darcy-fv", "skr-darcy"),
    ),
    Family(
        "generate-thermal-data",
        "Generate, or complete, a dataset of heat conduction around a hole.",
        "thermal-demo",
        ("thermal",),
    ),
    Family(
        "generate-poisson-data",
        "Generate, or complete, a dataset of Poisson problems.",
        "poisson-demo",
        ("poisson",),
    ),
    Family(
        "generate-helmholtz-data",
        "Generate, or complete, a dataset of waves of one frequency.",
        "helmholtz-demo",
        ("helmholtz", "skr-helmholtz"),
    ),
    Family(
        "generate-convection-diffusion-data",
        "Generate, or complete, a dataset of transport by a random wind.",
        "convection-diffusion-demo",
        ("convection-diffusion",),
    ),
    Family(
        "generate-heat-data",
        "Generate, or complete, a dataset of heat conduction in time.",
        "heat-demo",
        ("heat",),
    ),
    Family(
        "generate-advection-data",
        "Generate, or complete, a dataset of pulses that a wind carries.",
        "advection-demo",
        ("advection",),
    ),
)

FAMILIES: Mapping[str, Family] = MappingProxyType({family.flow: family for family in _ALL})


def family_of(problem: str) -> Family | None:
    """Return the family of a problem, None if no family has one of this name."""
    return next((family for family in _ALL if problem in family.problems), None)
