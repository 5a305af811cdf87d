"""Who may speak to a trainer over a network: clients with the key of its rendezvous file.

A thread of its own answers ZeroMQ's questions about keys (RFC 27/ZAP), so that a trainer that is
busy keeps nobody waiting and a port scan costs its reception nothing. Those without the key never
reach the trainer: ZeroMQ closes their connections.
"""

import os
import socket as network
import threading
from hmac import compare_digest
from typing import Any, final

import zmq
from zmq.utils import z85

from infra.streaming.handshakes import Handshakes
from infra.streaming.keys import StreamKeys
from infra.streaming.strangers import Strangers

__all__ = ["UNKNOWN", "Gatekeeper"]

UNKNOWN = "an unknown address"
"""Stands for the address of a connection that was gone before one could look.

A client that speaks to a trainer of this run with another key is always seen: ZeroMQ asks about
it, and tells where it is. Others may be gone too soon, though seldom each time that they come.
"""

_ZAP = "inproc://zeromq.zap.01"
_FAILED = (zmq.Event.HANDSHAKE_FAILED_NO_DETAIL, zmq.Event.HANDSHAKE_FAILED_PROTOCOL)
_EVENTS = zmq.Event.ACCEPTED | zmq.Event.DISCONNECTED | _FAILED[0] | _FAILED[1]
_WRONG_KEY = "its key is wrong or has expired"
# What a client with the key of another trainer says cannot be read.
_CRYPTOGRAPHIC = zmq.Event.PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC


@final
class Gatekeeper:
    """Lets the clients of one socket in by their key, and tells of all others.

    Parameters
    ----------
    socket
        The trainer's, not bound yet; its context serves no other trainer.
    keys
        Of the clients.
    strangers
        Told of those that are turned away.
    """

    def __init__(self, socket: "zmq.Socket[Any]", keys: StreamKeys, strangers: Strangers) -> None:
        self._key = z85.decode(keys.public.encode())
        self._strangers = strangers
        self._peers: dict[int, str] = {}
        self._failed = ""
        self._questions: zmq.Socket[bytes] = socket.context.socket(zmq.REP)
        self._questions.setsockopt(zmq.LINGER, 0)
        self._questions.bind(_ZAP)
        self._handshakes = Handshakes(socket, int(_EVENTS))
        self._read_end, self._write_end = os.pipe()
        self._thread = threading.Thread(target=self._run, name="gatekeeper", daemon=True)
        self._thread.start()

    def stop_listening(self) -> None:
        """Hear no more of connections; before the socket is closed."""
        self._handshakes.stop()

    def close(self) -> None:
        """End the thread; after the socket was closed, or nobody would keep its gate."""
        os.write(self._write_end, b"\0")
        self._thread.join()
        self._handshakes.close()
        self._questions.close()
        os.close(self._read_end)
        os.close(self._write_end)

    def _run(self) -> None:
        poller = zmq.Poller()
        for source in (self._questions, self._handshakes.socket, self._read_end):
            poller.register(source, zmq.POLLIN)
        while True:
            ready = dict(poller.poll())
            if self._read_end in ready:
                return
            if self._questions in ready:
                self._judge(self._questions.recv_multipart())
            for event, value in self._handshakes.take():
                self._note(event, value)

    def _judge(self, question: list[bytes]) -> None:
        """Answer whether a key opens: version, request, domain, address, identity, mechanism, key.

        Whoever comes so far knows the trainer's own key.
        """
        version, request, _, address, _, mechanism, *given = question
        opens = mechanism == b"CURVE" and len(given) == 1 and compare_digest(given[0], self._key)
        code, text = (b"200", b"OK") if opens else (b"400", b"another key")
        self._questions.send_multipart((version, request, code, text, b"", b""))
        if not opens:
            self._strangers.note(address.decode(errors="replace"), _WRONG_KEY)

    def _note(self, event: int, value: int) -> None:
        """Follow connections; a handshake that failed is told before its disconnection."""
        if event == zmq.Event.ACCEPTED:
            self._peers[value] = _peer_of(value)
        elif event in _FAILED:
            wrong = event == _FAILED[1] and value == _CRYPTOGRAPHIC
            self._failed = _WRONG_KEY if wrong else "it does not speak as a client with a key does"
        elif event == zmq.Event.DISCONNECTED:
            address, failed = self._peers.pop(value, UNKNOWN), self._failed
            self._failed = ""
            if failed:
                self._strangers.note(address, failed)


def _peer_of(descriptor: int) -> str:
    """Return the other end of one of ZeroMQ's connections; it may be gone already."""
    try:
        copy = os.dup(descriptor)
    except OSError:
        return UNKNOWN
    try:
        with network.socket(fileno=copy) as connection:
            return str(connection.getpeername()[0])
    except OSError:
        return UNKNOWN
