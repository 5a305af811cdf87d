"""Spooled frames whose client is gone: read by whoever trains next, or still.

All segments of one attempt belong together. They are locked while they are read, as they were by
the client, so that two readers never share them; they go away once everything is answered.
"""

import fcntl
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import msgpack
import numpy as np

from infra.errors import StorageAccessError, storage_errors
from infra.streaming.frames import (
    WIRE,
    Delivery,
    Ending,
    Frame,
    FrameKey,
    Hello,
    StreamSpec,
    frame_digest,
)
from infra.streaming.spool import ENDING, FRAME, HEAD, OWNER, Owner, checked_head

__all__ = ["Leftover", "leftovers", "lies_in_spool", "wholly_in_spool"]

_NAME = re.compile(r"(\d+)-(\d+)-(\d+)\.(\d+)\.spool")


@final
@dataclass(frozen=True)
class _Piece:
    """A frame, or a part of one, in a segment."""

    file: int
    offset: int
    start: int
    length: int
    digest: int


@final
@dataclass(eq=False)
class Leftover:
    """What one attempt has left in the spool; `close` or `remove` it.

    Attributes
    ----------
    spec
        The study.
    hello
        Sample, attempt, parameters and seed.
    ending
        The ending, None if the client was killed.
    steps
        The steps that are there completely, in the order in which they were computed.
    """

    spec: StreamSpec
    hello: Hello
    ending: Ending | None = None
    steps: tuple[int, ...] = ()
    _paths: list[Path] = field(default_factory=list)
    _files: list[int] = field(default_factory=list)
    _pieces: dict[int, dict[int, _Piece]] = field(default_factory=dict)

    def read(self, step: int) -> Frame | None:
        """Return one frame, or None if its bytes are not those that were written."""
        values = np.empty(self.spec.n_values, WIRE)
        for piece in self._pieces[step].values():
            part = values[piece.start : piece.start + piece.length // WIRE.itemsize]
            data = os.pread(piece.file, piece.length, piece.offset)
            if len(data) < piece.length:
                return None
            part[:] = np.frombuffer(data, WIRE)
            if frame_digest(part) != piece.digest:
                return None
        values.flags.writeable = False
        key = FrameKey(self.hello.sample, self.hello.attempt, step)
        return Frame(key, values, frame_digest(values))

    def deliveries(self) -> Iterator[Delivery]:
        """Yield the hello, the frames and, if there is one, the ending."""
        yield self.hello
        for step in self.steps:
            frame = self.read(step)
            if frame is not None:
                yield frame
        if self.ending is not None:
            yield self.ending

    def remove(self) -> None:
        """Delete it, when everything in it is safe elsewhere."""
        for path in self._paths:
            path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Leave it to another reader."""
        for file in self._files:
            os.close(file)
        self._files = []


def leftovers(folder: Path, spec: StreamSpec) -> Iterator[Leftover]:
    """Find what clients that are gone have left, attempt by attempt.

    Parameters
    ----------
    folder
        The spool.
    spec
        The study; segments of another one are left alone.

    Yields
    ------
    Leftover
        Locked for this reader.

    Raises
    ------
    StorageAccessError
        If the folder cannot be read.
    """
    for paths in _segments(folder):
        files = _locked(paths)
        found = None if files is None else _read(spec, files)
        if found is not None:
            yield found


def lies_in_spool(folder: Path, spec: StreamSpec, sample: int) -> bool:
    """Return whether an attempt at a sample has frames there, or is using the spool now.

    Parameters
    ----------
    folder, spec
        As in `leftovers`.
    sample
        Its number.

    Raises
    ------
    StorageAccessError
        If the folder cannot be read.
    """
    for paths in _segments(folder, sample):
        files = _locked(paths)
        if files is None:
            return True  # its client or a reader is at work; or they have gone away right now
        found = _read(spec, files)
        if found is not None:
            found.close()
            return True
    return False


def wholly_in_spool(folder: Path, spec: StreamSpec, sample: int) -> bool:
    """Return whether an attempt has left there all that the trainer still lacks of a sample.

    That is the case if it said that it was complete, and no frame of it is damaged: it went away
    only after all others were answered.

    Parameters
    ----------
    folder, spec, sample
        As in `lies_in_spool`; a folder that cannot be read holds nothing.
    """
    try:
        segments = _segments(folder, sample)
    except StorageAccessError:
        return False
    for paths in segments:
        # Not locked: a trainer may be reading, and whoever has written the ending is through.
        files = _opened(paths)
        found = None if files is None else _read(spec, files)
        if found is None:
            continue
        ended = found.ending is not None and found.ending.complete
        whole = ended and all(found.read(step) is not None for step in found.steps)
        found.close()
        if whole:
            return True
    return False


def _segments(folder: Path, only: int | None = None) -> list[list[Path]]:
    """Return the files of each attempt, in order."""
    groups: dict[tuple[int, int], list[tuple[int, int, Path]]] = defaultdict(list)
    with suppress(FileNotFoundError), storage_errors(folder):
        for path in folder.iterdir():
            if name := _NAME.fullmatch(path.name):
                sample, attempt, start, number = map(int, name.groups())
                if only in (None, sample):
                    groups[sample, attempt].append((start, number, path))
    return [[path for _, _, path in sorted(members)] for _, members in sorted(groups.items())]


def _opened(paths: list[Path]) -> list[tuple[Path, int]] | None:
    """Open all of these files; None if one is gone."""
    files: list[tuple[Path, int]] = []
    try:
        for path in paths:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            files.append((path, file))
    except OSError:
        for _, file in files:
            os.close(file)
        return None
    return files


def _locked(paths: list[Path]) -> list[tuple[Path, int]] | None:
    """Open and lock all of these files, or none if one of them is in use or gone."""
    files = _opened(paths)
    try:
        for _, file in files or ():
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file).st_nlink == 0:
                raise FileNotFoundError  # its last reader has removed it since
    except OSError:
        for _, file in files or ():
            os.close(file)
        return None
    return files


def _read(spec: StreamSpec, files: list[tuple[Path, int]]) -> Leftover | None:
    """Look through segments; None if they are of another study, or nothing can be read."""
    found: Leftover | None = None
    ended: dict[int, tuple[bool, str]] = {}
    covered = 0
    for path, file in files:
        owner: Owner | None = None
        for kind, step, piece, data in _records(file):
            if kind == OWNER:
                owner = Owner.unpack(data)
                if (owner.study, owner.n_values) != (spec.study, spec.n_values):
                    break
                found = found or Leftover(spec, owner.hello)
            elif owner is None or found is None:
                break
            elif kind == FRAME:
                start = owner.part[0]
                placed = _Piece(file, piece.offset, start, piece.length, piece.digest)
                found._pieces.setdefault(step, {})[start] = placed
            elif kind == ENDING and owner.part[0] not in ended:
                complete, reason = msgpack.unpackb(data)
                ended[owner.part[0]] = (bool(complete), str(reason))
                covered += owner.part[1] - owner.part[0]
        if found is not None:
            found._paths.append(path)
    if found is None:
        for _, file in files:
            os.close(file)
        return None
    found._files = [file for _, file in files]
    _settle(found, ended, covered)
    return found


def _settle(found: Leftover, ended: dict[int, tuple[bool, str]], covered: int) -> None:
    """Set what is there completely, and how it ended."""
    n_values = found.spec.n_values
    found.steps = tuple(
        step
        for step, pieces in found._pieces.items()
        if sum(piece.length for piece in pieces.values()) == n_values * WIRE.itemsize
    )
    failed = [reason for complete, reason in ended.values() if not complete]
    if failed or covered == n_values:
        reason = failed[0] if failed else ""
        hello = found.hello
        found.ending = Ending(hello.sample, hello.attempt, complete=not failed, reason=reason)


def _records(file: int) -> Iterator[tuple[int, int, _Piece, bytes]]:
    """Yield kind, step, place and, frames aside, payload; end at the first torn record."""
    size, offset = os.fstat(file).st_size, 0
    while (head := checked_head(os.pread(file, HEAD.size, offset))) is not None:
        kind, step, digest, length = head
        offset += HEAD.size
        if offset + length > size:
            return
        data = b"" if kind == FRAME else os.pread(file, length, offset)
        if kind != FRAME and frame_digest(np.frombuffer(data, np.uint8)) != digest:
            return
        yield kind, step, _Piece(file, offset, 0, length, digest), data
        offset += length
