"""The job files of a study's chunks: thousands of small files, so each costs a few system calls.

They hold nothing that the study does not say, so they need no flushing to the device: after a power
failure the next run writes them anew.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

from infra.errors import storage_errors
from infra.files import write_whole
from solvers.chunk import ChunkJob

__all__ = ["Chunk", "write_chunks"]

_NEW = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC


@final
@dataclass(frozen=True)
class Chunk:
    """A chunk with work left: its job file and its log."""

    number: int
    job: Path
    log: Path
    samples: tuple[int, ...]


def write_chunks(
    common: ChunkJob, left: Mapping[int, tuple[int, ...]], *, logs: bool = True
) -> tuple[Chunk, ...]:
    """Write the job files of chunks, and empty logs where there are none.

    Parameters
    ----------
    common : what all of them share; its own number and samples do not count
    left : samples of each chunk that are still to be computed, by its number
    logs : whether logs are made; where nobody reads them yet, jobs make their own

    Raises
    ------
    StorageFullError, StorageAccessError
        If they cannot be written.
    """
    jobs, told = common.dataset / "jobs", common.dataset / "logs"
    # Checked and serialised once: only number and samples are put before it.
    rest = common.model_dump_json(exclude={"number", "samples"})[1:]
    with storage_errors(told):
        known = {log.name for log in told.iterdir()}
    chunks = []
    for number, samples in left.items():
        job, log = Path(f"{jobs}/{number:06d}.json"), Path(f"{told}/{number:06d}.jsonl")
        with storage_errors(job):
            _write(job, f'{{"number":{number},"samples":{json.dumps(samples)},{rest}'.encode())
            if logs and log.name not in known:
                os.close(os.open(log, _NEW, 0o666))
        chunks.append(Chunk(number, job, log, samples))
    return tuple(chunks)


def _write(path: Path, data: bytes) -> None:
    file = os.open(path, _NEW | os.O_TRUNC, 0o666)
    try:
        write_whole(file, data)
    finally:
        os.close(file)
