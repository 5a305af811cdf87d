"""Submissions that ended midway: nothing is forgotten, and no two jobs compute a chunk.

The commands here keep a table of jobs in a file; the real Slurm is in the other tests.
"""

from pathlib import Path

import pytest

from flows.plan import prepare
from flows.study import Study
from flows.submit import cancel, dry_run_scripts, require_idle, submit
from flows.submit_finish import finish
from flows.submit_state import Submission, SubmissionPaths, read_submission
from flows.submit_status import status_of
from infra.cluster import LocalCluster
from infra.cluster.profile import Profile
from infra.cluster.rate import RateLimit
from infra.cluster.slurm_commands import Slurm
from infra.cluster.slurm_errors import SlurmError
from infra.errors import UserError
from tests.slurm.many_chunks import many_chunks

PROFILE = Profile(name="mine", kind="slurm")
# The table: number|name|state. `most` is how many jobs are taken; `away` lets scancel fail.
COMMANDS = {
    "sbatch": """script=$(cat); test "$1" = --test-only && exit
taken=$(wc -l < jobs)
if test "$taken" -ge "$(cat most)"; then
  echo 'sbatch: error: QOSMaxSubmitJobPerUserLimit' >&2
  echo 'sbatch: error: Batch job submission failed: Job violates accounting/QOS policy' >&2; exit 1
fi
name=$(echo "$script" | sed -n 's/^#SBATCH --job-name=//p')
echo "$script" | grep '^#SBATCH --dependency' >> dependencies
echo "$script" | grep '^#SBATCH --array' >> arrays
echo "$((taken + 1))|$name|PENDING" >> jobs; echo $((taken + 1))""",
    "squeue": """for word; do case $word in --jobs=*) jobs=${word#--jobs=};;
--name=*) names=${word#--name=};; esac; done
for job in $(echo "$jobs" | tr , ' '); do grep "^$job|" jobs |
  while IFS='|' read -r n name state; do echo "$n|N/A|$state|None"; done; done
for asked in $(echo "$names" | tr , ' '); do grep "|$asked|" jobs |
  while IFS='|' read -r n name state; do echo "$n|$state"; done; done
exit 0""",
    "scancel": """if test -e away; then
  echo 'scancel: error: Unable to contact slurm controller (connect failure)' >&2; exit 1
fi
shift; for job; do sed -i "/^$job|/s/PENDING/CANCELLED/" jobs; done""",
    "sinfo": "echo 'main*|1-00:00:00|50|8|up|4000'",
    "scontrol": "echo 'BOOT_TIME               = 2026-01-02T08:00:00'",
}


