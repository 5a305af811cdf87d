"""The record files of samples that were drawn after their dataset was created.

Samples that were drawn together stand in one file, named after the first of them: a reader, also
one after a crash, sees all of them or none. A file never changes once it is there.
"""

import os
import uuid
from typing import final

from infra.errors import StoreError
from infra.files import flush_folder, write_durably
from infra.paths import DatasetPaths
from infra.records import DrawRecord, from_json, to_json

__all__ = ["Draws"]


@final
class Draws:
    """Reads each record once, and adds new ones.

    Parameters
    ----------
    paths
        Of the dataset.
    """

    def __init__(self, paths: DatasetPaths) -> None:
        self._paths = paths
        self._known: dict[int, DrawRecord] = {}

    def known(self) -> tuple[DrawRecord, ...]:
        """Return the records that were read by now, in order of their first samples."""
        return tuple(self._known[first] for first in sorted(self._known))

    def fresh(self) -> tuple[DrawRecord, ...]:
        """Read the records that are new since the last call.

        Raises
        ------
        StoreError
            If one is damaged, or contradicts another one.
        """
        there = self._paths.indices(self._paths.draws)
        fresh = {first: self._read(first) for first in sorted(there - self._known.keys())}
        taken = {s.index for record in self._known.values() for s in record.samples}
        for first, record in fresh.items():
            mine = {sample.index for sample in record.samples}
            if not taken.isdisjoint(mine):
                raise StoreError(
                    f"Expected each sample in one draw; received {sorted(taken & mine)} again in "
                    f"{self._paths.draw(first)}. Remove the file that was put there."
                )
            taken |= mine
        self._known |= fresh
        return tuple(fresh.values())

    def write(self, record: DrawRecord) -> None:
        """Add a record; the caller holds the dataset's lock and has checked the samples.

        Raises
        ------
        StoreError
            If another draw of the first sample is there.
        OSError
            If it cannot be written.
        """
        first = record.samples[0].index
        path, staged = self._paths.draw(first), self._paths.staged_draw(uuid.uuid4().hex)
        if not self._paths.draws.exists():
            self._paths.draws.mkdir(exist_ok=True)
            flush_folder(self._paths.root)
        write_durably(staged, to_json(record).encode())
        try:
            # Fails if the name is there: who comes first wins, whatever happens to the lock.
            os.link(staged, path)
        except FileExistsError as error:
            if self._read(first) != record:
                raise StoreError(
                    f"Expected the samples from {first} on as they were drawn, see {path}; "
                    "received other ones. Take the samples from the store."
                ) from error
        finally:
            staged.unlink(missing_ok=True)
        flush_folder(self._paths.draws)

    def _read(self, first: int) -> DrawRecord:
        return from_json(DrawRecord, self._paths.draw(first).read_bytes())
