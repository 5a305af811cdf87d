"""Fixtures of the storage tests."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.testing import small_layout, write_all
from infra.zarr_store import ZarrStore

type Worker = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "dataset"


@pytest.fixture
def store(root: Path) -> ZarrStore:
    """Give a created dataset without committed samples."""
    store = ZarrStore(root)
    store.create(small_layout())
    return store


@pytest.fixture
def commit(store: ZarrStore) -> Callable[[int], None]:
    """Give a function that commits one sample."""

    def commit_sample(index: int) -> None:
        with store.sink(store.samples[index]) as sink:
            assert write_all(sink, store.description)

    return commit_sample


@pytest.fixture
def worker() -> Worker:
    """Give a function that starts `workers.py` as a process of its own."""

    def start(*arguments: object) -> subprocess.Popen[str]:
        script = Path(__file__).with_name("workers.py")
        return subprocess.Popen(
            [sys.executable, str(script), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start
