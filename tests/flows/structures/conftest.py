"""A tiny cube that is computed and published once, copies of it, and the command line."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from flows.cli import main
from flows.structure_build import build_parts
from flows.structure_data import StructureData
from flows.structure_publish import publish_structure
from tests.flows.structures.tiny_cube import by_hand, quiet, tiny, written

type Romflow = Callable[..., SimpleNamespace]


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a study whose runs are computed and whose model is published; not to be changed."""
    folder = tmp_path_factory.mktemp("structures")
    data = StructureData(tiny(folder))
    assert data.compute(by_hand) == []
    publish_structure(data, build_parts(data, quiet), [])
    return folder


@pytest.fixture
def copy(home: Path, tmp_path: Path) -> Path:
    """A copy of it, with its study."""
    shutil.copytree(home, tmp_path, dirs_exist_ok=True)
    written(tmp_path)
    return tmp_path


@pytest.fixture
def romflow(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Romflow:
    """Give the command line without the start of an interpreter."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> SimpleNamespace:
        monkeypatch.setattr(sys, "argv", ["romflow", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        return SimpleNamespace(code=int(end.value.code or 0), out=said.out, err=said.err)

    return run
