"""An element runs its items, closes them when Slurm asks for it, and tells how they ended."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from infra.cluster.element import SCRATCH, UNFINISHED
from infra.cluster.journal import Journal
from infra.cluster.launcher import Launcher
from infra.cluster.work import End, Work, WorkItem, read_end, write_end, write_work

DEADLINE = 60.0
# Commits samples as fast as its folder allows it: a sample is done when its file is there.
JOB = """
import json, os, sys, threading, time
from pathlib import Path
from infra.lifeline import end_with_standard_input
end_with_standard_input()
tell = lambda event: print(json.dumps({"event": event}), flush=True)
Path("job.pid").write_text(str(os.getpid()))
for sample in range(int(sys.argv[1])):
    if Path(f"done-{sample}").exists():
        tell("skipped")
        continue
    tell("started")
    while not Path(f"may-{sample}").exists():
        time.sleep(0.01)
    Path(f"done-{sample}").write_text("")
    tell("committed")
tell("finished")
print("bye", file=sys.stderr)
sys.exit(int(sys.argv[2]))
"""


class Site:
    """A folder in which an element works."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def write(self, *arguments: tuple[str, ...], grace: int = 40) -> Work:
        items = [
            WorkItem(key=n, module=("job", *words), ranks=0, log=self.folder / f"{n}.jsonl")
            for n, words in enumerate(arguments)
        ]
        work = Work(
            launcher=Launcher(),
            grace=grace,
            elements=((), tuple(items)),
            ends=self.folder / "ends",
            journal=self.folder / "events.jsonl",
        )
        write_work(self.folder / "work.json", work)
        return work

    def start(self, restart: int = 0) -> "subprocess.Popen[bytes]":
        words = ["work.json", "--first", "1", "--element", "0", "--job", "7"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "infra.cluster.element", *words, "--restart", str(restart)],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
        )
        return self.process

    def allow(self, *samples: int) -> None:
        for sample in samples:
            (self.folder / f"may-{sample}").touch()

    def until(self, condition: Callable[[], object], what: str) -> None:
        end = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < end, f"waited in vain for {what}"
            time.sleep(0.01)

    def wait_for(self, event: str, times: int = 1, item: int = 0) -> None:
        log = self.folder / f"{item}.jsonl"
        self.until(lambda: log.exists() and log.read_text().count(f'"{event}"') >= times, event)

    def end(self, item: int = 0) -> End | None:
        return read_end(self.folder / "ends" / f"000001-{item:03d}.json")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    (tmp_path / "job.py").write_text(JOB)
    monkeypatch.chdir(tmp_path)
    made = Site(tmp_path)
    yield made
    if made.process is not None:
        made.process.kill()
        made.process.wait()


def test_items_run_one_after_another_and_tell_their_codes(site: Site) -> None:
    site.write(("1", "0"), ("1", "2"), ("1", "3"))
    site.allow(0)
    assert site.start().wait(DEADLINE) == 0
    ends = [site.end(item) for item in range(3)]
    assert [(e.how, e.code, e.job, e.errors) for e in ends if e] == [
        ("ended", code, 7, "bye\n") for code in (0, 2, 3)
    ]


def test_a_crash_is_told_and_leaves_something_undone(site: Site) -> None:
    site.write(("0", "1"), ("0", "0"))
    assert site.start().wait(DEADLINE) == UNFINISHED
    first, second = site.end(0), site.end(1)
    assert first is not None
    assert (first.how, first.code, first.settled) == ("ended", 1, False)
    assert second is not None
    assert second.settled


def test_a_warning_lets_the_present_sample_be_committed_and_no_other_begin(site: Site) -> None:
    site.write(("3", "0"), ("3", "0"))
    process = site.start()
    site.wait_for("started")
    process.send_signal(signal.SIGUSR1)
    site.allow(0)
    assert process.wait(DEADLINE) == UNFINISHED
    assert (site.folder / "done-0").exists()
    assert not (site.folder / "done-1").exists()
    ends = [site.end(item) for item in (0, 1)]
    assert [end.how for end in ends if end] == ["closed", "unreached"]
    assert not (site.folder / "1.jsonl").exists()


def test_a_sample_that_takes_too_long_is_given_up_before_the_limit(site: Site) -> None:
    site.write(("1", "0"), grace=1)
    process = site.start()
    site.wait_for("started")
    process.send_signal(signal.SIGUSR1)
    assert process.wait(DEADLINE) == UNFINISHED
    assert not psutil.pid_exists(int((site.folder / "job.pid").read_text()))


def test_a_chunk_that_is_through_when_it_is_warned_has_ended(site: Site) -> None:
    site.write(("1", "0"))
    process = site.start()
    site.wait_for("started")
    process.send_signal(signal.SIGUSR1)
    site.allow(0)
    process.wait(DEADLINE)
    end = site.end()
    assert end is not None
    # The job may be ended between its last commit and its exit: then it is done again, quickly.
    assert end.how == "closed" or end.settled


def test_a_termination_ends_the_job_at_once_and_leaves_no_process(site: Site) -> None:
    site.write(("2", "0"))
    process = site.start()
    site.allow(0)
    site.wait_for("started", 2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE) == UNFINISHED
    end = site.end()
    assert end is not None
    assert end.how == "terminated"
    assert not psutil.pid_exists(int((site.folder / "job.pid").read_text()))


