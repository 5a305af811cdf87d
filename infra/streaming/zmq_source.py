"""The trainer's end of a stream over ZeroMQ."""

import math
import os
import socket as network
import threading
import time
from collections.abc import Set
from contextlib import suppress
from hmac import compare_digest
from itertools import islice
from pathlib import Path
from typing import Any, final

import numpy as np
import zmq

from infra.errors import StorageAccessError, StreamError, storage_errors
from infra.streaming.curve import new_keys, secure_server
from infra.streaming.frames import Delivery, Hello, StreamSpec, Values, Verdict, frame_digest
from infra.streaming.freed import FreedMemory
from infra.streaming.gatekeeper import UNKNOWN, Gatekeeper
from infra.streaming.keys import StreamKeys
from infra.streaming.leftover_peer import LeftoverPeer
from infra.streaming.leftovers import leftovers, lies_in_spool
from infra.streaming.protocol import MALFORMED, Kind, Message, pack, unpack
from infra.streaming.reception import Reception
from infra.streaming.recycled import RecycledArrays
from infra.streaming.rendezvous import Rendezvous, check_epoch, claim, release
from infra.streaming.source import ClientStatus, FrameSource, Ticket
from infra.streaming.strangers import Report, Strangers, say_on_standard_error
from infra.streaming.transport import Transport, listening_address
from infra.streaming.zmq_peer import ZmqPeer, frame_vectors

__all__ = ["ZmqSource"]

# How often the file, the spool and silent clients are looked after, seconds.
_CHORES = 1.0
# Messages that are read before the application gets them.
_AT_ONCE = 256
# Bytes of frames after which those that were read are handed on first, while they are in the
# processor's cache; and bytes of memory that is kept to read frames into.
_BYTES_AT_ONCE, _RECYCLED = 1 << 22, 1 << 26
# Bytes of messages after which what was freed of them goes back to the system.
_FREED = 1 << 23
# The most that a client sends as one part of a message, beside a frame of the study: many small
# frames together, and a margin. A stranger shall not have memory made for him.
_PART, _MARGIN = 1 << 20, 1 << 16
# Attempts of gone clients that are read at once; each has files open.
_OPEN = 16


