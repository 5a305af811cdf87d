"""Encryption and keys of ZeroMQ's sockets.

Source: CurveZMQ (RFC 26/CURVEZMQ), after D. J. Bernstein's CurveCP.
"""

from pathlib import Path
from typing import Any

import zmq

from infra.errors import StreamError, storage_errors
from infra.streaming.keys import StreamKeys
from infra.streaming.private import require_private_folder, write_private

__all__ = ["new_keys", "secure_client", "secure_server"]


def new_keys(own: Path) -> tuple[StreamKeys, bytes]:
    """Return new keys for the clients of one trainer, and the trainer's own secret key.

    The trainers of a run, one after the other, have the same key of their own: then a client with
    the keys of an earlier one is told at once that they have expired.

    Parameters
    ----------
    own
        File of the trainers' own key, written if it does not exist; no client reads it.

    Raises
    ------
    StreamError
        If this ZeroMQ cannot encrypt, or the file holds something else.
    StorageAccessError
        If the file cannot be written or read, or not be hidden from others.
    """
    if not zmq.has("curve"):
        raise StreamError(
            "Expected a ZeroMQ with CURVE, as PyPI's pyzmq brings it; received one without. "
            "Install pyzmq from a wheel, or keep trainer and simulations on one machine."
        )
    require_private_folder(own.parent)
    _, fresh = zmq.curve_keypair()
    if not own.exists():
        write_private(own, fresh, secret=True, new=True)
    with storage_errors(own):
        secret = own.read_bytes()
    public, private = zmq.curve_keypair()
    try:
        server = zmq.curve_public(secret)
        return StreamKeys(server.decode(), public.decode(), private.decode()), secret
    except (ValueError, zmq.ZMQError) as error:
        raise StreamError(
            f"Expected a key of ZeroMQ in {own}; received something else ({error}). Remove the "
            "file: the trainer makes another one."
        ) from error


def secure_server(socket: "zmq.Socket[Any]", secret: bytes) -> None:
    """Let a socket speak to clients with keys only; before it is bound.

    Parameters
    ----------
    socket
        The trainer's.
    secret
        The trainer's own key, as `new_keys` gives it.
    """
    socket.setsockopt(zmq.CURVE_SERVER, 1)
    socket.setsockopt(zmq.CURVE_SECRETKEY, secret)


def secure_client(socket: "zmq.Socket[Any]", keys: StreamKeys) -> None:
    """Let a socket speak to the trainer with these keys only; before it is connected."""
    socket.setsockopt(zmq.CURVE_SERVERKEY, keys.server.encode())
    socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public.encode())
    socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret.encode())
