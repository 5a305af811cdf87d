import subprocess
import sys

import numpy as np
import pytest
import torch

from infra.errors import StorageAccessError, UserError
from surrogates.checkpoint import Checkpoint, CheckpointFolder, require_budget, require_identity
from surrogates.learner import Learner
from surrogates.settings import TrainingSettings
from surrogates.steps import LocalSteps

_NEVER = {"checkpoint_every": 1e9, "logging": {"interval": 1e9}}


def _checkpoint(value=1.0):
    return Checkpoint(
        weights={"w": torch.full((3, 2), value), "n": torch.tensor(4), "f": torch.tensor(True)},
        optimiser={"exp_avg/w": torch.full((3, 2), -value), "step/w": torch.tensor(2.0)},
        feed={"a.b": np.arange(4), "file": np.zeros((2, 3), np.float32), "rng": {"x": 2**100}},
        trainer={"step": 7},
        identity={"study": "abc"},
    )


def test_what_is_read_is_what_was_written_bit_by_bit(tmp_path):
    folder = CheckpointFolder(tmp_path / "checkpoints")
    folder.write(written := _checkpoint(np.pi))
    read = folder.read(folder.newest())
    for part in ("weights", "optimiser"):
        expected, found = getattr(written, part), getattr(read, part)
        assert expected.keys() == found.keys()
        assert all(torch.equal(expected[n], found[n]) for n in expected)
        assert all(expected[n].dtype == found[n].dtype for n in expected)
    assert read.feed.keys() == written.feed.keys()
    assert np.array_equal(read.feed["a.b"], np.arange(4))
    assert read.feed["rng"] == {"x": 2**100}
    assert (read.trainer, read.identity) == (written.trainer, written.identity)


def test_the_last_two_are_kept_and_the_newest_is_used(tmp_path):
    folder = CheckpointFolder(tmp_path)
    paths = [folder.write(_checkpoint(k)) for k in range(4)]
    assert sorted(p.name for p in tmp_path.iterdir()) == [p.name for p in paths[2:]]
    assert folder.newest() == paths[3]


@pytest.mark.parametrize("name", ["weights.safetensors", "feed.npz", "state.json"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "gone"])
def test_damaged_checkpoint_is_passed_over(tmp_path, capsys, name, damage):
    folder = CheckpointFolder(tmp_path)
    older, newer = folder.write(_checkpoint(1)), folder.write(_checkpoint(2))
    path = newer / name
    data = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    else:
        data[len(data) // 2] ^= 0x5A
        path.write_bytes(data[: len(data) // 2] if damage == "cut" else data)
    assert folder.newest() == older
    assert str(newer) in capsys.readouterr().err


def test_folder_without_a_checkpoint_has_no_newest(tmp_path):
    assert CheckpointFolder(tmp_path / "none").newest() is None


def test_writer_that_is_killed_leaves_the_earlier_checkpoints_whole(tmp_path):
    folder = CheckpointFolder(tmp_path)
    kept = folder.write(_checkpoint())
    code = (
        "import os, sys, torch\n"
        "from pathlib import Path\n"
        "from surrogates import checkpoint\n"
        "checkpoint.flush_tree = lambda path: os.kill(os.getpid(), 9)\n"
        "made = checkpoint.Checkpoint({'w': torch.ones(2)}, {}, {}, {}, {})\n"
        "checkpoint.CheckpointFolder(Path(sys.argv[1])).write(made)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert done.returncode == -9
    assert len([*tmp_path.glob(".*")]) == 1  # what it left
    assert folder.newest() == kept
    folder.write(_checkpoint())
    assert not [*tmp_path.glob(".*")]


def test_place_that_is_a_file_is_a_storage_error(tmp_path):
    place = tmp_path / "file"
    place.write_text("")
    with pytest.raises(StorageAccessError):
        CheckpointFolder(place / "checkpoints").write(_checkpoint())


def test_checkpoint_of_another_model_or_study_is_refused(tmp_path):
    require_identity(tmp_path, {"study": "a", "samples": (1, 2)}, {"study": "a", "samples": [1, 2]})
    with pytest.raises(UserError, match=r"with study a, received b.*another folder"):
        require_identity(tmp_path, {"study": "a"}, {"study": "b"})


@pytest.mark.parametrize("finished", [False, True])
def test_changed_budget_is_refused_and_seconds_may_change_until_the_end(tmp_path, finished):
    trained = {"passes": 2.0, "steps": None, "seconds": None, "seed": 0}
    require_budget(tmp_path, trained, trained, finished=finished)
    asked = {**trained, "passes": None, "steps": 9}
    with pytest.raises(UserError, match=r"passes 2.0, steps none.*passes none, steps 9.*name"):
        require_budget(tmp_path, asked, trained, finished=finished)
    longer = {**trained, "seconds": 5.0}
    if finished:
        with pytest.raises(UserError, match=r"seconds none.*was finished.*seconds 5"):
            require_budget(tmp_path, longer, trained, finished=True)
    else:
        require_budget(tmp_path, longer, trained, finished=False)


@pytest.mark.parametrize("at", [1, 4, 7])
@pytest.mark.parametrize("script", [(), (3, 0, 2, 2)])
def test_interrupted_and_resumed_training_equals_the_uninterrupted_bit_by_bit(
    tmp_path, feed, trainer, recipe, weights, at, script
):
    """Through the files: new objects, filled from what was written."""
    settings = TrainingSettings(
        **{**_NEVER, "batch": 3, "passes": 3, "clip": 0.5, "validation_every": 2, "patience": 50},
        schedule={"kind": "cosine", "warmup": 2},
    )
    folder = CheckpointFolder(tmp_path)

    def build(stop=lambda: False):
        source = feed(10, script, passes=3)
        steps = LocalSteps(Learner(recipe()(), settings), source.pool)
        return source, steps, trainer(source, settings, steps=steps, stop=stop)

    _, whole_steps, whole = build()
    whole.run()

    source, steps, first = build(lambda: first.step >= at)
    assert first.run().reason == "stopped"
    learner = steps.learner
    folder.write(
        Checkpoint(learner.weights(), learner.optimiser_state(), source.state(), first.state(), {})
    )

    read = folder.read(folder.newest())
    source, steps, second = build()
    steps.learner.restore(read.weights, read.optimiser)
    source.restore(read.feed)
    second.restore(read.trainer)
    second.run()
    assert second.step == whole.step
    for name, expected in weights(whole_steps).items():
        assert torch.equal(expected, weights(steps)[name]), name
