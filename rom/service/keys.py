"""Keys of the service: made once, shown once, stored as salted hashes.

A key is ``rf_<id>_<secret>`` with a secret of 256 random bits. What is stored is SHA-256 of salt
and secret. A slow hash, as for passwords, would add nothing: nobody guesses 256 random bits, and a
slow one would let strangers keep the service busy.
"""

import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal, final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra.errors import StoreError, UserError, storage_errors
from infra.files import flush_folder, locked, write_whole
from rom.model_card import utc_now

__all__ = ["KeyRecord", "KeyStore", "Scope"]

type Scope = Literal["query", "enrich", "admin"]

_SCOPES = ("query", "enrich", "admin")
_KEY = re.compile(r"rf_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_LABEL = re.compile(r"[\w .@-]{1,64}")


class _Text(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


@final
class KeyRecord(_Text):
    """What is stored of a key.

    Attributes
    ----------
    id
        Its public part.
    name
        Whose it is.
    scopes
        What it may do: ``query``; ``enrich``: start computations; ``admin``: read metrics, and
        all of the above.
    created
        Date and time.
    salt, hash
        Hexadecimal.
    """

    id: str
    name: str
    scopes: tuple[Scope, ...]
    created: str
    salt: str
    hash: str

    def may(self, scope: Scope) -> bool:
        """Tell whether it has a scope."""
        return scope in self.scopes or "admin" in self.scopes


@final
class _File(_Text):
    format: Literal[1] = 1
    keys: tuple[KeyRecord, ...] = Field(())


@final
class KeyStore:
    """A file of keys that only its owner may read. Several processes may change it.

    Parameters
    ----------
    path
        The file; it is made with the first key.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._records: dict[str, KeyRecord] = {}

    def records(self) -> tuple[KeyRecord, ...]:
        """Return all keys, oldest first.

        Raises
        ------
        StoreError
            If the file is damaged.
        """
        self.reload()
        return tuple(self._records.values())

    def add(self, name: str, scopes: Iterable[str]) -> tuple[KeyRecord, str]:
        """Make a key; return its record and the key itself, which is stored nowhere.

        Raises
        ------
        UserError
            If a scope is unknown, there is none, or the name is empty or has odd characters.
        """
        wanted = tuple(dict.fromkeys(scopes))
        if not wanted or not set(wanted) <= set(_SCOPES):
            raise UserError(f"Expected scopes out of {', '.join(_SCOPES)}; received {wanted}.")
        if not _LABEL.fullmatch(name):
            raise UserError(
                f"Expected a name of 1 to 64 letters, digits, spaces or `.@_-`; received {name!r}."
            )
        secret, salt = secrets.token_urlsafe(32), secrets.token_hex(16)
        record = KeyRecord.model_validate(
            {
                "id": secrets.token_hex(6),
                "name": name,
                "scopes": wanted,
                "created": utc_now(),
                "salt": salt,
                "hash": _hashed(salt, secret),
            }
        )
        self._change(lambda records: (*records, record))
        return record, f"rf_{record.id}_{secret}"

    def revoke(self, key: str) -> tuple[KeyRecord, ...]:
        """Remove the key of an id, or all keys of a name; return what was removed.

        Raises
        ------
        UserError
            If there is none.
        """
        gone = tuple(r for r in self.records() if key in (r.id, r.name))
        if not gone:
            known = ", ".join(f"{r.id} ({r.name})" for r in self.records()) or "none"
            raise UserError(f"Expected a key out of {known}; received {key!r}.")
        ids = {r.id for r in gone}
        self._change(lambda records: tuple(r for r in records if r.id not in ids))
        return gone

    def find(self, key: str) -> KeyRecord | None:
        """Return the record of a key, or None; the time taken does not tell what was wrong."""
        match = _KEY.fullmatch(key)
        record = self._records.get(match[1]) if match else None
        salt, expected = (record.salt, record.hash) if record else ("", "0" * 64)
        same = hmac.compare_digest(_hashed(salt, match[2] if match else ""), expected)
        return record if same else None

    def reload(self) -> None:
        """Read the file if it has changed.

        Raises
        ------
        StoreError
            If it is damaged.
        """
        with storage_errors(self._path):
            try:
                stat = self._path.stat()
            except FileNotFoundError:
                self._seen, self._records = None, {}
                return
            stamp = (stat.st_mtime_ns, stat.st_ino)
            if stamp == self._seen:
                return
            text = self._path.read_bytes()
        try:
            file = _File.model_validate_json(text)
        except ValidationError as error:
            raise StoreError(
                f"Expected a file of keys at {self._path}; received another: {error}. Restore it, "
                "or remove it and make new keys."
            ) from error
        self._seen, self._records = stamp, {r.id: r for r in file.keys}

    def _change(
        self, change: Callable[[tuple[KeyRecord, ...]], tuple[KeyRecord, ...]]
    ) -> None:  # fmt: skip
        with storage_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with locked(self._path.with_name(f".{self._path.name}.lock")):
                file = _File(keys=change(self.records()))
                text = json.dumps(file.model_dump(mode="json"), indent=1)
                _replace_privately(self._path, text.encode())
        self.reload()


def _hashed(salt: str, secret: str) -> str:
    return hashlib.sha256(f"{salt}:{secret}".encode()).hexdigest()


def _replace_privately(path: Path, data: bytes) -> None:
    """Replace a file by one that nobody else could read at any time."""
    staged = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    file = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        write_whole(file, data)
        os.fsync(file)
    finally:
        os.close(file)
    try:
        staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)
    flush_folder(path.parent)