class Site:
    """A study of 1200 chunks, and commands with a table of jobs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bin = folder, folder / "bin"
        self.bin.mkdir()
        for name, body in COMMANDS.items():
            (self.bin / name).write_text(f"#!/bin/sh\ncd {self.bin}\n{body}\n")
            (self.bin / name).chmod(0o755)
        for name, text in {"jobs": "", "most": "1000", "arrays": "", "dependencies": ""}.items():
            (self.bin / name).write_text(text)
        self.slurm = Slurm(limit=RateLimit(burst=1000), pauses=())
        self.paths = SubmissionPaths(folder / "out" / "many")

    def study(self, samples: int = 1200) -> Study:
        return many_chunks(self.folder, samples)

    def submit(self, profile: Profile = PROFILE, samples: int = 1200) -> Submission:
        return submit(self.study(samples), profile, slurm=self.slurm)

    def living(self) -> list[int]:
        """Return the numbers of the jobs that wait."""
        lines = (self.bin / "jobs").read_text().splitlines()
        return [int(line.split("|")[0]) for line in lines if line.endswith("PENDING")]

    def forget(self, arrays: int) -> None:
        """Leave a state as of one who was killed when only so many numbers had been saved."""
        made = read_submission(self.paths)
        (last,) = made.rounds
        (group,) = last.groups
        group = group.model_copy(update={"arrays": group.arrays[:arrays]})
        last = last.model_copy(update={"groups": (group,), "finisher": None})
        self.paths.save(made.with_last(last))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    made = Site(tmp_path)
    monkeypatch.setenv("PATH", f"{made.bin}:/usr/bin:/bin")
    return made


@pytest.mark.parametrize("most", [0, 1, 2])
def test_what_was_taken_before_a_refusal_is_cancelled(site: Site, most: int) -> None:
    (site.bin / "most").write_text(str(most))
    taken = {0: "none", 1: "1", 2: "1, 2"}[most]
    with pytest.raises(UserError, match=f"were cancelled: {taken}"):
        site.submit()
    assert site.living() == []
    assert read_submission(site.paths).stage == "cancelled"
    (site.bin / "most").write_text("1000")
    made = site.submit()
    assert sorted(made.rounds[-1].jobs()) == site.living()


def test_every_number_is_saved_as_soon_as_it_is_known(site: Site) -> None:
    (site.bin / "most").write_text("1")
    (site.bin / "away").touch()
    with pytest.raises(UserError, match="could not be cancelled"):
        site.submit()
    assert list(read_submission(site.paths).rounds[-1].jobs()) == [1]
    assert "romflow cancel" in status_of(site.paths.root, site.slurm).complaint


@pytest.mark.parametrize("arrays", [0, 1, 2])
def test_jobs_whose_numbers_were_lost_are_found_by_their_names(site: Site, arrays: int) -> None:
    site.submit()
    site.forget(arrays)
    found = status_of(site.paths.root, site.slurm)
    assert (found.stage, sorted(found.jobs)) == ("running", [1, 2, 3])
    with pytest.raises(UserError, match="1, 2, 3 wait or run"):
        require_idle(site.paths, site.slurm)
    with pytest.raises(UserError, match="1, 2, 3 wait or run"):
        site.submit()
    cancel(site.paths.root, site.slurm)
    assert site.living() == []


def test_what_a_cancellation_without_an_answer_left_is_ended_by_the_next_submission(
    site: Site,
) -> None:
    site.submit()
    (site.bin / "away").touch()
    with pytest.raises(SlurmError, match="scancel"):
        cancel(site.paths.root, site.slurm)
    assert site.living() == [1, 2, 3]
    assert "1, 2, 3 wait or run" in status_of(site.paths.root, site.slurm).complaint
    with pytest.raises(SlurmError, match="scancel"):
        site.submit()
    (site.bin / "away").unlink()
    made = site.submit()
    assert site.living() == sorted(made.rounds[-1].jobs()) == [4, 5, 6]


@pytest.mark.mpi
def test_an_incomplete_study_that_was_completed_without_slurm_is_done(site: Site) -> None:
    made = site.submit(samples=2)
    ended = {"stage": "incomplete", "complaint": "expected 2 samples, committed 1"}
    site.paths.save(made.model_copy(update=ended))
    for chunk in prepare(site.study(2)).chunks:
        assert status_of(site.paths.root, site.slurm).stage == "incomplete"
        assert LocalCluster().run(["solvers", str(chunk.job)], 1, chunk.log).code == 0
    seen = status_of(site.paths.root, site.slurm)
    assert (seen.stage, seen.committed, seen.complaint) == ("done", 2, "")


def test_the_last_job_of_another_submission_does_nothing(site: Site) -> None:
    first = site.submit()
    cancel(site.paths.root, site.slurm)
    second = site.submit()
    assert finish(site.paths, 1, site.slurm, first.token) == second
    assert read_submission(site.paths) == second
    assert site.living() == [4, 5, 6]
    assert " --token " in dry_run_scripts(site.study(), PROFILE)[-1]


def test_a_limit_of_what_runs_at_once_holds_for_all_arrays(site: Site) -> None:
    site.submit(PROFILE.model_copy(update={"throttle": 50}), samples=2500)
    arrays = (site.bin / "arrays").read_text().split()
    limits = [int(text.split("%")[1]) for text in arrays if "%" in text]
    assert (len(limits), sum(limits)) == (3, 50)
    assert "--dependency=afterany:1:2:3" in (site.bin / "dependencies").read_text()


def test_more_arrays_than_may_run_at_once_come_one_after_another(site: Site) -> None:
    site.submit(PROFILE.model_copy(update={"throttle": 1}), samples=2500)
    waits = [line.split("=")[1] for line in (site.bin / "dependencies").read_text().splitlines()]
    assert waits == ["afterany:1", "afterany:2", "afterany:1:2:3"]


def test_jobs_that_ended_without_a_word_are_told_with_where_to_look(site: Site) -> None:
    made = site.submit()
    (site.bin / "jobs").write_text("")
    found = status_of(site.paths.root, site.slurm)
    assert found.stage == "stopped"
    assert "romflow doctor --profile" in found.complaint
    output = site.paths.folder / f"{made.token}-r1-finish.out"
    output.write_text("first\n/no/python: not found\n")
    assert f"/no/python: not found ({output})" in status_of(site.paths.root, site.slurm).complaint