@final
class ZmqSource(FrameSource):
    """Receives frames from other processes, and from the spool what clients that are gone left.

    Making it claims the rendezvous file: clients turn to it, and a source that had claimed the
    file before gets a `FencedError`.

    Parameters
    ----------
    rendezvous
        The file in which clients find it.
    spec
        The study.
    spool
        Folder for frames that wait; the clients' machines see it under the same path.
    spool_limit
        Bytes that may lie there.
    transport
        Whether clients are on this machine only (``local``), or elsewhere (``tcp``: encrypted, and
        only for those that have the keys of the file).
    interface
        Network address to listen on; None: see `listening_address`. ``*`` listens on all and
        advertises the host's name.
    silence
        Seconds without a sign of life after which a client's credits go to others. Beats pause
        while a solver holds Python's interpreter lock, and a client that was only slow loses
        nothing.
    verify
        Whether the checksum of every frame is computed again on arrival. It takes about as long
        as to receive the frame, and the transport below has checksums of its own.

    Raises
    ------
    UserError
        If the file belongs to another study.
    StreamError
        If the address cannot be used.
    StorageAccessError
        If the file or the spool cannot be written.
    """

    def __init__(
        self,
        rendezvous: Path,
        spec: StreamSpec,
        *,
        spool: Path,
        spool_limit: int = 10**10,
        transport: Transport = "local",
        interface: str | None = None,
        silence: float = 10.0,
        verify: bool = False,
        report: Report = say_on_standard_error,
    ) -> None:
        address = listening_address(transport, interface)
        self._path = Path(rendezvous)
        self._spec = spec
        self._verify = verify
        self._lock = threading.RLock()
        self._reception = Reception(spec, silence)
        self._peers: dict[bytes, ZmqPeer] = {}
        self._leftovers: list[LeftoverPeer] = []
        self._arrays = RecycledArrays(spec.n_values, _RECYCLED)
        self._freed = FreedMemory(_FREED)
        self._chores_due = -np.inf
        self._polling = False
        self._closed = False
        self._read_bytes = 0  # of frames, in this round
        self._strangers = Strangers(report)
        self._gatekeeper: Gatekeeper | None = None
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        # Credits bound what is under way, so that ZeroMQ need not; it would drop answers.
        self._socket.setsockopt(zmq.SNDHWM, 0)
        self._socket.setsockopt(zmq.RCVHWM, 0)
        self._socket.setsockopt(zmq.MAXMSGSIZE, max(_PART, 4 * spec.n_values) + _MARGIN)
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)
        self._poller.register(self._read_end, zmq.POLLIN)
        try:
            for folder in (self._path.parent, Path(spool)):
                with storage_errors(folder):
                    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            keys = self._guard() if transport == "tcp" else None
            here = (self._bind(address),)
            self._own = claim(self._path, spec, here, Path(spool), spool_limit, keys)
        except BaseException:
            self._free()
            raise

    @property
    def rendezvous(self) -> Rendezvous:
        """What the file says of this source."""
        return self._own

    def receive(self, timeout: float) -> list[tuple[Ticket, Delivery]]:
        """Return what has come; see `FrameSource.receive`."""
        deadline = time.monotonic() + timeout
        while True:
            with self._lock:
                ready = self._round()
                left = min(deadline, self._chores_due) - time.monotonic()
                self._polling = not ready
            if ready or time.monotonic() >= deadline:
                self._polling = False
                return ready
            self._poller.poll(math.ceil(1000 * max(0.0, left)))
            self._polling = False
            with suppress(BlockingIOError):
                os.read(self._read_end, 4096)

    def answer(self, ticket: Ticket, verdict: Verdict, held: Set[int] = frozenset()) -> None:
        """Say what became of a delivery; see `FrameSource.answer`."""
        with self._lock:
            self._reception.answer(ticket, verdict, held)
            self._wake()

    def grant(self, frames: int) -> None:
        """Set how many frames may be in flight; see `FrameSource.grant`."""
        with self._lock:
            self._reception.grant(frames)
            self._wake()

    def clients(self) -> tuple[ClientStatus, ...]:
        """Return the status of every client; see `FrameSource.clients`."""
        with self._lock:
            return self._reception.clients()

    def expects(self, sample: int) -> bool:
        """Whether frames of a sample may come; see `FrameSource.expects`."""
        with self._lock:
            if self._reception.knows(sample):
                return True
            try:
                return lies_in_spool(self._own.spool, self._spec, sample)
            except StorageAccessError:
                return True  # the disk may come back, and frames with it

    def close(self) -> None:
        """Send the last answers and leave; clients keep what was not answered."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for peer in self._leftovers:
                peer.pump(self._reception)
                if not peer.over:
                    peer.close()
            self._flush()
            for connected in self._peers.values():
                connected.close()
            release(self._path, self._own)
            self._free()

    def _free(self) -> None:
        if self._gatekeeper is not None:
            self._gatekeeper.stop_listening()
        self._socket.close(linger=1000)
        if self._gatekeeper is not None:
            self._gatekeeper.close()
        self._context.term()
        os.close(self._read_end)
        os.close(self._write_end)

    def _guard(self) -> StreamKeys:
        """Let only those in that have the keys which are returned; before listening."""
        keys, own = new_keys(self._path.with_name(f"{self._path.name}.key"))
        secure_server(self._socket, own)
        self._gatekeeper = Gatekeeper(self._socket, keys, self._strangers)
        return keys

    def _bind(self, interface: str) -> str:
        """Listen; return the address under which clients reach this source."""
        try:
            port = self._socket.bind_to_random_port(f"tcp://{interface}")
        except zmq.ZMQError as error:
            raise StreamError(
                f"Expected a network address of this machine; received {interface!r} ({error}). "
                "Use `*` for all of them."
            ) from error
        # The name of an interface means nothing elsewhere: its address does.
        host = network.gethostname() if interface == "*" else self._listening.rpartition(":")[0]
        # No Unix socket beside it: ZeroMQ is the slower there, see `benchmarks/online.py`.
        return f"tcp://{host}:{port}"

    @property
    def _listening(self) -> str:
        """Address and port on which the socket listens."""
        return self._socket.getsockopt_string(zmq.LAST_ENDPOINT).removeprefix("tcp://")

    def _round(self) -> list[tuple[Ticket, Delivery]]:
        """Read, pass on and answer once."""
        self._read_bytes = 0
        for _ in range(_AT_ONCE):
            if self._read_bytes >= _BYTES_AT_ONCE:
                break
            try:
                parts = self._socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                break
            self._read(parts)
        # After reading: a source that was busy elsewhere must not take its clients for silent.
        if time.monotonic() >= self._chores_due:
            self._chores()
        for leftover in self._leftovers:
            leftover.pump(self._reception)
        self._leftovers = [peer for peer in self._leftovers if not peer.over]
        self._reception.allot()
        self._flush()
        return self._reception.take()

    def _chores(self) -> None:
        self._chores_due = time.monotonic() + _CHORES
        check_epoch(self._path, self._own)
        self._freed.give_back()
        self._reception.forget_silent()
        self._flush()  # those that leave now have their last answer first
        for key in [key for key, peer in self._peers.items() if peer.session is None]:
            self._peers.pop(key).close()
        if not self._leftovers:
            # Those under way are locked, and would only be looked at in vain.
            found = leftovers(self._own.spool, self._spec)
            self._leftovers = [LeftoverPeer(leftover) for leftover in islice(found, _OPEN)]

    def _flush(self) -> None:
        for peer in self._peers.values():
            for data in peer.outgoing(self._own.epoch):
                self._socket.send_multipart((peer.identity, data))

    def _read(self, parts: list[Any]) -> None:
        """Act on one message; ignore what is none of ours."""
        if len(parts) < 2:
            return
        identity, message = parts[0].bytes, unpack(parts[1].buffer)
        if message is None:
            return
        kind, epoch = message[:2]
        if epoch != self._own.epoch:
            self._tell(identity, Kind.STALE, "epoch")
            return
        peer = self._peers.get(identity)
        try:
            if kind == Kind.HELLO:
                self._greet(identity, message, parts[0])
            elif peer is None or peer.session is None:
                self._tell(identity, Kind.STALE, "hello")
            else:
                peer.seen = time.monotonic()
                self._act(peer, message, parts[2:])
        except MALFORMED as error:
            self._tell(identity, Kind.REFUSED, f"its message cannot be read ({error})")

    def _greet(self, identity: bytes, message: Message, sender: zmq.Frame) -> None:
        token, study, sample, attempt, mu, seed, start, stop, shared = message[2:]
        if not compare_digest(str(token), self._own.token):
            self._strangers.note(_address_of(sender), "its token is wrong or has expired")
            self._tell(identity, Kind.REFUSED, "its token is wrong, or of another run")
        elif study != self._spec.study:
            self._tell(identity, Kind.REFUSED, "it is of another study")
        elif not (0 <= sample < self._spec.n_samples and 0 <= start < stop <= self._spec.n_values):
            self._tell(identity, Kind.REFUSED, "its sample or its part is outside the study")
        else:
            peer = self._peers.get(identity)
            if peer is None or peer.part != (start, stop):
                peer = self._peers[identity] = ZmqPeer(identity, (start, stop))
            elif peer.session is None:
                peer.begin()
            peer.share(shared if self._own.keys is None else None)
            hello = Hello(int(sample), int(attempt), mu, int(seed))
            self._reception.hello(peer, hello)

    def _act(self, peer: ZmqPeer, message: Message, payload: list[Any]) -> None:
        kind = message[0]
        if kind == Kind.FRAMES:
            peer.goal, peer.last_step = int(message[2]), int(message[3])
            self._frames(peer, message[4], message[5], message[6], payload)
        elif kind == Kind.BEAT:
            peer.goal, peer.last_step = int(message[2]), int(message[3])
            peer.blocked_seconds, peer.spooled_bytes = float(message[4]), int(message[5])
        elif kind == Kind.ENDING:
            self._reception.ending(peer, bool(message[2]), str(message[3]))

    def _frames(
        self,
        peer: ZmqPeer,
        steps: list[int],
        digests: list[int],
        slots: list[int],
        payload: list[Any],
    ) -> None:
        assert peer.session is not None, "the caller looked"
        frames = []
        sent = [values for part in payload for values in frame_vectors(part.buffer, peer.part)]
        self._freed.passed(sum(len(part.buffer) for part in payload))
        if len(sent) != sum(slot < 0 for slot in slots):
            raise ValueError("other frames than it says")
        for step, digest, slot in zip(steps, digests, slots, strict=True):
            if slot < 0:
                values = self._checked(sent.pop(0), digest)
            elif step in peer.session.pending:
                continue  # it came before, and the answer under way will serve both
            else:
                values = peer.fetch(slot, digest, self._arrays)
                self._read_bytes += 0 if values is None else values.nbytes
            if values is None:
                self._reception.send_again(peer, step)
            else:
                frames.append((step, digest, values))
        self._reception.frames(peer, frames)

    def _checked(self, values: Values, digest: int) -> Values | None:
        return None if self._verify and frame_digest(values) != digest else values

    def _tell(self, identity: bytes, kind: Kind, why: str) -> None:
        self._socket.send_multipart((identity, pack(kind, self._own.epoch, why)))

    def _wake(self) -> None:
        if self._polling:
            self._polling = False
            os.write(self._write_end, b"\0")


def _address_of(part: zmq.Frame) -> str:
    """Return where a message has come from."""
    try:
        return str(part.get("Peer-Address"))
    except zmq.ZMQError:
        return UNKNOWN
