import errno
import os
import pickle
from pathlib import Path

import pytest

from infra import errors
from infra.errors import (
    RomflowError,
    StorageAccessError,
    StorageFullError,
    StoreMismatchError,
    storage_errors,
)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_full_storage_is_translated_with_the_path_and_the_free_space(
    tmp_path: Path, number: int
) -> None:
    with (
        pytest.raises(StorageFullError, match=r"new/file.*GB free"),
        storage_errors(tmp_path / "new/file"),
    ):
        raise OSError(number, os.strerror(number))


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR])
def test_refused_access_is_translated_with_the_path(tmp_path: Path, number: int) -> None:
    with pytest.raises(StorageAccessError, match="new"), storage_errors(tmp_path / "new"):
        raise OSError(number, os.strerror(number))


@pytest.mark.parametrize("error", [OSError(errno.ENOENT, "gone"), KeyError("x")], ids=repr)
def test_other_errors_pass_unchanged(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(type(error)) as caught, storage_errors(tmp_path):
        raise error
    assert caught.value is error


def test_every_error_has_the_common_root() -> None:
    kinds = [getattr(errors, name) for name in errors.__all__ if name.endswith("Error")]
    assert all(issubclass(kind, RomflowError) for kind in kinds)


def test_a_mismatch_survives_the_way_back_from_a_worker() -> None:
    error = pickle.loads(pickle.dumps(StoreMismatchError("times.1", 0.5, 0.6)))
    assert (error.entry, error.expected, error.received) == ("times.1", 0.5, 0.6)
