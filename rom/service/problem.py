"""What is wrong with a request, in the words of the service."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

from infra.errors import (
    ChecksumError,
    RomflowError,
    StorageAccessError,
    StorageFullError,
    StoreError,
    UserError,
)

__all__ = ["Problem", "ServiceError", "problem_of"]

# The form of our messages: "Expected ...; received .... What to do."
_FORM = re.compile(
    r"[Ee]xpected (.+?)[;.] (?:[^;]*? )?received:? (.+?)(?:\. [A-Z]|\.?$)", re.DOTALL
)
_DAMAGED = (ChecksumError, StoreError, StorageAccessError, StorageFullError)


@final
@dataclass(frozen=True)
class Problem:
    """One problem.

    Attributes
    ----------
    status
        Of HTTP.
    type
        A short name that programs may test.
    message
        For people: what was expected, what was received, what to do.
    expected, received
        These parts of it, where they are known.
    headers
        Further headers of the reply.
    """

    status: int
    type: str
    message: str
    expected: str | None = None
    received: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@final
class ServiceError(RomflowError):
    """A request that is not served; `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem

    @classmethod
    def of(
        cls, status: int, kind: str, expected: str, received: str, advice: str = ""
    ) -> "ServiceError":
        """Return the error with a message in the usual form."""
        message = f"Expected {expected}; received {received}. {advice}".rstrip()
        return cls(Problem(status, kind, message, expected, received))


def problem_of(error: RomflowError) -> Problem:
    """Return the problem that an error of romflow is for a client."""
    if isinstance(error, ServiceError):
        return error.problem
    text = str(error)
    found = _FORM.match(text)
    parts = (found[1], found[2]) if found else (None, None)
    if isinstance(error, UserError):
        return Problem(422, "invalid_query", text, *parts)
    if isinstance(error, _DAMAGED):
        # Paths of the server are no business of a client: the log has them.
        advice = "The stored model is damaged or unreadable; ask whoever runs the service."
        return Problem(409, "damaged_model", advice, "a whole model", type(error).__name__)
    return Problem(500, "internal", "The service failed; its log says how.")
