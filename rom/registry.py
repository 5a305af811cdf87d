"""Reduced models by name and version, in a folder; versions never change.

::

    <root>/<name>/v0001/   a model folder (`rom.model_folder`)
                  v0002/
"""

import re
import shutil
import uuid
from pathlib import Path
from typing import final

from infra.array_folder import is_array_folder, read_folder
from infra.errors import UserError, storage_errors
from infra.files import flush_folder, flush_tree
from rom.any_model import AnyModel, load_any, save_any
from rom.model_card import ModelCard
from rom.reduced_model import ReducedModel

__all__ = ["Registry"]

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?")
_VERSION = re.compile(r"v(\d{4,})")
_TRIES = 100


@final
class Registry:
    """See the module. Several processes may publish at once.

    Parameters
    ----------
    root
        The folder; it is made with the first model.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self) -> tuple[str, ...]:
        """Return the names of all models that have a version, sorted."""
        if not self._root.is_dir():
            return ()
        names = (p.name for p in self._root.iterdir() if _NAME.fullmatch(p.name))
        return tuple(sorted(name for name in names if self._numbers(name)))

    def versions(self, name: str) -> tuple[int, ...]:
        """Return the versions of a model, ascending.

        Raises
        ------
        UserError
            If there is no such model, or the name is none.
        """
        _require_name(name)
        numbers = self._numbers(name)
        if not numbers:
            raise UserError(
                f"Expected a model out of {', '.join(self.names()) or 'none'}; received {name!r}."
            )
        return numbers

    def folder(self, name: str, version: int | None = None) -> Path:
        """Return the folder of a version, by default of the newest.

        Raises
        ------
        UserError
            If there is no such model or version.
        """
        versions = self.versions(name)
        number = versions[-1] if version is None else version
        if number not in versions:
            raise UserError(
                f"Expected a version of {name!r} out of {list(versions)}; received {version}."
            )
        return self._root / name / f"v{number:04d}"

    def card(self, name: str, version: int | None = None) -> ModelCard:
        """Return the card of a version without its numbers.

        Raises
        ------
        UserError
            If there is no such model or version.
        ChecksumError
            If its text is damaged.
        """
        _, text = read_folder(self.folder(name, version), verify=False)
        return ModelCard.read(text.get("card"))

    def load(self, name: str, version: int | None = None) -> ReducedModel:
        """Return a model, by default its newest version; modes are read when they are used.

        Raises
        ------
        UserError
            If there is no such model or version, or it is a structure.
        ChecksumError
            If a file is damaged.
        """
        found = self.load_any(name, version)
        if isinstance(found, ReducedModel):
            return found
        raise UserError(
            f"Expected a reduced model of fields; received {name}, a structure. It is queried, "
            "served and enriched; this is not offered for it."
        )

    def load_any(self, name: str, version: int | None = None) -> AnyModel:
        """Return a model of any kind, by default its newest version.

        Raises
        ------
        UserError
            If there is no such model or version.
        ChecksumError
            If a file is damaged.
        """
        folder = self.folder(name, version)
        return load_any(folder, version=int(folder.name[1:]))

    def publish(self, model: AnyModel | Path, name: str | None = None) -> int:
        """Add a version, and return its number.

        Parameters
        ----------
        model
            The model, or the folder of a saved one, which is copied and checked.
        name
            By default that of the model.

        Raises
        ------
        UserError
            If the name is none or the folder holds no model.
        ChecksumError
            If the folder is damaged.
        """
        source = load_any(model) if isinstance(model, Path) else model
        name = name or source.name
        _require_name(name)
        place = self._root / name
        with storage_errors(place):
            place.mkdir(parents=True, exist_ok=True)
        staged = place / f".{uuid.uuid4().hex}"
        try:
            if isinstance(model, Path):
                shutil.copytree(model, staged)
                flush_tree(staged)
            else:
                save_any(model, staged)
            return self._appear(staged, name)
        finally:
            shutil.rmtree(staged, ignore_errors=True)

    def _appear(self, staged: Path, name: str) -> int:
        for _ in range(_TRIES):
            numbers = self._numbers(name)
            number = numbers[-1] + 1 if numbers else 1
            target = staged.with_name(f"v{number:04d}")
            try:
                staged.rename(target)  # fails where another process was faster
            except OSError:
                if not target.exists():
                    raise
                continue
            flush_folder(target.parent)
            return number
        raise UserError(f"Expected a free version of {name!r}; others publish all the time.")

    def _numbers(self, name: str) -> tuple[int, ...]:
        place = self._root / name
        if not place.is_dir():
            return ()
        found = ((p, _VERSION.fullmatch(p.name)) for p in place.iterdir())
        return tuple(sorted(int(m[1]) for p, m in found if m and is_array_folder(p)))


def _require_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UserError(
            "Expected a name of up to 64 lower case letters, digits, `-` and `_`, with a letter or "
            f"digit at both ends; received {name!r}."
        )
