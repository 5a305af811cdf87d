"""The rules of a source, whatever carries the messages: sessions, parts, answers and credits.

A frame is delivered to the application once; if its client sends it again after a reconnection,
the one answer serves both. Credits go only to clients that have frames waiting, so that idle
simulations hold none back.
"""

import time
from collections.abc import Sequence, Set
from typing import final

from infra.errors import StreamError
from infra.streaming.frames import (
    Delivery,
    Ending,
    Frame,
    FrameKey,
    Hello,
    StreamSpec,
    Values,
    Verdict,
    frame_digest,
)
from infra.streaming.sessions import EndingTicket, FrameTicket, HelloTicket, Peer, Session
from infra.streaming.source import ClientStatus, Ticket

__all__ = ["Reception"]

# Frames that a client may send before it has asked: then it need not wait for permission.
_AHEAD = 64
# After so many seconds without a sign of life a client that has failed is most likely dead.
_ALIVE = 3.0


@final
class Reception:
    """All sessions of one source; its owner serialises the calls.

    Parameters
    ----------
    spec
        The study.
    silence
        Seconds without a sign of life after which a client's credits go to others. A client that
        was only slow says hello again and loses nothing.
    """

    def __init__(self, spec: StreamSpec, silence: float) -> None:
        self._spec = spec
        self._silence = silence
        self._sessions: dict[tuple[int, int], Session] = {}
        self._lost: dict[int, ClientStatus] = {}
        self._ready: list[tuple[Ticket, Delivery]] = []
        self._granted = 0
        self._orphans = 0  # frames of forgotten sessions that the application has not answered

    def hello(self, peer: Peer, hello: Hello) -> None:
        """Take in the hello of a client, its first or another one."""
        if peer.session is not None and peer.waiting:
            return
        key = (hello.sample, hello.attempt)
        session = self._sessions.get(key)
        if session is None:
            self._forget_before(*key)
            session = self._sessions[key] = Session(self._spec, *key)
        former = session.peers.get(peer.part[0])
        if former is not None:
            former.leave(session)
        session.peers[peer.part[0]] = peer
        if session.endings.pop(peer.part[0], None) is not None and not session.ending_given:
            session.farewell = None  # it comes again, after what has to be sent again
        peer.session = session
        peer.waiting = True
        self._lost.pop(hello.sample, None)
        self._ready.append((HelloTicket(session, peer), hello))

    def frames(self, peer: Peer, frames: Sequence[tuple[int, int, Values]]) -> None:
        """Take in frames, or parts of them: step, digest and values of each."""
        session = peer.session
        assert session is not None, "its owner turns away peers without a session"
        for step, digest, values in frames:
            session.damaged.discard(step)
            if values.size != peer.part[1] - peer.part[0] or not 0 <= step < self._spec.n_frames:
                self._settle(session, step, Verdict.REFUSED)
            elif step in session.pending:
                continue  # the answer under way will serve this copy too
            elif values.size == self._spec.n_values:
                self._deliver(session, step, digest, values)
            else:
                whole = session.parts.add(step, peer.part[0], values)
                if whole is not None:
                    self._deliver(session, step, frame_digest(whole), whole)

    def ending(self, peer: Peer, complete: bool, reason: str) -> None:
        """Take in that a client has ended; answers to its frames may still be under way."""
        session = peer.session
        assert session is not None, "its owner turns away peers without a session"
        session.endings[peer.part[0]] = complete
        if session.ending_verdict is not None:
            self._close_ended(session)
        elif session.farewell is None and (not complete or session.whole):
            session.farewell = Ending(session.sample, session.attempt, complete, reason)
            self._give_ending(session)

    def send_again(self, peer: Peer, step: int) -> None:
        """Ask for a frame that came damaged."""
        assert peer.session is not None, "its owner turns away peers without a session"
        self._settle(peer.session, step, Verdict.STALE)

    def give_up(self, peer: Peer, step: int) -> None:
        """Take in that a client cannot send a frame after all."""
        assert peer.session is not None, "its owner turns away peers without a session"
        self._settle(peer.session, step, Verdict.REFUSED)

    def leave(self, peer: Peer) -> None:
        """Take in that a client is gone without an ending."""
        if peer.session is not None:
            self._forget(peer.session)

    def take(self) -> list[tuple[Ticket, Delivery]]:
        """Return what was not handed to the application yet."""
        ready, self._ready = self._ready, []
        return ready

    def answer(self, ticket: Ticket, verdict: Verdict, held: Set[int]) -> None:
        """Take in the application's answer to a delivery."""
        match ticket:
            case FrameTicket():
                ticket.session.pending.discard(ticket.step)
                self._settle(ticket.session, ticket.step, verdict)
            case HelloTicket():
                self._welcome(ticket.session, ticket.peer, verdict, held)
            case EndingTicket():
                ticket.session.ending_verdict = verdict
                self._close_ended(ticket.session)
            case _:
                raise StreamError(
                    f"Expected a ticket of this source; received {ticket!r}. "
                    "Answer with the ticket that came with the delivery."
                )

    def grant(self, frames: int) -> None:
        """Set how many frames may be in flight together."""
        self._granted = max(0, frames)

    def allot(self) -> None:
        """Give free credits to the clients that wait for them, fewest in flight first."""
        free = self._granted - self._orphans
        free -= sum(session.outstanding for session in self._sessions.values())
        wanting = [session for session in self._sessions.values() if session.wanted > 0]
        wanting.sort(key=lambda session: session.outstanding)
        while free > 0 and wanting:
            share = max(1, free // len(wanting))
            for session in wanting:
                more = min(share, session.wanted, free)
                if more > 0:
                    session.allow(more)
                    free -= more
            wanting = [session for session in wanting if session.wanted > 0]
        self._lend(free)

    def knows(self, sample: int) -> bool:
        """Whether an attempt at a sample is connected and alive, or is played from the spool."""
        recent = time.monotonic() - _ALIVE
        sessions = self._sessions.values()
        return any(s.sample == sample and s.seen > recent for s in sessions)

    def forget_silent(self) -> None:
        """Free the credits of clients that give no sign of life."""
        oldest = time.monotonic() - self._silence
        for session in [s for s in self._sessions.values() if s.seen < oldest]:
            self._lost[session.sample] = session.status()
            self._forget(session)

    def clients(self) -> tuple[ClientStatus, ...]:
        """Return the status of all clients, the silent ones included."""
        known = [session.status() for session in self._sessions.values()]
        present = {status.sample for status in known}
        known += [status for sample, status in self._lost.items() if sample not in present]
        return tuple(sorted(known, key=lambda status: (status.sample, status.attempt)))

    def _lend(self, free: int) -> None:
        """Give some of the credits that nobody wants to clients that are likely to want them.

        Of all credits at most a quarter: idle clients hold back no more.
        """
        ahead = min(_AHEAD, self._granted // (4 * max(1, len(self._sessions))))
        for session in self._sessions.values():
            short = min(ahead - session.outstanding, free)
            if session.welcomed and not session.endings and 2 * short > ahead:
                session.allow(short)
                free -= short

    def _give_ending(self, session: Session) -> None:
        if session.farewell is not None and session.settled and not session.ending_given:
            session.ending_given = True
            self._ready.append((EndingTicket(session), session.farewell))

    def _deliver(self, session: Session, step: int, digest: int, values: Values) -> None:
        session.pending.add(step)
        frame = Frame(FrameKey(session.sample, session.attempt, step), values, digest)
        self._ready.append((FrameTicket(session, step), frame))

    def _settle(self, session: Session, step: int, verdict: Verdict) -> None:
        session.answered += 1
        if verdict is Verdict.STALE:
            session.damaged.add(step)
        if not session.alive:
            self._orphans -= 1
        for peer in session.listeners:
            peer.answer(step, verdict)
        self._give_ending(session)

    def _welcome(self, session: Session, peer: Peer, verdict: Verdict, held: Set[int]) -> None:
        peer.waiting = False
        if peer.session is not session:
            return  # it has said hello again since
        accepted = verdict is Verdict.ACCEPTED
        session.welcomed |= accepted
        peer.welcome(verdict, held, session.answered, session.allowed)
        if not accepted:
            self._forget(session)

    def _close_ended(self, session: Session) -> None:
        assert session.ending_verdict is not None, "the caller knows"
        for peer in session.listeners:
            if peer.part[0] in session.endings:
                peer.ended(session.ending_verdict)
        if session.alive and session.peers.keys() == session.endings.keys():
            self._forget(session)

    def _forget_before(self, sample: int, attempt: int) -> None:
        """Free the credits of earlier attempts: they are most likely dead."""
        for session in list(self._sessions.values()):
            if session.sample == sample and session.attempt < attempt:
                self._forget(session)

    def _forget(self, session: Session) -> None:
        if session.alive:
            session.alive = False
            self._orphans += len(session.pending)
            del self._sessions[session.sample, session.attempt]
            for peer in session.peers.values():
                peer.leave(session)
