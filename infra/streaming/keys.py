"""The keys by which clients get into a stream that goes over a network."""

import re
from dataclasses import dataclass, field
from typing import final

__all__ = ["StreamKeys"]

# 32 bytes in the alphabet of ZeroMQ's RFC 32/Z85.
_Z85 = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")


@final
@dataclass(frozen=True)
class StreamKeys:
    """What a client must know, as text of 40 characters each.

    The trainer's own secret key is elsewhere, and no client's business. The clients' are made anew
    by every trainer that starts: a copy of an older file opens nothing.

    Attributes
    ----------
    server
        Public key of the trainer.
    public, secret
        The key pair that all clients share.

    Raises
    ------
    ValueError
        If one of them is no key.
    """

    server: str
    public: str
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        for key in (self.server, self.public, self.secret):
            if not _Z85.fullmatch(key):
                raise ValueError("expected keys of 40 characters in the form Z85")
