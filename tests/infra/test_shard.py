import hashlib
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec
from zarr.core.metadata import ArrayV3Metadata

from infra.errors import StorageAccessError, StoreError
from infra.shard import BloscSettings, ShardWriter


def zarr_array(
    path: Path, shape: tuple[int, ...], chunks: tuple[int, ...], dtype: str, codec: BloscSettings
) -> zarr.Array[ArrayV3Metadata]:
    compressor = BloscCodec(
        typesize=np.dtype(dtype).itemsize,
        cname=codec.cname,
        clevel=codec.clevel,
        shuffle=codec.shuffle,
    )
    return zarr.create_array(
        path,
        shape=shape,
        dtype=dtype,
        chunks=chunks,
        shards=(1, *shape[1:]),
        compressors=compressor,
        fill_value=0,
    )


def write_shard(
    root: Path, key: str, values: np.ndarray, n_chunks: int, codec: BloscSettings
) -> str:
    chunks = values.reshape(n_chunks, -1)
    dtype = values.dtype.name
    writer = ShardWriter(root / "unfinished", chunks[0].shape, dtype, n_chunks, codec)
    for chunk in chunks:
        writer.append(chunk)
    checksum = writer.finish()
    writer.publish(root / key)
    return checksum


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8"])
@pytest.mark.parametrize(
    "codec", [BloscSettings(), BloscSettings("zstd", 3, "bitshuffle")], ids=["lz4", "zstd"]
)
def test_zarr_reads_back_exactly_what_was_appended(
    tmp_path: Path, dtype: str, codec: BloscSettings
) -> None:
    rng = np.random.default_rng(1)
    values = (100 * rng.random((3, 5, 7, 2))).astype(dtype)
    array = zarr_array(tmp_path / "a.zarr", values.shape, (1, 1, 7, 2), dtype, codec)
    for index, sample in enumerate(values):
        write_shard(tmp_path, f"a.zarr/c/{index}/0/0/0", sample, 5, codec)
    np.testing.assert_array_equal(array[...], values)
    np.testing.assert_array_equal(array[1, 3], values[1, 3])


def test_zarr_reads_one_number_per_sample(tmp_path: Path) -> None:
    array = zarr_array(tmp_path / "a.zarr", (2,), (1,), "float64", BloscSettings())
    write_shard(tmp_path, "a.zarr/c/1", np.array([2.5]), 1, BloscSettings())
    np.testing.assert_array_equal(array[...], [0.0, 2.5])


def test_big_endian_and_strided_values_are_stored_little_endian(tmp_path: Path) -> None:
    array = zarr_array(tmp_path / "a.zarr", (1, 1, 3), (1, 1, 3), "float64", BloscSettings())
    values = np.arange(6.0).astype(">f8")[::2]
    writer = ShardWriter(tmp_path / "part", (1, 1, 3), "float64", 1, BloscSettings())
    writer.append(values)
    writer.finish()
    writer.publish(tmp_path / "a.zarr/c/0/0/0")
    np.testing.assert_array_equal(array[0, 0], [0.0, 2.0, 4.0])


def test_the_checksum_is_that_of_the_raw_values_whatever_the_codec(tmp_path: Path) -> None:
    values = np.linspace(0.0, 1.0, 12).reshape(3, 4)
    raw = hashlib.sha256(values.astype("<f8").tobytes()).hexdigest()
    for place, codec in enumerate([BloscSettings(), BloscSettings("zstd", 9, "noshuffle")]):
        assert write_shard(tmp_path, str(place), values, 3, codec) == raw


def test_a_shard_equals_the_one_that_zarr_writes(tmp_path: Path) -> None:
    values = np.random.default_rng(2).random((1, 1, 50))
    array = zarr_array(tmp_path / "a.zarr", values.shape, values.shape, "float64", BloscSettings())
    array[...] = values
    write_shard(tmp_path, "ours", values[0], 1, BloscSettings())
    theirs = (tmp_path / "a.zarr/c/0/0/0").read_bytes()
    assert (tmp_path / "ours").read_bytes() == theirs


def test_memory_stays_at_a_few_frames(tmp_path: Path) -> None:
    frame = np.random.default_rng(3).random(20_000)
    writer = ShardWriter(tmp_path / "part", frame.shape, "float64", 200, BloscSettings())
    writer.append(frame)
    tracemalloc.start()
    for _ in range(199):
        writer.append(frame)
    writer.finish()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * frame.nbytes


def test_missing_and_surplus_chunks_are_refused(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path / "part", (4,), "float64", 2, BloscSettings())
    writer.append(np.zeros(4))
    with pytest.raises(StoreError, match="received 1"):
        writer.finish()
    with pytest.raises(StoreError, match="of 3 values"):
        writer.append(np.zeros(3))
    writer.append(np.zeros(4))
    with pytest.raises(StoreError, match="chunk 3"):
        writer.append(np.zeros(4))
    with pytest.raises(StoreError, match="Call finish first"):
        writer.publish(tmp_path / "final")


def test_a_discarded_shard_leaves_no_file(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path / "part", (4,), "float64", 2, BloscSettings())
    writer.append(np.zeros(4))
    writer.discard()
    writer.discard()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StoreError, match="open shard"):
        writer.append(np.zeros(4))


def test_a_place_that_is_no_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageAccessError, match="file/part"):
        ShardWriter(tmp_path / "file/part", (4,), "float64", 2, BloscSettings())
