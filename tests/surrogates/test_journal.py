"""Laws of the journal."""

from pathlib import Path

import numpy as np
import pytest

from infra.errors import ChecksumError, StorageAccessError, StoreError, UserError
from infra.streaming.frames import FrameKey
from surrogates.admissions import Admission, AdmissionLog
from surrogates.holes import Hole
from surrogates.journal import Entry, Journal
from surrogates.testing import small_frame, small_spec

SPEC = small_spec(n_samples=4, n_frames=5)


def fresh(folder: Path, *, keep: bool = False, segment_bytes: int = 1 << 20) -> Journal:
    return Journal(folder, SPEC.study, SPEC.n_values, keep=keep, segment_bytes=segment_bytes)


def write(journal: Journal, number: int) -> None:
    frame = small_frame(SPEC, number // 5, number % 5, attempt=3)
    mu = np.array([number + 0.5])
    journal.append([Entry(number, frame.key, frame.values, mu, frame.digest, 7.25)])


def require_frame(journal: Journal, number: int) -> None:
    record, mu, values = journal.read(number)
    frame = small_frame(SPEC, number // 5, number % 5, attempt=3)
    assert (record.number, record.key, record.seconds) == (number, frame.key, 7.25)
    assert record.digest == frame.digest
    assert mu.tolist() == [number + 0.5]
    np.testing.assert_array_equal(values, frame.values)
    assert not values.flags.writeable


@pytest.mark.parametrize("segment_bytes", [1, 300, 1 << 20])
def test_what_was_written_is_read_also_by_the_next_process(
    tmp_path: Path, segment_bytes: int
) -> None:
    journal = fresh(tmp_path, segment_bytes=segment_bytes)
    for number in range(12):
        write(journal, number)
        require_frame(journal, number)
    journal.close()
    again = fresh(tmp_path, segment_bytes=segment_bytes)
    assert again.numbers.tolist() == list(range(12))
    assert [record.number for record in again.frames()] == list(range(12))
    for number in (11, 0, 5):
        require_frame(again, number)
    write(again, 12)
    require_frame(again, 12)


def test_segments_are_bounded(tmp_path: Path) -> None:
    journal = fresh(tmp_path, segment_bytes=300)
    for number in range(20):
        write(journal, number)
    sizes = [path.stat().st_size for path in tmp_path.glob("*.frames")]
    assert len(sizes) > 4
    assert max(sizes) < 300 + 150
    assert journal.nbytes == sum(sizes)


def test_a_torn_tail_is_cut_off_wherever_it_was_torn(tmp_path: Path) -> None:
    journal = fresh(tmp_path)
    for number in range(2):
        write(journal, number)
    whole = journal.nbytes
    write(journal, 2)
    journal.close()
    (path,) = tmp_path.glob("*.frames")
    data = path.read_bytes()
    for size in range(whole, len(data)):
        path.write_bytes(data[:size])
        torn = fresh(tmp_path)
        assert torn.numbers.tolist() == [0, 1]
        assert path.stat().st_size == whole
        write(torn, 2)
        require_frame(torn, 2)
        torn.close()


def test_a_segment_that_was_torn_at_its_beginning_is_removed(tmp_path: Path) -> None:
    journal = fresh(tmp_path, segment_bytes=1)
    write(journal, 0)
    journal.close()
    (tmp_path / f"{1:020d}.frames").write_bytes(b"rfj")
    again = fresh(tmp_path, segment_bytes=1)
    assert again.numbers.tolist() == [0]
    write(again, 1)
    require_frame(again, 1)


def test_changed_values_are_noticed(tmp_path: Path) -> None:
    journal = fresh(tmp_path)
    write(journal, 0)
    (path,) = tmp_path.glob("*.frames")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ChecksumError, match="differs from its checksum"):
        journal.read(0)


def test_holes_are_written_down(tmp_path: Path) -> None:
    journal = fresh(tmp_path)
    journal.append_hole(0, 3, Hole("crashed: größte Nöte", 5, recorded=True), seconds=1.0)
    write(journal, 0)
    journal.close()
    again = fresh(tmp_path)
    assert again.holes() == {3: "crashed: größte Nöte"}
    assert again.hole_records() == {3: Hole("crashed: größte Nöte", 5, recorded=True)}
    assert again.numbers.tolist() == [0]


def test_a_hole_with_later_frames_is_none(tmp_path: Path) -> None:
    journal = fresh(tmp_path)
    for sample in (1, 6):
        journal.append_hole(0, sample, Hole("crashed"), seconds=1.0)
    write(journal, 5)  # of sample 1
    assert journal.holes() == {6: "crashed"}


def test_numbers_may_have_gaps(tmp_path: Path) -> None:
    journal = fresh(tmp_path, segment_bytes=300)
    for number in (2, 3, 7, 11, 12, 19):
        write(journal, number)
    require_frame(journal, 11)
    with pytest.raises(StoreError, match="not there"):
        journal.read(10)
    with pytest.raises(StoreError, match="not there"):
        journal.read(20)


def test_dropped_segments_hold_only_older_frames(tmp_path: Path) -> None:
    journal = fresh(tmp_path, segment_bytes=300)
    for number in range(20):
        write(journal, number)
    before = journal.nbytes
    journal.drop_before(11)
    assert journal.nbytes < before
    for number in range(11, 20):
        require_frame(journal, number)
    with pytest.raises(StoreError, match="keep_journal"):
        journal.read(0)
    journal.close()
    again = fresh(tmp_path, segment_bytes=300)
    assert again.numbers[0] <= 11
    assert again.numbers[-1] == 19
    write(again, 20)
    require_frame(again, 20)


def test_a_kept_journal_drops_nothing(tmp_path: Path) -> None:
    journal = fresh(tmp_path, keep=True, segment_bytes=300)
    for number in range(20):
        write(journal, number)
    journal.drop_before(20)
    require_frame(journal, 0)


@pytest.mark.parametrize(("study", "n_values"), [("other", 6), ("study", 7)])
def test_the_journal_of_another_study_is_refused(tmp_path: Path, study: str, n_values: int) -> None:
    write(fresh(tmp_path), 0)
    with pytest.raises(UserError, match="frames of this study"):
        Journal(tmp_path, study, n_values)


def test_a_place_that_is_no_folder_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageAccessError, match="is a file"):
        fresh(tmp_path / "file")


