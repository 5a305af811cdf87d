import stat
from pathlib import Path

import pytest

from infra.errors import FencedError, StreamError, UserError
from infra.streaming.client import ClientLimits, connect
from infra.streaming.frames import StreamSpec
from infra.streaming.rendezvous import Rendezvous, check_epoch, claim, release

ENDPOINTS = ("tcp://127.0.0.1:1",)


def test_every_claim_has_a_larger_epoch_and_a_secret_of_its_own(
    tmp_path: Path, spec: StreamSpec
) -> None:
    path = tmp_path / "run" / "rendezvous.json"
    made = [claim(path, spec, ENDPOINTS, tmp_path / "spool", 10) for _ in range(3)]
    assert [each.epoch for each in made] == [1, 2, 3]
    assert len({each.token for each in made}) == 3
    assert Rendezvous.read(path) == made[-1]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_claimed_file_stops_the_one_that_had_it(tmp_path: Path, spec: StreamSpec) -> None:
    path = tmp_path / "rendezvous.json"
    first = claim(path, spec, ENDPOINTS, tmp_path, 10)
    check_epoch(path, first)
    second = claim(path, spec, ENDPOINTS, tmp_path, 10)
    with pytest.raises(FencedError, match="Expected epoch 1"):
        check_epoch(path, first)
    release(path, first)
    assert Rendezvous.read(path).endpoints == ENDPOINTS, "it belongs to the second"
    release(path, second)
    assert Rendezvous.read(path).endpoints == ()
    assert claim(path, spec, ENDPOINTS, tmp_path, 10).epoch == 3


def test_the_file_of_another_study_is_not_taken_over(tmp_path: Path, spec: StreamSpec) -> None:
    path = tmp_path / "rendezvous.json"
    claim(path, spec, ENDPOINTS, tmp_path, 10)
    other = StreamSpec("study-2", spec.fields, spec.n_samples, spec.n_frames)
    with pytest.raises(UserError, match="another folder"):
        claim(path, other, ENDPOINTS, tmp_path, 10)


def test_a_missing_and_a_foreign_file_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Start the trainer first"):
        Rendezvous.read(tmp_path / "rendezvous.json")
    with pytest.raises(UserError, match="Start the trainer first"):
        connect(tmp_path / "rendezvous.json", 0, limits=ClientLimits(rendezvous_seconds=0.0))
    (tmp_path / "rendezvous.json").write_text('{"epoch": 1}')
    with pytest.raises(StreamError, match="something else"):
        Rendezvous.read(tmp_path / "rendezvous.json")
