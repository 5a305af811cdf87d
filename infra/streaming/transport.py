"""How frames travel from simulations to a trainer: on one machine, or over a network.

``local`` is for one machine: a socket on its loopback address, and frames in memory that both
sides share. ``tcp`` is for others: every byte is encrypted, and only clients that hold the keys of
the rendezvous file get in. What assumes one machine is never used with ``tcp``.
"""

from typing import Literal

from infra.errors import UserError

__all__ = ["Transport", "is_loopback", "listening_address"]

type Transport = Literal["local", "tcp"]

_LOOPBACK = ("localhost", "lo", "::1", "[::1]")


def is_loopback(interface: str) -> bool:
    """Return whether only processes on this machine reach a network address."""
    return interface in _LOOPBACK or interface.startswith("127.")


def listening_address(transport: Transport, interface: str | None) -> str:
    """Return the network address on which a trainer listens.

    Parameters
    ----------
    transport
        How frames travel.
    interface
        What the user says; None: the loopback address for ``local``, all (``*``) for ``tcp``.

    Raises
    ------
    UserError
        If others than this machine would reach a transport that is not encrypted.
    """
    if interface is None:
        return "127.0.0.1" if transport == "local" else "*"
    if transport == "local" and not is_loopback(interface):
        raise UserError(
            "transport: expected tcp for a trainer that other machines reach, received local with "
            f"the interface {interface}. Give `transport: tcp`, or no interface."
        )
    return interface
