"""An enriched run whose process is killed goes on, and ends with the bits of one that was not."""

import runpy
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from infra.array_folder import read_folder
from rom.structures.checkpoint import Checkpoints
from rom.structures.enriched_run import begin
from rom.structures.held_out import calibrated
from rom.structures.offline import build_structure

WORKER = Path(__file__).with_name("enriched_worker.py")
COARSE = np.linspace(0.0, 2.0, 6)
# In a high-fidelity step; when the step's folder would appear; and when the new model's would.
DEATHS = ("full:2", "step-000005", "model-000002")


def start_worker(folder: Path, death: str = "") -> int:
    command = [sys.executable, "-W", "error", str(WORKER), str(folder), death]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


@pytest.fixture(scope="module")
def begun(
    make_mesh: Any,
    make_full: Any,
    make_cycle: Any,
    viscous_law: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Give the folder of a run before its first step."""
    worker = SimpleNamespace(**runpy.run_path(str(WORKER)))
    mesh = make_mesh("hexahedron", 2)
    trajectories = [
        make_full(mesh, viscous_law, make_cycle(mesh, heat=heat, pressure=-pressure)).run(COARSE)
        for heat, pressure in ((100.0, 230.0), (60.0, 240.0), (120.0, 236.0))
    ]
    indicator = calibrated(mesh, viscous_law, trajectories, worker.SETTINGS)
    model, _ = build_structure(mesh, viscous_law, trajectories, worker.SETTINGS)
    folder = tmp_path_factory.mktemp("enriched") / "run"
    Checkpoints(folder).save(begin(model, indicator, worker.loads(mesh)))
    return folder


@pytest.fixture(scope="module")
def uninterrupted(begun: Path) -> Path:
    folder = begun.with_name("uninterrupted")
    shutil.copytree(begun, folder)
    assert start_worker(folder) == 0
    return folder


def files(folder: Path) -> dict[str, bytes]:
    names = ("arrays.safetensors", "model.json", "checksums.json")
    return {
        f"{inner.name}/{name}": (inner / name).read_bytes()
        for inner in sorted(folder.glob("[ms]*"))
        for name in names
    }


def test_the_run_is_worth_interrupting(uninterrupted: Path) -> None:
    run = Checkpoints(uninterrupted).load()
    levels = [record.level for record in run.records]
    assert len(levels) == 10
    assert run.version == levels.count("full") >= 2
    assert "reduced" in levels


@pytest.mark.parametrize("death", DEATHS)
def test_a_run_that_was_killed_ends_with_the_same_bits(
    begun: Path, uninterrupted: Path, death: str, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(begun, folder)
    assert start_worker(folder, death) == -signal.SIGKILL
    assert 0 < len(Checkpoints(folder).load().records) < 10
    assert start_worker(folder) == 0
    assert files(folder) == files(uninterrupted)


def test_a_run_that_is_killed_again_and_again_ends_with_the_same_bits(
    begun: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(begun, folder)
    for step in (2, 4, 6, 8, 10):
        assert start_worker(folder, f"step-{step:06d}") == -signal.SIGKILL
        assert len(Checkpoints(folder).load().records) == step - 1
    assert start_worker(folder) == 0
    assert files(folder) == files(uninterrupted)


def test_a_finished_run_has_nothing_left_to_do(uninterrupted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(uninterrupted, folder)
    before = files(folder)
    assert start_worker(folder) == 0
    assert files(folder) == before
    arrays, _ = read_folder(folder / "step-000010")
    assert float(arrays["time"][0]) == 2.0