def test_the_jobs_of_an_element_that_is_killed_end_with_it(site: Site) -> None:
    site.write(("1", "0"))
    process = site.start()
    site.wait_for("started")
    job = int((site.folder / "job.pid").read_text())
    process.kill()
    site.until(lambda: not _runs(job), "the job's end")
    assert site.end() is None


def test_a_requeued_element_goes_on_and_does_nothing_twice(site: Site) -> None:
    site.write(("1", "0"), ("2", "0"))
    process = site.start()
    site.allow(0)
    site.wait_for("started", 1, item=1)
    os.kill(process.pid, signal.SIGTERM)
    process.wait(DEADLINE)
    site.allow(1)
    assert site.start(restart=1).wait(DEADLINE) == 0
    assert (site.folder / "0.jsonl").read_text().count("finished") == 1
    ends = [site.end(item) for item in (0, 1)]
    assert [e.restart for e in ends if e] == [0, 1]
    (event,) = Journal(site.folder / "events.jsonl").read()
    assert event["event"] == "requeued"
    assert "job 7 with chunk 0, 1 was requeued: it had been asked to go" in event["text"]


def test_a_crash_before_a_requeue_is_told(site: Site) -> None:
    site.write(("0", "1"), ("0", "0"))
    assert site.start().wait(DEADLINE) == UNFINISHED
    assert site.start(restart=1).wait(DEADLINE) == UNFINISHED
    crashed, requeued = Journal(site.folder / "events.jsonl").read()
    assert (crashed["event"], crashed["chunk"]) == ("crashed", "0")
    assert "chunk 0 crashed before its job was requeued; again" in crashed["text"]
    assert "was requeued: it had ended with a crash" in requeued["text"]


def test_a_job_that_was_asked_to_go_between_two_chunks_is_told_so(site: Site) -> None:
    work = site.write(("0", "0"), ("0", "0"))
    for item, (how, code) in enumerate([("ended", 0), ("unreached", -1)]):
        end = {"how": how, "code": code, "errors": "", "job": 7, "host": "n1", "restart": 0}
        write_end(work.end(1, item), End.model_validate({**end, "started": 0.0, "seconds": 1.0}))
    assert site.start(restart=1).wait(DEADLINE) == 0
    (requeued,) = Journal(site.folder / "events.jsonl").read()
    assert "was requeued: it had been asked to go" in requeued["text"]


def test_what_an_earlier_start_met_is_not_told_of_the_last_one(site: Site) -> None:
    site.write(("0", "1"))
    assert site.start().wait(DEADLINE) == UNFINISHED
    assert site.start(restart=2).wait(DEADLINE) == UNFINISHED  # the first requeue left no trace
    (requeued,) = Journal(site.folder / "events.jsonl").read()
    assert "it had vanished with its node" in requeued["text"]


def test_an_element_that_was_lost_with_its_node_is_told_so(site: Site) -> None:
    site.write(("1", "0"))
    process = site.start()
    site.wait_for("started")
    process.kill()
    process.wait()
    site.allow(0)
    assert site.start(restart=1).wait(DEADLINE) == 0
    (event,) = Journal(site.folder / "events.jsonl").read()
    assert "it had vanished with its node" in event["text"]


def test_scratch_that_cannot_be_made_is_told_and_the_work_done(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = site.folder / "job.py" / "scratch"  # below a file
    monkeypatch.setenv(SCRATCH, str(scratch))
    site.write(("0", "0"), ("0", "0"))
    assert site.start().wait(DEADLINE) == 0
    (event,) = Journal(site.folder / "events.jsonl").read()
    assert (event["event"], event["chunk"]) == ("scratch", "0, 1")
    assert f"scratch {scratch} cannot be used (Not a directory)" in event["text"]


def test_scratch_that_can_be_used_is_no_news(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SCRATCH, str(site.folder / "new" / "scratch"))
    site.write(("0", "0"))
    assert site.start().wait(DEADLINE) == 0
    assert not (site.folder / "events.jsonl").exists()


def test_chunks_before_and_behind_a_crash_have_ends_of_their_own(site: Site) -> None:
    site.write(("1", "0"), ("0", "1"), ("1", "0"))
    site.allow(0)
    assert site.start().wait(DEADLINE) == UNFINISHED
    ends = [site.end(item) for item in range(3)]
    assert [(e.how, e.code) for e in ends if e] == [("ended", 0), ("ended", 1), ("ended", 0)]


def test_chunks_whose_turn_does_not_come_are_told_from_the_one_that_was_ended(site: Site) -> None:
    site.write(("1", "0"), ("1", "0"), ("1", "0"))
    process = site.start()
    site.wait_for("started")
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE) == UNFINISHED
    ends = [site.end(item) for item in range(3)]
    assert [e.how for e in ends if e] == ["terminated", "unreached", "unreached"]


def test_an_element_without_its_work_says_what_is_missing(site: Site) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "infra.cluster.element", "work.json"],
        cwd=site.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "shared" in done.stderr


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
