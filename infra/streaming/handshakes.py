"""What ZeroMQ tells of the connections of a socket, as it happens."""

import uuid
from collections.abc import Iterator
from typing import Any, final

import zmq
from zmq.utils.monitor import parse_monitor_message

__all__ = ["Handshakes"]


@final
class Handshakes:
    """Events of one socket; made before it is bound or connected.

    Parameters
    ----------
    socket
        Whose.
    events
        Which, as bits: ``zmq.Event.HANDSHAKE_SUCCEEDED`` and so on.

    Attributes
    ----------
    socket
        Can be read when there are new ones; for a poller.
    """

    def __init__(self, socket: "zmq.Socket[Any]", events: int) -> None:
        self._watched = socket
        address = f"inproc://handshakes-{uuid.uuid4().hex}"
        socket.monitor(address, events)
        self.socket: zmq.Socket[bytes] = socket.context.socket(zmq.PAIR)
        self.socket.setsockopt(zmq.LINGER, 0)
        # ZeroMQ's own thread waits where a limit is reached, and with it all connections.
        self.socket.setsockopt(zmq.RCVHWM, 0)
        self.socket.connect(address)

    def take(self) -> Iterator[tuple[int, int]]:
        """Yield the events that have come, each with its value."""
        while True:
            try:
                parts = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            event = parse_monitor_message(parts)
            yield int(event["event"]), int(event["value"])

    def stop(self) -> None:
        """Hear no more; before the socket itself is closed, by the thread that closes it.

        ZeroMQ's own thread would wait for ever for a listener that has gone without a word.
        """
        self._watched.disable_monitor()

    def close(self) -> None:
        """Let go, after `stop`."""
        self.socket.close()
