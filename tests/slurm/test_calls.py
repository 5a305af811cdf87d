"""A submission is a handful of calls to Slurm, however many samples there are.

The commands here are small scripts that count their calls; the real Slurm is in the other files.
"""

from collections import Counter
from pathlib import Path

import pytest

from flows.study import Study
from flows.submit import submit
from flows.submit_finish import finish
from flows.submit_state import SubmissionPaths, read_submission
from flows.submit_status import status_of
from infra.cluster.profile import Profile
from infra.cluster.rate import RateLimit
from infra.cluster.slurm_commands import Slurm
from solvers.chunk import ChunkJob
from tests.slurm.many_chunks import many_chunks

SAMPLES = 1200
PROFILE = Profile(name="mine", kind="slurm")
# Jobs get numbers one after another; all of them have ended as `state` says.
COMMANDS = {
    "sbatch": """test "$1" = --test-only && exit
grep '^#SBATCH --array' >> arrays
wc -l < sbatch.calls""",
    "squeue": """for word; do case $word in --jobs=*) jobs=${word#--jobs=};; esac; done
for job in $(echo "$jobs" | tr , ' '); do echo "$job|N/A|$(cat state)|None"; done""",
    "sinfo": "echo 'main*|1-00:00:00|50|8|up|4000'",
    "scontrol": """echo 'Configuration data as of 2026-01-03T09:00:00'
echo "BOOT_TIME               = $(cat boot)\"""",
}


class Site:
    """A study of very many small chunks, and commands that count their calls."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bin = folder, folder / "bin"
        self.bin.mkdir()
        for name, body in COMMANDS.items():
            (self.bin / name).write_text(
                f'#!/bin/sh\ncd {self.bin}\necho "$*" >> {name}.calls\n{body}\n'
            )
            (self.bin / name).chmod(0o755)
        self.state("PENDING")
        self.boot("2026-01-02T08:00:00")

    def boot(self, time: str) -> None:
        (self.bin / "boot").write_text(time)

    def state(self, word: str) -> None:
        (self.bin / "state").write_text(word)

    def study(self, samples: int = SAMPLES) -> Study:
        return many_chunks(self.folder, samples, ranks=2)

    def slurm(self) -> Slurm:
        return Slurm(limit=RateLimit(burst=1000), sleep=lambda _: None)

    def calls(self) -> Counter[str]:
        """Return how often each command was called, and forget it."""
        counts: Counter[str] = Counter()
        for path in self.bin.glob("*.calls"):
            counts[path.stem] += len(path.read_text().splitlines())
            path.unlink()
        return counts


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    made = Site(tmp_path)
    monkeypatch.setenv("PATH", f"{made.bin}:/usr/bin:/bin")
    return made


def test_a_submission_calls_slurm_once_for_a_thousand_jobs_and_a_few_times_more(
    site: Site,
) -> None:
    made = submit(site.study(), PROFILE, slurm=site.slurm())
    # The partitions, a test of one job, two arrays and the last job, the controller's start.
    assert site.calls() == {"sinfo": 1, "sbatch": 4, "scontrol": 1}
    assert sum(array.count for array in made.rounds[-1].groups[0].arrays) == SAMPLES
    folder = site.study().dataset / "jobs"
    jobs = [ChunkJob.model_validate_json(p.read_bytes()) for p in sorted(folder.glob("*.json"))]
    assert sorted(index for job in jobs for index in job.samples) == list(range(SAMPLES))
    assert [job.number for job in jobs] == list(range(SAMPLES))


def test_looking_after_it_is_one_call(site: Site) -> None:
    submit(site.study(), PROFILE, slurm=site.slurm())
    site.calls()
    seen = status_of(site.study().dataset, site.slurm())
    assert site.calls() == {"squeue": 1}
    assert seen.chunks == {"waiting": SAMPLES}


def test_the_last_job_of_a_round_calls_slurm_a_few_times_for_all_its_chunks(site: Site) -> None:
    submit(site.study(), PROFILE, slurm=site.slurm())
    site.calls()
    site.state("NODE_FAIL")
    paths = SubmissionPaths(site.study().dataset)
    finish(paths, 1, site.slurm())
    # How the jobs ended, what a job may ask for, two arrays and the next last job; and the
    # controller's start.
    assert site.calls() == {"squeue": 1, "sinfo": 1, "sbatch": 3, "scontrol": 1}
    assert len(read_submission(paths).rounds) == 2


def test_a_restart_of_the_controller_is_told_that_no_command_has_met(site: Site) -> None:
    submit(site.study(), PROFILE, slurm=site.slurm())
    site.state("NODE_FAIL")
    paths = SubmissionPaths(site.study().dataset)
    finish(paths, 1, site.slurm())
    assert not [e for e in paths.journal.read() if e["event"] == "controller"]
    site.boot("2026-01-02T08:30:00")
    finish(paths, 2, site.slurm())
    finish(paths, 3, site.slurm())
    (event,) = [e for e in paths.journal.read() if e["event"] == "controller"]
    assert event["text"] == "Slurm's controller was started again at 2026-01-02T08:30:00 UTC"
    told = status_of(site.study().dataset, site.slurm()).events
    assert event["text"] in told  # of the many chunks' lines there are but the first
    assert "and so 1198 more chunks" in told


def test_what_chunks_met_in_two_rounds_is_not_counted_as_of_more_chunks(site: Site) -> None:
    study = site.study(4)
    submit(study, PROFILE, slurm=site.slurm())
    site.state("NODE_FAIL")
    paths = SubmissionPaths(study.dataset)
    for number in range(1, 7):
        finish(paths, number, site.slurm())
    told = status_of(study.dataset, site.slurm()).events
    assert told[-1] == "0 of 4 samples committed"
    assert told[-4:-1] == (
        *(t for t in told if t.startswith("chunk") and "not tried again" in t),
        "and so 2 more chunks",
    )


def test_packed_chunks_need_fewer_jobs(site: Site) -> None:
    profile = Profile(name="mine", kind="slurm", pack=100)
    made = submit(site.study(), profile, slurm=site.slurm())
    (group,) = made.rounds[-1].groups
    assert [array.count for array in group.arrays] == [SAMPLES // 100]
    assert (site.bin / "arrays").read_text() == "#SBATCH --array=0-11\n"
    assert status_of(site.study().dataset, site.slurm()).chunks == {"waiting": SAMPLES}
