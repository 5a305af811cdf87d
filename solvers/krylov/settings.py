"""Settings of the recycling methods, and how PETSc's options database spells them."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from infra.errors import UserError
from solvers.backend import PETSc
from solvers.krylov.deflated_cg import DeflatedCG
from solvers.krylov.gcrodr import GCRODR
from solvers.krylov.method import RecyclingMethod

__all__ = ["RecyclingSettings", "from_database"]

_WORD = "recycling_"


class RecyclingSettings(BaseModel):
    """Settings of `RecyclingKSP`; PETSc options carry ``recycling_`` before the name.

    Parameters
    ----------
    method : "gcrodr" for any matrix; "cg" for positive definite ones; "auto" takes CG where the
        matrix is marked symmetric, until CG finds it indefinite, and GCRO-DR elsewhere
    restart : largest dimension of GCRO-DR's search space, recycled vectors included
    size : recycled vectors; 0 switches recycling off
    window : Lanczos vectors that CG holds to find the vectors to recycle
    staleness : a recycled direction is dropped when its image under a new matrix has turned by more
        than this sine; 1 keeps all
    overrun : fraction of the tolerance at which the first CG solve ends
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: Literal["auto", "gcrodr", "cg"] = "auto"
    restart: int = Field(default=40, ge=2)
    size: int = Field(default=20, ge=0)
    window: int = Field(default=60, ge=3)
    staleness: float = Field(default=1.0, ge=0.0, le=1.0)
    overrun: float = Field(default=0.01, gt=0.0, le=1.0)

    @model_validator(mode="after")
    def _room_to_grow(self) -> Self:
        if self.method != "cg" and self.size >= self.restart:
            raise ValueError(
                f"expected size < restart, received size {self.size} and restart {self.restart}"
            )
        return self

    def make(self, symmetric: bool) -> RecyclingMethod:
        """Return the method for a matrix that is, or is not, known to be symmetric."""
        if self.method == "cg" or (self.method == "auto" and symmetric):
            return DeflatedCG(self.size, self.window, self.staleness, self.overrun)
        return GCRODR(self.restart, self.size, self.staleness)


def from_database(defaults: RecyclingSettings, prefix: str) -> RecyclingSettings:
    """Return `defaults` changed by what PETSc's options database holds under `prefix`.

    Raises
    ------
    UserError
        For an unknown ``recycling_`` option or a value that does not fit.
    """
    start = prefix + _WORD
    database: Any = PETSc.Options()
    given = {
        name.removeprefix(start): database.getString(name)
        for name in database.getAll()
        if name.startswith(start)
    }
    try:
        return RecyclingSettings(**{**defaults.model_dump(), **given})
    except ValidationError as error:
        faults = "; ".join(
            f"-{start}{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
            for fault in error.errors()
        )
        valid = ", ".join(RecyclingSettings.model_fields)
        raise UserError(
            f"options of the recycling solver: expected -{start} with one of {valid}; "
            f"received {given}: {faults}"
        ) from error
