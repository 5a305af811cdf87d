import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pytest

from infra.provenance import collect, utc_now
from infra.records import Provenance


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def collected(folder: Path) -> Provenance:
    return collect({"ksp": "cg"}, 5, 2, utc_now(), ["numpy", "no-such-package"], folder)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "code.py").write_text("x = 1\n")
    git(tmp_path, "add", "code.py")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def test_the_commit_and_its_changes_are_recorded(repository: Path) -> None:
    (repository / "untracked").write_text("")
    clean = collected(repository)
    assert clean.git_commit == git(repository, "rev-parse", "HEAD")
    assert not clean.git_dirty
    (repository / "code.py").write_text("x = 2\n")
    assert collected(repository).git_dirty


def test_a_folder_without_repository_is_unknown(tmp_path: Path) -> None:
    assert collected(tmp_path).git_commit == "unknown"
    assert collected(tmp_path / "missing").git_commit == "unknown"


def test_a_machine_without_git_is_no_error(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    assert collected(repository).git_commit == "unknown"


def test_versions_options_and_times_are_recorded(tmp_path: Path) -> None:
    found = collected(tmp_path)
    assert found.packages == {"numpy": version("numpy"), "no-such-package": "absent"}
    assert (found.options, found.seed, found.ranks) == ({"ksp": "cg"}, 5, 2)
    assert found.host
    started, finished = map(datetime.fromisoformat, (found.started, found.finished))
    assert started.tzinfo == UTC
    assert started <= finished
