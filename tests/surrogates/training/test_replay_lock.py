"""A replay never touches the files of a run that is still going on."""

import pytest

from infra.errors import UserError
from infra.files import FileLock
from infra.streaming.frames import stream_spec
from infra.testing import small_layout
from infra.zarr_store import ZarrStore
from surrogates.feed_choice import feed_parts, open_journal, replay_feed
from surrogates.holes import Hole
from surrogates.job import TrainingJob
from surrogates.replay_feed import recorded_run
from surrogates.study import Study

N_SAMPLES, N_FRAMES = 3, 4
# Half a record, as a trainer leaves that is writing it at this moment.
TORN = b"rfj1 and what is still to come"


@pytest.fixture
def study(tmp_path):
    """Return a study that is to be replayed from an earlier run, with an empty journal."""
    store = ZarrStore(tmp_path / "data")
    store.create(small_layout(N_SAMPLES, N_FRAMES))
    made = Study.of(
        TrainingJob(
            study=stream_spec(store.description).study,
            dataset=tmp_path / "data",
            run=tmp_path / "again",
            replay=tmp_path / "run",
            samples=(0, 1),
            validation=(2,),
            model={"name": "mlp", "settings": {"hidden": [4]}},
            training={"passes": 1},
        )
    )
    for name in ("journal", "held-out"):
        journal = open_journal(made, tmp_path / "run" / name, keep=True)
        journal.append_hole(0, 1, Hole("crashed"), seconds=1.0)
        journal.close()
    return made


def test_a_running_trainers_files_are_refused_and_left_as_they_are(study, tmp_path):
    run = tmp_path / "run"
    files = [*run.glob("*/*.frames"), run / "journal" / "admissions.log"]
    for path in files:
        with path.open("ab") as file:
            file.write(TORN)
    before = {path: path.read_bytes() for path in files}
    lock = FileLock(run / ".lock")
    assert lock.acquire(wait=False)
    with pytest.raises(UserError, match=r"replay: expected the folder of a run that is over"):
        replay_feed(study, feed_parts(study))
    assert {path: path.read_bytes() for path in files} == before
    lock.release()
    assert set(replay_feed(study, feed_parts(study)).holes().values()) == {"crashed"}


def test_replays_do_not_exclude_each_other_but_the_trainer(tmp_path):
    lock = FileLock(tmp_path / ".lock")
    lock.acquire()
    lock.release()
    with recorded_run(tmp_path), recorded_run(tmp_path):
        assert not lock.acquire(wait=False)
    assert lock.acquire(wait=False)
    lock.release()


def test_a_run_that_was_copied_without_its_lock_is_replayed(study, tmp_path):
    with recorded_run(tmp_path / "run"):
        assert replay_feed(study, feed_parts(study)).holes()
    assert not (tmp_path / "run" / ".lock").exists()
