"""A client's connection to a trainer, and whether the trainer's gate keeps it out."""

import math
import time
from typing import Any, final

import zmq

from infra.streaming.curve import secure_client
from infra.streaming.handshakes import Handshakes
from infra.streaming.rendezvous import Rendezvous

__all__ = ["Line"]

_FAILED = (zmq.Event.HANDSHAKE_FAILED_NO_DETAIL, zmq.Event.HANDSHAKE_FAILED_PROTOCOL)
_EVENTS = zmq.Event.HANDSHAKE_SUCCEEDED | zmq.Event.HANDSHAKE_FAILED_AUTH | _FAILED[0] | _FAILED[1]
# Failures further apart than this, seconds, are not one row of them: the trainer was away between.
_GAP = 3.0


@final
class Line:
    """One connection; ZeroMQ makes it anew whenever it breaks.

    Parameters
    ----------
    context
        Of the process.
    rendezvous
        Where the trainer is; its file names an address.

    Attributes
    ----------
    socket
        Sends and receives.
    handshakes
        What is told of its handshakes; None where there are no keys.
    """

    def __init__(self, context: "zmq.Context[Any]", rendezvous: Rendezvous) -> None:
        socket: zmq.Socket[bytes] = context.socket(zmq.DEALER)
        # Messages wait for a connection at the client, where they can go to the spool, not in
        # ZeroMQ.
        socket.setsockopt(zmq.IMMEDIATE, 1)
        socket.setsockopt(zmq.SNDHWM, 0)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 2000)
        socket.setsockopt(zmq.HEARTBEAT_IVL, 5000)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 20000)
        self.socket = socket
        self.handshakes: Handshakes | None = None
        self._first = self._last = -math.inf
        try:
            if rendezvous.keys is not None:
                secure_client(socket, rendezvous.keys)
                self.handshakes = Handshakes(socket, int(_EVENTS))
            socket.connect(rendezvous.endpoints[0])
        except BaseException:
            self.close()
            raise

    def is_refused(self, patience: float) -> bool:
        """Return whether whoever is there does not take this client's key.

        A trainer that only ends in the middle of a handshake looks alike, once; where no trainer
        is there is no handshake at all.

        Parameters
        ----------
        patience
            Seconds in which every handshake must have failed, if no reason was given.
        """
        if self.handshakes is None:
            return False
        for event, _ in self.handshakes.take():
            if event == zmq.Event.HANDSHAKE_FAILED_AUTH:
                return True
            now = time.monotonic()
            if event not in _FAILED:
                self._last = -math.inf
                continue
            if now - self._last > _GAP:
                self._first = now
            self._last = now
            if now - self._first >= patience:
                return True
        return False

    def close(self) -> None:
        """Drop the connection and all that is on its way."""
        if self.handshakes is not None:
            self.handshakes.stop()
            self.handshakes.close()
        self.socket.close(linger=0)
