"""A journal is read whatever befell its file, and goes on behind a torn line."""

import json
from pathlib import Path

import pytest

from infra.cluster.journal import Journal

WHOLE = json.dumps({"event": "y", "time": 2.0, "text": "whole"}).encode()


@pytest.mark.parametrize(
    "torn",
    [
        b'{"event": "x", "time": 1.0, "te',
        b'{"event": "x", "time": 1.0, "te' + WHOLE,
        b"\xff\xfe}",
        b"3}",
        b"3",
        b"{}",
        b"[{}]",
        b'{"event": "x", "text": null}',
        b'{"event": ' + 100_000 * b"[" + b"}",
        b"",
    ],
)
def test_a_line_that_is_no_event_is_left_out(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join([WHOLE, torn, WHOLE, torn]))
    assert [event["text"] for event in Journal(path).read()] == ["whole", "whole"]


def test_an_event_behind_a_torn_one_has_a_line_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(WHOLE + b'\n{"event": "torn')
    journal = Journal(path)
    journal.write("a", "first")
    journal.write("b", "second", boot="now")
    assert [event["text"] for event in journal.read()] == ["whole", "first", "second"]
    assert path.read_bytes().count(b"\n") == 4
