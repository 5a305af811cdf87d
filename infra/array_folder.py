"""A folder of arrays and a JSON object, with checksums; nothing is pickled.

::

    <folder>/arrays.safetensors   arrays by name
             model.json           everything else
             checksums.json       SHA-256 of both

The folder appears as a whole or not at all. Arrays are mapped into memory when they are used, not
read. The format of the arrays is open and small: eight bytes with the length of a JSON header, the
header with type, shape and place of each array, then the numbers in little-endian order, so that
the file can be read in years without this program.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from infra.errors import ChecksumError, StoreError, UserError, storage_errors
from infra.files import flush_folder, flush_tree, write_durably
from infra.records import Json

__all__ = ["ARRAYS", "CHECKSUMS", "TEXT", "is_array_folder", "read_folder", "write_folder"]

ARRAYS, TEXT, CHECKSUMS = "arrays.safetensors", "model.json", "checksums.json"
_TYPES = {"F64": "<f8", "F32": "<f4", "I64": "<i8", "I32": "<i4", "U8": "|u1", "BOOL": "|b1"}
_BLOCK = 1 << 22


def write_folder(
    folder: Path, arrays: Mapping[str, NDArray[Any]], text: Mapping[str, Json]
) -> None:
    """Write a new folder, see the module.

    Raises
    ------
    UserError
        If the folder exists already.
    StoreError
        If an array has a type that the format does not know, or a number in JSON is not finite.
    StorageFullError, StorageAccessError
        If it cannot be written; nothing is left behind.
    """
    _require_types(arrays)
    staged = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    with storage_errors(folder):
        staged.mkdir(parents=True)
        try:
            # Written here, not by safetensors, whose errors do not say that the device is full.
            write_durably(staged / ARRAYS, save({n: _plain(a) for n, a in arrays.items()}))
            write_durably(staged / TEXT, _encoded(text))
            sums: dict[str, Json] = {name: _sha256(staged / name) for name in (ARRAYS, TEXT)}
            write_durably(staged / CHECKSUMS, _encoded(sums))
            flush_tree(staged)
            _appear(staged, folder)
        finally:
            shutil.rmtree(staged, ignore_errors=True)


def read_folder(
    folder: Path, *, verify: bool = True
) -> tuple[dict[str, NDArray[Any]], dict[str, Json]]:
    """Return arrays, mapped and read-only, and the JSON object of a folder.

    Parameters
    ----------
    folder
        What `write_folder` wrote.
    verify
        Whether the checksums are computed again, which reads the whole files once.

    Raises
    ------
    UserError
        If there is no such folder.
    ChecksumError
        If a file is missing or differs from what was written.
    """
    if not is_array_folder(folder):
        raise UserError(
            f"Expected a model folder with {CHECKSUMS} at {folder}; there is none. Check the path."
        )
    sums = _object(folder / CHECKSUMS)
    for name in (ARRAYS, TEXT):
        path = folder / name
        if not path.is_file() or (verify and _sha256(path) != sums.get(name)):
            raise _damaged(path, "it is missing or its SHA-256 differs")
    return _mapped(folder / ARRAYS), _object(folder / TEXT)


def is_array_folder(folder: Path) -> bool:
    """Tell whether this is a folder of arrays, damaged or not."""
    return (folder / CHECKSUMS).is_file()


def _appear(staged: Path, folder: Path) -> None:
    try:
        os.rename(staged, folder)  # noqa: PTH104 - fails where something is, unlike a move
    except OSError as error:
        if folder.exists():
            raise UserError(
                f"Expected a new folder; {folder} exists. Choose another name, or remove it."
            ) from error
        raise
    flush_folder(folder.parent)


def _require_types(arrays: Mapping[str, NDArray[Any]]) -> None:
    known = {np.dtype(name) for name in _TYPES.values()}
    wrong = {n: str(a.dtype) for n, a in arrays.items() if a.dtype.newbyteorder("<") not in known}
    if wrong:
        raise StoreError(f"Expected arrays of {sorted(map(str, known))}; received {wrong}.")


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(array.shape)


def _encoded(text: Mapping[str, Json]) -> bytes:
    try:
        return (json.dumps(dict(text), indent=1, allow_nan=False) + "\n").encode()
    except ValueError as error:
        raise StoreError(f"Expected finite numbers in {TEXT}; received others: {error}.") from error


def _object(path: Path) -> dict[str, Json]:
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        raise _damaged(path, f"it is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise _damaged(path, "it is not a JSON object")
    return value


def _mapped(path: Path) -> dict[str, NDArray[Any]]:
    try:
        data = np.memmap(path, np.uint8, mode="r")
        size = int.from_bytes(data[:8].tobytes(), "little")
        if not 8 + size <= len(data):
            raise ValueError("the header is longer than the file")
        header = json.loads(data[8 : 8 + size].tobytes())
        header.pop("__metadata__", None)
        return {name: _view(data[8 + size :], entry) for name, entry in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(path, str(error)) from error


def _view(data: NDArray[np.uint8], entry: Mapping[str, Any]) -> NDArray[Any]:
    start, end = entry["data_offsets"]
    if not 0 <= start <= end <= len(data):
        raise ValueError("an array lies outside the file")
    view = data[start:end].view(_TYPES[entry["dtype"]]).reshape(entry["shape"])
    return np.asarray(view)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _damaged(path: Path, why: str) -> ChecksumError:
    return ChecksumError(
        f"Expected {path} as it was written; {why}. The model is damaged: restore it from a copy, "
        "or build it again."
    )
