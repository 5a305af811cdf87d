"""``romflow submit``, ``status`` and ``cancel`` as far as they need no Slurm."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.cli import _guarded

SITE = "kind: slurm\npartition: {name}\n"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a working folder with two profiles."""
    monkeypatch.chdir(tmp_path)
    for name in ("mine", "other"):
        Path(f"{name}.yaml").write_text(SITE.format(name=name))
    return tmp_path


def study(**run: Any) -> str:
    settings = {"name": "own", "problem": {"name": "poisson"}, "run": run}
    Path("own-study.yaml").write_text(yaml.safe_dump(settings))
    return "own-study.yaml"


def code(*words: str) -> int:
    """Run a command in this process; return its exit code."""
    with pytest.raises(SystemExit) as ended:
        sys.exit(_guarded(list(words)))
    return int(ended.value.code or 0)


def partitions(capsys: pytest.CaptureFixture[str], *words: str) -> set[str]:
    """Return the partitions in the scripts of a submission."""
    assert code("submit", *words, "--dry-run") == 0
    lines = capsys.readouterr().out.splitlines()
    return {line.partition("--partition=")[2] for line in lines if "--partition=" in line}


@pytest.mark.usefixtures("site")
def test_a_study_is_submitted_with_its_own_profile(capsys: pytest.CaptureFixture[str]) -> None:
    assert partitions(capsys, study()) == set()  # the shipped one names none
    assert partitions(capsys, study(profile="mine.yaml")) == {"mine"}
    assert partitions(capsys, study(), "--set", "run.profile=mine.yaml") == {"mine"}
    assert partitions(capsys, study(), "--set", "run={profile: mine.yaml}") == {"mine"}
    given = [study(profile="other.yaml"), "--profile", "mine.yaml"]
    assert partitions(capsys, *given) == {"mine"}
    assert partitions(capsys, *given, "--set", "run.profile=other.yaml") == {"mine"}


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize("kind", ["local", "dask", "dask-slurm"])
def test_a_study_with_a_profile_of_another_kind_is_refused(
    capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    named = [(["--set", f"run.profile={kind}"], {}), ([], {"profile": kind})]
    for words, run in named:
        assert code("submit", study(**run), *words, "--dry-run") == 2
        assert f"expected slurm for `romflow submit`, received {kind}" in capsys.readouterr().err


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize("command", ["status", "cancel"])
def test_a_folder_without_a_submission_is_no_study(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    Path("e1").mkdir()
    assert code(command, "e1") == 2
    said = capsys.readouterr().err
    assert "e1: expected a dataset whose study was submitted to Slurm, received none" in said
    assert "romflow submit STUDY" in said


@pytest.mark.usefixtures("site")
def test_a_study_is_meant_though_a_folder_bears_its_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("poisson-demo").mkdir()
    assert code("status", "poisson-demo") == 2
    assert f"{Path('datasets/poisson-demo')}: expected" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", ["submit poisson-demo --dry-run", "run generate-ns-data --dry-run", "studies"]
)
def test_a_reader_that_has_seen_enough_is_no_error(site: Path, words: str) -> None:
    done = _read_by_nobody([sys.executable, "-m", "flows.cli", *words.split()], site)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "2>&1 | true", "2>&- | true"])
def test_a_mistake_has_its_code_though_nobody_can_be_told(site: Path, closed: str) -> None:
    command = f"set -o pipefail; {sys.executable} -m flows.cli status nowhere {closed}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=site, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def _read_by_nobody(command: Sequence[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run a command whose output goes into a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        return subprocess.run(
            command, stdout=writing, stderr=subprocess.PIPE, cwd=folder, text=True, check=False
        )
    finally:
        os.close(writing)
