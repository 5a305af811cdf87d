"""Settings of the query service at the text boundary."""

import ipaddress
from typing import final

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

from infra.errors import UserError
from rom.model_card import ModelCard
from rom.structures.trust import structure_tolerance

__all__ = ["ServiceSettings", "is_loopback", "require_safe_address"]


@final
class ServiceSettings(BaseModel):
    """How the service behaves.

    Attributes
    ----------
    host, port
        Where it listens; port 0: any free one.
    names
        Further names by which clients may call it where there are no keys. Without this check a
        page of another site could reach a service on this machine by a name that it controls.
    body_limit, body_seconds
        Bytes of a request's body, and seconds within which it must have arrived.
    batch_limit
        Queries in one request.
    values_limit, json_values_limit
        Numbers in one answer, and in one that is sent as text.
    work_limit
        Coefficients that one request may need, however few numbers are asked for: queries, times,
        modes and, for gradients, parameters multiplied; each takes 8 bytes, now and then twice.
    rate, burst
        Requests per second of one key or address, on average and at once; rate None: no limit.
    threads, waiting
        Threads for long computations, and how many of these may wait for one.
    models
        Models that are held loaded.
    refresh
        Seconds between looks at the folder of models and at the file of keys.
    tolerance
        An answer is called trusted if it is in range and its indicator is at most this; structures
        have a tolerance of their own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    port: int = Field(8300, ge=0, le=65535)
    names: tuple[str, ...] = ()
    body_limit: PositiveInt = 1 << 23
    body_seconds: PositiveFloat = 20.0
    batch_limit: PositiveInt = 10_000
    values_limit: PositiveInt = 20_000_000
    json_values_limit: PositiveInt = 2_000_000
    work_limit: PositiveInt = 50_000_000
    rate: PositiveFloat | None = 1000.0
    burst: PositiveInt = 2000
    threads: PositiveInt = 2
    waiting: PositiveInt = 64
    models: PositiveInt = 16
    refresh: float = Field(1.0, ge=0.0)
    tolerance: PositiveFloat = 0.05

    def tolerance_of(self, card: ModelCard) -> float:
        """Return the tolerance of a model: its own, or that of the service."""
        own = structure_tolerance(card)
        return self.tolerance if own is None else own


def is_loopback(host: str) -> bool:
    """Tell whether an address is only reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def require_safe_address(host: str, *, with_keys: bool) -> None:
    """Check that the service is not open to others without keys.

    Raises
    ------
    UserError
        If it would be.
    """
    if not with_keys and not is_loopback(host):
        raise UserError(
            f"Expected keys for a service on {host}, which other machines reach; received none. "
            "Make one with `romflow keys add NAME --scope query`, or serve on 127.0.0.1."
        )