def test_a_frame_without_parameters_is_written(tmp_path: Path) -> None:
    journal, frame = fresh(tmp_path), small_frame(SPEC, 0, 0)
    journal.append([Entry(0, frame.key, frame.values, np.empty(0), frame.digest, 0.0)])
    record, mu, values = journal.read(0)
    assert (record.key, len(mu)) == (FrameKey(0, 0, 0), 0)
    np.testing.assert_array_equal(values, frame.values)


def test_admissions_are_read_as_written_and_a_torn_tail_is_cut_off(tmp_path: Path) -> None:
    log = AdmissionLog(tmp_path / "log")
    entries = [Admission(0, (0, 1, 2)), Admission(4, ()), Admission(9, (5, 3)), Admission(9, None)]
    for entry in entries:
        log.append(entry)
    assert list(log.entries()) == entries
    log.close()
    data = (tmp_path / "log").read_bytes()
    assert len(data) == sum(entry.nbytes for entry in entries)
    for size in range(len(data)):
        (tmp_path / "log").write_bytes(data[:size])
        torn = AdmissionLog(tmp_path / "log")
        assert list(torn.entries()) == entries[: len(list(torn.entries()))]
        assert torn.end == (tmp_path / "log").stat().st_size
        torn.close()


def test_admissions_after_a_mark_are_forgotten(tmp_path: Path) -> None:
    log = AdmissionLog(tmp_path / "log")
    log.append(Admission(0, (0, 1)))
    mark = log.end
    log.append(Admission(1, (2,)))
    log.rewind(mark)
    log.append(Admission(1, (3,)))
    assert list(log.entries()) == [Admission(0, (0, 1)), Admission(1, (3,))]


def test_a_log_that_lost_its_end_is_not_filled_up(tmp_path: Path) -> None:
    log = AdmissionLog(tmp_path / "log")
    log.append(Admission(0, (0, 1)))
    log.append(Admission(1, (2,)))
    log.flush()
    mark = log.end
    log.close()
    data = (tmp_path / "log").read_bytes()
    (tmp_path / "log").write_bytes(data[:-1])
    shorter = AdmissionLog(tmp_path / "log")
    with pytest.raises(StoreError, match=rf"at least {mark} bytes .* received 32"):
        shorter.rewind(mark)
    assert list(shorter.entries()) == [Admission(0, (0, 1))]
    shorter.close()
