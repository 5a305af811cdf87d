"""Streaming writer of one Zarr v3 shard.

Zarr-Python writes a shard at once, so a trajectory would have to fit into memory. The format
does not ask for that: a shard of the codec ``sharding_indexed`` is the encoded inner chunks in
any order, then an index at the end

    (offset_0, nbytes_0, offset_1, nbytes_1, ...)   uint64, little-endian, chunks in C order
    crc32c of these bytes                           uint32, little-endian

so that chunks can be appended while the simulation runs, and the index when it is finished.
The result is a plain shard that any Zarr v3 reader opens.

Source: Zarr v3 specification, codecs ``sharding_indexed`` 1.0, ``crc32c`` 1.0, ``blosc`` 1.0
(https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed/).
"""

import hashlib
import math
import os
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final

import google_crc32c
import numpy as np
from numcodecs import blosc

from infra.errors import StoreError, storage_errors
from infra.files import flush_folder, write_whole

__all__ = ["BloscSettings", "ShardWriter"]

_SHUFFLES = {"noshuffle": blosc.NOSHUFFLE, "shuffle": blosc.SHUFFLE, "bitshuffle": blosc.BITSHUFFLE}


@final
@dataclass(frozen=True)
class BloscSettings:
    """How inner chunks are compressed.

    Attributes
    ----------
    cname
        Compressor inside Blosc.
    clevel
        0 (none) to 9.
    shuffle
        Order of bytes before compression; ``shuffle`` suits floats.
    """

    cname: Literal["lz4", "lz4hc", "zstd"] = "lz4"
    clevel: int = 5
    shuffle: Literal["noshuffle", "shuffle", "bitshuffle"] = "shuffle"


@final
class ShardWriter:
    """Appends inner chunks to a shard file and publishes it when it is complete.

    At most one encoded chunk is held in memory. The checksum is taken over the raw
    little-endian bytes, so that it does not depend on the codec.

    Parameters
    ----------
    path
        The unfinished file, on the file system of the final one; it must not exist.
    chunk_shape
        Shape of one inner chunk; leading axes of size 1 may be left out of the data.
    dtype
        Type of the values.
    n_chunks
        Number of inner chunks in the shard.
    codec
        Compression; the array's metadata must say the same.

    Raises
    ------
    StorageAccessError, StorageFullError
        If the file cannot be made.
    """

    def __init__(
        self,
        path: Path,
        chunk_shape: tuple[int, ...],
        dtype: str,
        n_chunks: int,
        codec: BloscSettings,
    ) -> None:
        self._path = path
        self._size = math.prod(chunk_shape)
        self._dtype = np.dtype(dtype).newbyteorder("<")
        self._n_chunks = n_chunks
        self._codec = blosc.Blosc(
            cname=codec.cname,
            clevel=codec.clevel,
            shuffle=_SHUFFLES[codec.shuffle],
            typesize=self._dtype.itemsize,
        )
        # Blosc's own threads would compete with the MPI processes that fill the machine, and
        # they share one state among Python's threads. Zarr sets the same.
        blosc.use_threads = False
        self._index: list[int] = []
        self._end = 0
        self._hash = hashlib.sha256()
        self._finished = False
        with storage_errors(path):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._file: int | None = os.open(path, flags, 0o666)

    def append(self, chunk: np.ndarray) -> None:
        """Encode one inner chunk and write it behind the others.

        Parameters
        ----------
        chunk
            As many values as a chunk holds, in C order.

        Raises
        ------
        StoreError
            If the size differs, or the shard has all its chunks.
        StorageFullError
            If there is no room.
        """
        if chunk.size != self._size or len(self._index) == 2 * self._n_chunks:
            raise StoreError(
                f"Expected {self._n_chunks} chunks of {self._size} values in {self._path}; "
                f"received chunk {len(self._index) // 2 + 1} of {chunk.size} values."
            )
        raw = np.ascontiguousarray(chunk, self._dtype).reshape(-1)
        self._hash.update(raw.data)
        encoded = self._codec.encode(raw)
        self._write(encoded)
        self._index += [self._end, len(encoded)]
        self._end += len(encoded)

    def finish(self) -> str:
        """Write the index and flush the file to the device.

        Returns
        -------
        str
            SHA-256 (hex) of the raw little-endian bytes of all chunks in order.

        Raises
        ------
        StoreError
            If chunks are missing.
        StorageFullError
            If there is no room.
        """
        if len(self._index) != 2 * self._n_chunks:
            raise StoreError(
                f"Expected {self._n_chunks} chunks in {self._path}; received "
                f"{len(self._index) // 2}. Append the others first."
            )
        index = struct.pack(f"<{len(self._index)}Q", *self._index)
        self._write(index + struct.pack("<I", google_crc32c.value(index)))
        with storage_errors(self._path):
            os.fsync(self._open_file())
        self._close()
        self._finished = True
        return self._hash.hexdigest()

    def publish(self, final_path: Path) -> None:
        """Move the finished shard to its place and flush the folder.

        Parameters
        ----------
        final_path
            The shard's path in the Zarr array; missing folders are made.

        Raises
        ------
        StoreError
            If the shard is not finished.
        StorageAccessError, StorageFullError
            If it cannot be moved.
        """
        if not self._finished:
            raise StoreError(f"Expected a finished shard; {self._path} is not. Call finish first.")
        with storage_errors(final_path):
            made = _make_folders(final_path.parent)
            self._path.replace(final_path)
            for folder in (final_path.parent, *made):
                flush_folder(folder)

    def discard(self) -> None:
        """Close and remove the unfinished file; may be called at any time, also twice."""
        self._close()
        # A published file has left its place. An access error must not hide the first error.
        with suppress(OSError):
            self._path.unlink()

    def _write(self, data: bytes) -> None:
        with storage_errors(self._path):
            write_whole(self._open_file(), data)

    def _open_file(self) -> int:
        if self._file is None:
            raise StoreError(f"Expected an open shard; {self._path} was finished or discarded.")
        return self._file

    def _close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            os.close(file)


def _make_folders(folder: Path) -> list[Path]:
    """Make a folder with its parents; return the parents whose list of names changed."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return [place.parent for place in missing]
