"""Jobs of a flow that was killed are found by their names and ended, those of a living one not.

The commands here are small scripts that answer as Slurm does; the real one is in tests/slurm.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.cluster.journal import Journal
from infra.cluster.orphans import Owner, end_orphans, has_owner
from infra.cluster.rate import RateLimit
from infra.cluster.slurm_commands import Slurm
from infra.cluster.slurm_errors import SlurmError
from infra.errors import UserError
from infra.files import FileLock

# Tells of the jobs in the file `jobs` (name|number|state); the cancelled end `late` looks later.
SQUEUE = """#!/bin/sh
cd {folder}
echo "$*" >> squeue.calls
names=$(for word; do case $word in --name=*) echo "${{word#--name=}}" | tr , '\\n';; esac; done)
for name in $names; do grep "^$name|" jobs | cut -d'|' -f2-; done
if test -e cancelled; then
  n=$(cat late); echo $((n - 1)) > late
  test $n -gt 0 || sed -i 's/RUNNING\\|PENDING\\|COMPLETING/CANCELLED/' jobs
fi
exit 0
"""
SCANCEL = """#!/bin/sh
cd {folder}
shift
echo "$*" >> cancelled
sed -i 's/RUNNING/COMPLETING/' jobs
"""
# Takes the ownership of a run, says so, and lives until it is killed.
FLOW = """
import sys, threading
from pathlib import Path
from infra.cluster.orphans import Owner
owner = Owner(Path(sys.argv[1]))
owner.take()
(owner.run / "0001").mkdir()
for name in sys.argv[2:]:
    (owner.run / "0001" / f"{name}.sh").touch()
print(owner.run, flush=True)
threading.Event().wait()
"""


class Site:
    """A folder of a dataset, and one with commands."""

    def __init__(self, folder: Path) -> None:
        self.state, self.bin = folder / "slurm", folder / "bin"
        self.bin.mkdir()
        for name, text in (("squeue", SQUEUE), ("scancel", SCANCEL)):
            (self.bin / name).write_text(text.format(folder=self.bin))
            (self.bin / name).chmod(0o755)
        self.jobs("")

    def jobs(self, *lines: str, late: int = 0) -> None:
        (self.bin / "jobs").write_text("".join(f"{line}\n" for line in lines))
        (self.bin / "late").write_text(f"{late}\n")

    def calls(self, name: str) -> list[str]:
        path = self.bin / name
        return path.read_text().splitlines() if path.exists() else []

    def slurm(self) -> Slurm:
        return Slurm(limit=RateLimit(burst=1000), sleep=lambda _: None)

    def end_orphans(self) -> tuple[int, ...]:
        return end_orphans(self.state, self.journal, self.slurm())

    @property
    def journal(self) -> Journal:
        return Journal(self.state / "events.jsonl")

    @contextmanager
    def flow(self, *names: str) -> Iterator[Path]:
        """Give the run of a living flow that has submitted jobs of these names."""
        command = [sys.executable, "-c", FLOW, str(self.state), *names]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as flow:
            assert flow.stdout is not None
            try:
                yield Path(flow.stdout.readline().strip())
            finally:
                flow.kill()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    made = Site(tmp_path)
    monkeypatch.setenv("PATH", f"{made.bin}:/usr/bin:/bin")
    return made


def test_without_a_flow_before_slurm_is_not_asked(site: Site) -> None:
    assert site.end_orphans() == ()
    assert site.calls("squeue.calls") == []
    assert not site.state.exists()


def test_the_jobs_of_a_living_flow_are_left_alone(site: Site) -> None:
    site.jobs("a|7|RUNNING")
    with site.flow("a"):
        assert site.end_orphans() == ()
        assert has_owner(site.state)
    assert site.calls("cancelled") == []


def test_a_flow_owns_its_jobs_as_long_as_it_lives(site: Site) -> None:
    assert not has_owner(site.state)
    with site.flow("a"):
        assert has_owner(site.state)
    assert not has_owner(site.state)  # it was killed: nobody holds what it left


def test_a_lock_that_went_before_it_is_looked_at_is_not_made_again(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FileLock(tmp_path / "owner.lock", make=False).acquire(wait=False)
    assert not list(tmp_path.iterdir())


def test_the_jobs_of_a_killed_flow_are_cancelled_once_and_told(site: Site) -> None:
    with site.flow("a", "b", "c") as run:
        pass
    site.jobs("a|7|RUNNING", "a|7|PENDING", "b|8|COMPLETED", "x|9|RUNNING", late=3)
    assert site.end_orphans() == (7,)
    assert set(site.calls("cancelled")) == {"7"}
    assert "--name=a,b,c" in site.calls("squeue.calls")[0]
    (event,) = site.journal.read()
    assert event["event"] == "orphaned"
    assert "7" in event["text"]
    assert not list(run.glob("*.lock"))
    before = len(site.calls("squeue.calls"))
    assert site.end_orphans() == ()
    assert len(site.calls("squeue.calls")) == before


def test_their_end_is_waited_for(site: Site) -> None:
    with site.flow("a"):
        pass
    site.jobs("a|7|RUNNING", late=3)
    site.end_orphans()
    # The first look finds it, the others see it go.
    assert len(site.calls("squeue.calls")) >= 4


def test_jobs_that_do_not_end_are_an_error_and_are_looked_for_again(site: Site) -> None:
    with site.flow("a"):
        pass
    site.jobs("a|7|RUNNING", late=10_000)
    for _ in range(2):
        with pytest.raises(SlurmError, match=r"expected the end of cancelled jobs.* 7 "):
            site.end_orphans()


def test_a_flow_that_has_cleared_up_leaves_nothing_to_look_for(site: Site) -> None:
    owner = Owner(site.state)
    owner.take()
    owner.take()
    owner.release()
    owner.release()
    assert site.end_orphans() == ()
    assert site.calls("squeue.calls") == []


def test_a_flow_without_jobs_leaves_no_folder_and_one_with_jobs_its_scripts(site: Site) -> None:
    idle, busy = Owner(site.state), Owner(site.state)
    for owner in (idle, busy):
        owner.take()
    (busy.run / "0001").mkdir()
    idle.release()
    busy.release()
    assert [path.name for path in site.state.glob("run-*")] == [busy.run.name]
    assert [path.name for path in busy.run.iterdir()] == ["0001"]


def test_after_a_killed_flow_without_jobs_slurm_is_not_asked(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with site.flow() as run:
        (run / "0001").rmdir()
    monkeypatch.setenv("PATH", str(tmp_path))  # there is none
    assert site.end_orphans() == ()
    assert not run.exists()


def test_a_flow_that_clears_up_while_it_is_looked_at_is_no_orphan(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = Owner(site.state)
    owner.take()
    acquire = FileLock.acquire

    def late(lock: FileLock, *, wait: bool = True) -> bool:
        if not wait:
            owner.release()
        return acquire(lock, wait=wait)

    monkeypatch.setattr(FileLock, "acquire", late)
    assert site.end_orphans() == ()
    assert not owner.run.exists()


def test_two_runs_of_one_process_are_no_strangers(site: Site) -> None:
    trainer, simulations = Owner(site.state), Owner(site.state)
    trainer.take()
    simulations.take()
    assert trainer.run != simulations.run
    assert site.end_orphans() == ()
    trainer.release()
    simulations.release()


def test_without_slurm_here_nobody_knows_and_nothing_is_begun(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with site.flow("a"):
        pass
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"expected Slurm on this machine.*remove .*owner.lock"):
        site.end_orphans()
