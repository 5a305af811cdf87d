from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from infra.array_folder import read_folder, write_folder
from infra.errors import StoreError, UserError

ARRAYS = {
    "a": np.arange(6.0).reshape(2, 3),
    "b": np.arange(3, dtype=np.float32),
    "c": np.array([[1, 2]], dtype=np.int32),
    "d": np.zeros((0, 4)),
    "e": np.array([True, False]),
    "f": np.asfortranarray(np.arange(6, dtype=np.int64).reshape(2, 3)),
    "g": np.array(2.5),
}


def test_arrays_and_text_come_back(tmp_path: Path) -> None:
    write_folder(tmp_path / "x", ARRAYS, {"k": [1, None, "s"]})
    arrays, text = read_folder(tmp_path / "x")
    assert text == {"k": [1, None, "s"]}
    assert set(arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)


def test_the_library_of_the_format_reads_the_same(tmp_path: Path) -> None:
    write_folder(tmp_path / "x", ARRAYS, {})
    for name, array in load_file(tmp_path / "x" / "arrays.safetensors").items():
        np.testing.assert_array_equal(array, ARRAYS[name])


def test_arrays_are_mapped_and_cannot_be_changed(tmp_path: Path) -> None:
    write_folder(tmp_path / "x", ARRAYS, {})
    arrays, _ = read_folder(tmp_path / "x")
    with pytest.raises(ValueError, match="read-only"):
        arrays["a"][0, 0] = 1.0


def test_what_cannot_be_kept_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="Expected arrays of"):
        write_folder(tmp_path / "x", {"a": np.array([object()])}, {})
    with pytest.raises(StoreError, match="finite"):
        write_folder(tmp_path / "x", ARRAYS, {"k": float("nan")})
    assert not list(tmp_path.iterdir())
    with pytest.raises(UserError, match="none"):
        read_folder(tmp_path / "x")
