"""The catalogue: one folder per dataset, with all that belongs into version control.

::

    <root>/<name>/
    ├── entry.yaml        what it is; validated, JSON Schema published
    ├── README.md         the card for people
    ├── params.csv        one row per sample
    ├── stats.yaml        statistics of every array
    └── provenance.json   code, packages, options and machine of every sample

The data themselves stay outside; the entry holds their place and a checksum.
"""

import csv
import difflib
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import final

import yaml

from infra.catalog_entry import (
    CatalogEntry,
    EntryArray,
    EntryParameter,
    EntryProvenance,
    json_schema,
)
from infra.errors import RomflowError, UserError, storage_errors
from infra.files import replace_durably
from infra.records import CommitRecord, FailureRecord, Json
from infra.store import SnapshotStore
from infra.zarr_store import open_store

__all__ = [
    "Catalog",
    "CatalogEntry",
    "EntryArray",
    "EntryParameter",
    "EntryProvenance",
    "digest_of",
    "json_schema",
    "parameter_rows",
]

FILES = ("entry.yaml", "README.md", "params.csv", "stats.yaml", "provenance.json")


@final
class Catalog:
    """The catalogue in one folder.

    Parameters
    ----------
    root
        The folder, usually ``data-catalog``; it need not exist before the first `write`.
    """

    def __init__(self, root: Path) -> None:
        self._root = Path(root)

    def names(self) -> list[str]:
        """Return the names of all entries in alphabetical order."""
        with storage_errors(self._root):
            return sorted(path.parent.name for path in self._root.glob("*/entry.yaml"))

    def folder(self, name: str) -> Path:
        """Return the folder of an entry, which need not exist."""
        return self._root / name

    def load(self, name: str) -> CatalogEntry:
        """Read one entry.

        Parameters
        ----------
        name
            One of `names`.

        Raises
        ------
        UserError
            If there is no such entry (the message lists the known ones), or it is not valid.
        """
        known = self.names()
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise UserError(
                f"Expected a dataset of {self._root}; received {name!r}.{hint} "
                f"Known: {', '.join(known) or 'none'}."
            )
        path = self.folder(name) / "entry.yaml"
        with storage_errors(path):
            text = path.read_text(encoding="utf-8")
        return CatalogEntry.from_yaml(text, str(path))

    def write(
        self,
        entry: CatalogEntry,
        *,
        card: str,
        rows: Sequence[Mapping[str, object]],
        statistics: Mapping[str, Mapping[str, float]],
        provenance: Mapping[str, Json],
    ) -> Path:
        """Write an entry, replacing an older one of the same name file by file.

        Parameters
        ----------
        entry
            The entry.
        card
            Text of the README.
        rows
            One row per sample for params.csv, see `parameter_rows`; all with the same columns.
        statistics
            Mean, deviation, extremes and root mean square by array.
        provenance
            Anything that JSON holds.

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        StorageFullError, StorageAccessError
            If it cannot be written.
        """
        folder = self.folder(entry.name)
        numbers = {name: dict(values) for name, values in statistics.items()}
        files = {
            "README.md": card,
            "params.csv": _csv(rows),
            "stats.yaml": yaml.safe_dump(numbers, sort_keys=False),
            "provenance.json": json.dumps(dict(provenance), indent=2, allow_nan=False) + "\n",
            # Last: with it the entry becomes visible.
            "entry.yaml": entry.to_yaml(),
        }
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in files.items():
                replace_durably(folder / name, text.encode())
        return folder

    def check(self, name: str) -> list[str]:
        """Compare an entry with its files and with its dataset.

        Parameters
        ----------
        name
            One of `names`.

        Returns
        -------
        list of str
            Problems in plain words; empty if there are none.

        Raises
        ------
        UserError
            If there is no such entry, or it is not valid.
        """
        entry = self.load(name)
        return [*self._file_problems(entry), *_data_problems(entry)]

    def _file_problems(self, entry: CatalogEntry) -> Iterator[str]:
        folder = self.folder(entry.name)
        for file in (*FILES, *entry.figures):
            if not (folder / file).is_file():
                yield f"Expected the file {folder / file}; it is missing. Write the entry again."
        if entry.name != folder.name:
            yield f"Expected the name {folder.name!r} in entry.yaml; received {entry.name!r}."
        table = folder / "params.csv"
        if table.is_file():
            with table.open(newline="", encoding="utf-8") as lines:
                n_rows = sum(1 for _ in csv.DictReader(lines))
            if n_rows != entry.n_samples:
                yield f"Expected {entry.n_samples} rows in {table}; received {n_rows}."


def digest_of(store: SnapshotStore) -> str:
    """Return one SHA-256 (hex) for the data of all committed samples.

    It is taken over the lines ``<index> <array> <checksum>``, sorted by index and array.
    """
    digest = hashlib.sha256()
    for index in sorted(store.committed()):
        for name, checksum in sorted(store.record(index).checksums.items()):
            digest.update(f"{index} {name} {checksum}\n".encode())
    return digest.hexdigest()


def parameter_rows(store: SnapshotStore) -> list[dict[str, object]]:
    """Return one row per sample for params.csv.

    Returns
    -------
    list of dict
        Columns: index, each parameter, seed, status, reason, wall_seconds, steps; the last
        three are empty where they do not exist, and so are parameters that are drawn later.
    """
    committed, failures = store.committed(), store.failures()
    columns = [column.name for column in store.description.parameters]
    rows: list[dict[str, object]] = []
    for sample in store.samples:
        record = (
            store.record(sample.index) if sample.index in committed else failures.get(sample.index)
        )
        values = {name: sample.mu.get(name, "") for name in columns}
        rows.append({"index": sample.index, **values, "seed": sample.seed, **_outcome(record)})
    return rows


def _outcome(record: CommitRecord | FailureRecord | None) -> dict[str, object]:
    if isinstance(record, CommitRecord):
        report = record.report
        known: tuple[object, ...] = (
            "committed",
            report.reason,
            report.wall_seconds,
            report.steps,
        )
    elif isinstance(record, FailureRecord):
        known = ("failed", record.reason, "", "")
    else:
        known = ("missing", "", "", "")
    return dict(zip(("status", "reason", "wall_seconds", "steps"), known, strict=True))


def _data_problems(entry: CatalogEntry) -> Iterator[str]:
    try:
        store = open_store(Path(entry.location))
        found = (len(store.samples), len(store.committed()), len(store.failures()))
        checksum = digest_of(store)
    except RomflowError as error:
        yield str(error)
        return
    expected = (entry.n_samples, entry.n_committed, entry.n_failed)
    if found != expected:
        yield (
            f"Expected (samples, committed, failed) = {expected} in {entry.location}; "
            f"received {found}. Write the entry again."
        )
    if checksum != entry.checksum:
        yield (
            f"Expected the checksum {entry.checksum} of {entry.location}; received {checksum}. "
            "The data are other ones: write the entry again, or restore them."
        )


def _csv(rows: Sequence[Mapping[str, object]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
