"""The architectures by name. A new one is a subclass of `Surrogate` and a line here."""

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType

from pydantic import ValidationError

from infra.errors import UserError
from infra.field_space import FieldSpace
from infra.records import Json
from surrogates.inputs import InputSpec
from surrogates.networks.deeponet import DeepONet
from surrogates.networks.fno import Fno, Tfno, Uno
from surrogates.networks.message_passing import MessagePassing
from surrogates.networks.mlp import Mlp
from surrogates.networks.spon import Spon
from surrogates.networks.unet import UNet
from surrogates.surrogate import Mode, NetworkSettings, Surrogate

__all__ = ["ARCHITECTURES", "architecture", "build_surrogate", "network_settings"]

ARCHITECTURES: Mapping[str, type[Surrogate]] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            Mlp,
            DeepONet,
            Fno,
            Tfno,
            Uno,
            UNet,
            MessagePassing,
            Spon,
        )
    }
)


def architecture(name: str) -> type[Surrogate]:
    """Return the class of this name.

    Raises
    ------
    UserError
        If there is none; the message lists the names.
    """
    if name not in ARCHITECTURES:
        close = get_close_matches(name, ARCHITECTURES, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise UserError(
            f"Expected a model out of {', '.join(ARCHITECTURES)}; received {name!r}.{hint}"
        )
    return ARCHITECTURES[name]


def network_settings(name: str, settings: Mapping[str, Json]) -> NetworkSettings:
    """Return the checked settings of an architecture; entries left out have their defaults.

    Raises
    ------
    UserError
        If the name or an entry is wrong; the message lists every wrong entry.
    """
    kind = architecture(name).Settings
    try:
        return kind.model_validate(dict(settings))
    except ValidationError as error:
        known = ", ".join(kind.model_fields)
        problems = [
            f"{'.'.join(map(str, entry['loc']))}: {entry['msg']}, received {entry['input']!r}"
            for entry in error.errors()
        ]
        raise UserError(
            f"Expected settings of the model {name!r} ({known}); received wrong entries:\n  "
            + "\n  ".join(problems)
        ) from error


def build_surrogate(
    name: str,
    space: FieldSpace,
    inputs: InputSpec,
    mode: Mode,
    settings: Mapping[str, Json],
    seed: int,
) -> Surrogate:
    """Return a new surrogate with initial weights of this seed.

    Parameters
    ----------
    name
        Of the architecture.
    space, inputs, mode
        As for `Surrogate`.
    settings
        Entries of the architecture's settings.
    seed
        Of the initial weights.

    Raises
    ------
    UserError
        If name, mode or settings are wrong, or the architecture cannot serve this space.
    """
    return architecture(name).build(space, inputs, mode, network_settings(name, settings), seed)
