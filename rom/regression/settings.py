"""Settings of regressors at the text boundary, and the choice of one by name."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from pydantic import BaseModel, ConfigDict, ValidationError

from infra.errors import StoreError, UserError
from infra.records import Json

__all__ = ["RegressorSettings", "checked_settings", "kind_of_state", "require_known"]


class RegressorSettings(BaseModel):
    """Base of the settings of a regressor: immutable, unknown entries are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def checked_settings[S: RegressorSettings](
    name: str, kind: type[S], entries: Mapping[str, Json] | None
) -> S:
    """Return the settings of the regressor of this name; entries left out have their defaults.

    Raises
    ------
    UserError
        The message lists every wrong entry.
    """
    try:
        return kind.model_validate(dict(entries or {}))
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, e['loc']))}: {e['msg']}, received {e['input']!r}"
            for e in error.errors()
        ]
        raise UserError(
            f"Expected settings of the regressor {name!r} ({', '.join(kind.model_fields)}); "
            "received wrong entries:\n  " + "\n  ".join(problems)
        ) from error


def require_known(name: str, known: Iterable[str], what: str) -> None:
    """Refuse a name that is not in the list; `what` says what it names.

    Raises
    ------
    UserError
        The message lists the names, and the closest one.
    """
    names = list(known)
    if name not in names:
        close = get_close_matches(name, names, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise UserError(f"Expected a {what} out of {', '.join(names)}; received {name!r}.{hint}")


def kind_of_state[K](text: Mapping[str, Json], known: Mapping[str, K]) -> K:
    """Return the class whose name a state holds.

    Raises
    ------
    StoreError
        If the state is of no known kind.
    """
    name = str(text.get("kind"))
    if name not in known:
        raise StoreError(
            f"Expected the state of a regressor out of {', '.join(known)}; received the kind "
            f"{text.get('kind')!r}. The folder is damaged or of a newer version of romflow."
        )
    return known[name]
