"""Every path of a dataset, computed in one place.

::

    <root>/
    ├── data.zarr/              plain Zarr v3, nothing else inside
    ├── layout.json             description of the dataset
    ├── commits/000012.json     a sample is complete if and only if its record is here
    ├── failures/000012.json    why a sample could not be computed
    ├── draws/000016.json       samples drawn later: from 16 on, as many as were drawn together
    ├── locks/000012.lock       held by the attempt that computes the sample
    └── staging/000012.<token>/ unfinished data of one attempt
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import final

from infra.description import ArraySpec
from infra.errors import storage_errors

__all__ = ["DatasetPaths"]

_SEPARATOR = re.compile(r'"separator"\s*:\s*"([./])"')


@final
@dataclass(frozen=True)
class DatasetPaths:
    """The paths of the dataset in one folder.

    Attributes
    ----------
    root
        The folder of the dataset.
    """

    root: Path

    @property
    def data(self) -> Path:
        """The Zarr hierarchy."""
        return self.root / "data.zarr"

    @property
    def layout(self) -> Path:
        """Description of the dataset."""
        return self.root / "layout.json"

    @property
    def commits(self) -> Path:
        """Folder of commit records."""
        return self.root / "commits"

    @property
    def failures(self) -> Path:
        """Folder of failure records."""
        return self.root / "failures"

    @property
    def draws(self) -> Path:
        """Folder of draw records; only there if samples were drawn after the creation."""
        return self.root / "draws"

    @property
    def locks(self) -> Path:
        """Folder of lock files."""
        return self.root / "locks"

    @property
    def staging(self) -> Path:
        """Folder of unfinished data."""
        return self.root / "staging"

    @property
    def folders(self) -> tuple[Path, ...]:
        """All folders beside the Zarr hierarchy."""
        return (self.commits, self.failures, self.locks, self.staging)

    @property
    def dataset_lock(self) -> Path:
        """Lock of what concerns the whole dataset: creation and finalisation."""
        return self.locks / "dataset.lock"

    def commit(self, index: int) -> Path:
        """Return the commit record of a sample."""
        return self.commits / f"{index:06d}.json"

    def failure(self, index: int) -> Path:
        """Return the failure record of a sample."""
        return self.failures / f"{index:06d}.json"

    def draw(self, first: int) -> Path:
        """Return the draw record whose first sample is this one."""
        return self.draws / f"{first:06d}.json"

    def lock(self, index: int) -> Path:
        """Return the lock file of a sample."""
        return self.locks / f"{index:06d}.lock"

    def attempt(self, index: int, token: str) -> Path:
        """Return the staging folder of one attempt at a sample."""
        return self.staging / f"{index:06d}.{token}"

    def creation(self, token: str) -> Path:
        """Return the staging folder of one attempt to create the dataset."""
        return self.staging / f"create.{token}"

    def shard(self, spec: ArraySpec, index: int) -> Path:
        """Return the shard file of a sample: key ``c.<index>.0...`` of Zarr's default encoding.

        The separator of datasets of earlier versions is ``/``, which the array itself tells.
        """
        array = self.data / spec.name
        with storage_errors(array):
            separator = _SEPARATOR.search((array / "zarr.json").read_text())
        keys = ["c", str(index), *["0"] * (len(spec.dims) - 1)]
        return array.joinpath((separator[1] if separator else "/").join(keys))

    def attempts(self) -> Iterator[tuple[int, Path]]:
        """Yield sample index and staging folder of all attempts, dead or alive."""
        for folder in sorted(self.staging.iterdir()):
            index = folder.name.partition(".")[0]
            if index.isdecimal():
                yield int(index), folder

    def staged_failure(self, token: str) -> Path:
        """Return the unfinished file of a failure record."""
        return self.staging / f"failure.{token}"

    def staged_draw(self, token: str) -> Path:
        """Return the unfinished file of a draw record."""
        return self.staging / f"draw.{token}"

    def leftovers(self) -> Iterator[Path]:
        """Yield what creations and records left: dead, for a holder of the dataset lock."""
        for pattern in ("create.*", "failure.*", "draw.*"):
            yield from sorted(self.staging.glob(pattern))

    @staticmethod
    def indices(folder: Path) -> frozenset[int]:
        """Return the samples that have a record in this folder; none if it does not exist."""
        names = (path.stem for path in folder.glob("*.json"))
        return frozenset(int(name) for name in names if name.isdecimal())
