"""The messages of a stream over ZeroMQ: MessagePack lists, and the frames' bytes as they are.

Each message begins with its kind and the epoch of the trainer it is from or for. From a client::

    hello    epoch, token, study, sample, attempt, mu, seed, start, stop, shared memory or nil
    frames   epoch, goal, last step, [step], [digest], [slot]    + parts of raw bytes, frame by
                                     frame; those with a slot >= 0 lie in the shared memory
    beat     epoch, goal, last step, blocked seconds, spooled bytes
    ending   epoch, complete, reason

and from a source::

    welcome  epoch, verdict, held steps, frames answered, frames allowed, memory is shared
    answers  epoch, [step], [verdict], frames allowed
    ended    epoch, verdict
    stale    epoch, why: "epoch" (read the file again) or "hello" (say hello again)
    refused  epoch, why

Source: ZeroMQ's ROUTER and DEALER patterns (RFC 28/REQREP), MessagePack specification 2013.
"""

from enum import IntEnum
from typing import Any, final

import msgpack

__all__ = ["MALFORMED", "Kind", "Message", "pack", "unpack"]

type Message = list[Any]

# What the fields of a message that somebody else has made up may raise.
MALFORMED = (TypeError, ValueError, LookupError)


@final
class Kind(IntEnum):
    """Kinds of messages."""

    HELLO = 0
    FRAMES = 1
    BEAT = 2
    ENDING = 3
    WELCOME = 4
    ANSWERS = 5
    ENDED = 6
    STALE = 7
    REFUSED = 8


# Values of each kind, kind and epoch included.
_LENGTHS = (11, 7, 6, 4, 7, 5, 3, 3, 3)


def pack(kind: Kind, epoch: int, *values: Any) -> bytes:
    """Return a message as bytes."""
    return bytes(msgpack.packb((int(kind), epoch, *values)))


def unpack(data: Any) -> Message | None:
    """Return the list of a message, kind and epoch first; None if it is none of ours."""
    try:
        message = msgpack.unpackb(data)
        if isinstance(message, list) and len(message) == _LENGTHS[message[0]]:
            return message
    except (msgpack.UnpackException, *MALFORMED):
        pass
    return None
