"""What needs no Slurm: scripts shown beforehand, profiles by name, and restarts of the last job.

The commands of the last tests are small scripts; the real Slurm is in the other files.
"""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.slurm_profile import cluster_of, load_profile, ranks_of, shipped_profiles
from flows.study import Study, load_study
from flows.submit import dry_run_scripts
from flows.submit_rounds import open_round, submit_round
from flows.submit_state import Submission, SubmissionPaths, read_submission
from infra.cluster import LocalCluster
from infra.cluster.journal import Journal
from infra.cluster.policy import Attempt
from infra.cluster.profile import Profile
from infra.cluster.rate import RateLimit
from infra.cluster.slurm import SlurmCluster
from infra.cluster.slurm_commands import Slurm
from infra.cluster.states import Outcome
from infra.errors import StoreError, UserError

PROFILE = Profile(name="mine", kind="slurm")
FIRST = Attempt(PROFILE.resources)
# It takes a job and then loses its last words, as a killed process would.
SBATCH = """#!/bin/sh
cd {folder}
cat > script
name=$(sed -n 's/^#SBATCH --job-name=//p' script)
echo "$name" >> names
grep -n "^$name$" names | cut -d: -f1
"""
SQUEUE = """#!/bin/sh
cd {folder}
for word; do case $word in --name=*) grep -n "^${{word#--name=}}$" names | cut -d: -f1;; esac; done
exit 0
"""


def study(folder: Path, **changes: Any) -> Study:
    path = folder / "study.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "name": "many",
                "problem": {"name": "poisson"},
                "sampling": {"method": "uniform", "samples": 8, "seed": 1},
                "run": {"ranks": 2, "chunk_size": 2},
                "output": str(folder / "out"),
                "catalog": str(folder / "catalog"),
                **changes,
            }
        )
    )
    return load_study(str(path))


def test_shipped_profiles_are_one_of_each_kind_and_are_found_by_name() -> None:
    found = {name: load_profile(name).kind for name in shipped_profiles()}
    assert found == {name: name for name in ("local", "dask", "dask-slurm", "slurm")}


def test_an_unknown_profile_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"profile slrum: .*local.*Did you mean slurm"):
        load_profile("slrum")


def test_a_misspelt_key_is_refused_with_the_right_one(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("kind: slurm\npartiton: main\n")
    with pytest.raises(UserError, match="partiton: did you mean partition"):
        load_profile(str(path))


def test_only_slurm_profiles_have_a_cluster_of_slurm(tmp_path: Path) -> None:
    for name in shipped_profiles():
        cluster = cluster_of(load_profile(name), tmp_path)
        assert isinstance(cluster, SlurmCluster if name == "slurm" else LocalCluster)


def test_a_study_with_fewer_ranks_than_nodes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="set ranks in the profile"):
        ranks_of(Profile(kind="slurm", nodes=4), study(tmp_path).run)


def test_scripts_are_shown_without_writing_anything(tmp_path: Path) -> None:
    chosen = study(tmp_path)
    array, finisher = dry_run_scripts(chosen, PROFILE)
    assert "--array=0-3" in array
    assert "flows.submit_finish" in finisher
    assert not (tmp_path / "out").exists()
    for script in (array, finisher):
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_arrays_are_no_longer_than_slurm_allows(tmp_path: Path) -> None:
    many = {"method": "uniform", "samples": 2500, "seed": 1}
    chosen = study(tmp_path, sampling=many, run={"chunk_size": 1})
    *arrays, _ = dry_run_scripts(chosen, PROFILE)
    for first, last, script in zip((0, 1000, 2000), (999, 999, 499), arrays, strict=True):
        assert f"--array=0-{last}\n" in script
        assert f"--first {first} " in script


def test_only_slurm_takes_submissions(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"kind: expected slurm .* received dask"):
        dry_run_scripts(study(tmp_path), Profile(kind="dask"))


def submission(paths: SubmissionPaths, folder: Path) -> Submission:
    data = study(folder).model_dump(mode="json", exclude_none=True)
    made = Submission(token="t", study=data, profile=PROFILE)
    return open_round(paths, made, {0: FIRST, 1: FIRST, 2: Attempt(PROFILE.resources, crashes=1)})


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Slurm:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in (("sbatch", SBATCH), ("squeue", SQUEUE)):
        (folder / name).write_text(text.format(folder=folder))
        (folder / name).chmod(0o755)
    (folder / "names").touch()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return Slurm(limit=RateLimit(burst=1000))


def test_a_round_is_one_array_for_each_need_and_a_last_job(tmp_path: Path, slurm: Slurm) -> None:
    paths = SubmissionPaths(tmp_path / "out" / "many")
    done = submit_round(paths, submission(paths, tmp_path), slurm)
    (last,) = done.rounds
    assert [group.chunks for group in last.groups] == [(0, 1), (2,)]
    assert (list(last.jobs()), last.finisher) == ([3, 1, 2], 3)
    assert read_submission(paths) == done
    assert "afterany:1:2" in (tmp_path / "bin" / "script").read_text()


@pytest.mark.parametrize("submitted", [0, 1, 2, 3])
def test_a_round_whose_submission_was_interrupted_is_completed_and_not_repeated(
    tmp_path: Path, slurm: Slurm, submitted: int
) -> None:
    paths = SubmissionPaths(tmp_path / "out" / "many")
    opened = submission(paths, tmp_path)
    submit_round(paths, opened, slurm)
    names = tmp_path / "bin" / "names"
    kept = names.read_text().splitlines()[:submitted]
    names.write_text("".join(f"{name}\n" for name in kept))
    paths.save(opened)  # as if nothing had been written since
    submit_round(paths, opened, slurm, again=True)
    assert len(names.read_text().splitlines()) == 3
    assert len(set(names.read_text().splitlines())) == 3


def test_a_folder_without_a_submission_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="romflow submit"):
        read_submission(SubmissionPaths(tmp_path))


def test_a_broken_state_is_told_so(tmp_path: Path) -> None:
    paths = SubmissionPaths(tmp_path)
    paths.folder.mkdir()
    paths.state.write_text("{")
    with pytest.raises(StoreError, match="committed samples are kept"):
        read_submission(paths)


def test_a_journal_is_read_as_it_was_written_without_a_torn_line(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a" / "events.jsonl")
    assert journal.read() == []
    journal.note("000001", Outcome.TIMEOUT, FIRST, None)
    with (tmp_path / "a" / "events.jsonl").open("a") as file:
        file.write('{"event": "torn')
    (event,) = journal.read()
    assert event["event"] == "timeout"
    assert event["text"].startswith("chunk 000001 reached its walltime; it is not tried again")
