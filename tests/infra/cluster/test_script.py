"""A batch script is a function of its arguments, and every word in it is quoted."""

import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from infra.cluster.profile import Profile
from infra.cluster.resources import Resources
from infra.cluster.script import BatchJob, array_text, batch_script

NASTY = "a b'c\"d$(touch x)`y`;&"
JOB = BatchJob(
    name="romflow-1",
    module=("infra.cluster.element", "/data/work.json"),
    folder=Path("/code"),
    output=Path("/data/out-%a"),
    ranks=4,
    resources=Resources(5400, 2048),
)


def directives(script: str) -> list[str]:
    return [
        line.removeprefix("#SBATCH ") for line in script.splitlines() if line.startswith("#SBATCH ")
    ]


def test_a_script_asks_for_what_the_profile_and_the_job_say() -> None:
    profile = Profile(
        kind="slurm",
        partition="main",
        account="me",
        qos="high",
        nodes=2,
        grace=90,
        throttle=3,
        directives=("--constraint=ib",),
    )
    job = replace(JOB, elements=(0, 1, 2, 5), after=(7, 8))
    assert directives(batch_script(profile, job, "/bin/python")) == [
        "--job-name=romflow-1",
        "--partition=main",
        "--account=me",
        "--qos=high",
        "--nodes=2",
        "--ntasks=4",
        "--ntasks-per-node=2",
        "--time=01:30:00",
        "--mem=2048M",
        "--signal=B:USR1@90",
        "--requeue",
        "--open-mode=append",
        "--output=/data/out-%a",
        "--array=0-2,5%3",
        "--dependency=afterany:7:8",
        "--constraint=ib",
    ]


def test_a_job_that_needs_one_process_asks_for_one_node() -> None:
    job = replace(JOB, ranks=1, single=True)
    assert "--nodes=1" in directives(batch_script(Profile(kind="slurm", nodes=4), job, "python"))


def test_the_same_arguments_give_the_same_script() -> None:
    assert len({batch_script(Profile(kind="slurm"), JOB, "python") for _ in range(3)}) == 1


def test_setup_lines_come_before_the_command_as_they_are() -> None:
    profile = Profile(kind="slurm", setup=("module load a", "export B='c d'"))
    lines = batch_script(profile, JOB, "python").splitlines()
    assert lines.index("module load a") + 1 == lines.index("export B='c d'")
    assert lines.index("export B='c d'") < lines.index("cd /code || exit 3")


def test_scratch_is_the_folder_of_temporary_files_if_it_can_be_made(tmp_path: Path) -> None:
    show = tmp_path / "show"
    show.write_text('#!/bin/sh\necho "$TMPDIR,$ROMFLOW_SCRATCH"\n')
    show.chmod(0o755)
    good, bad = tmp_path / "a b", show / "below-a-file"
    for folder, kept in ((good, good), (bad, "/tmp")):
        profile = Profile(kind="slurm", scratch=folder)
        script = batch_script(profile, replace(JOB, folder=tmp_path), str(show))
        values = {"PATH": "/usr/bin:/bin", "TMPDIR": "/tmp"}
        done = subprocess.run(
            ["bash"], input=script, env=values, capture_output=True, text=True, check=True
        )
        assert done.stdout == f"{kept},{folder}\n"


def test_a_shell_hands_every_word_on_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / NASTY
    folder.mkdir()
    show = folder / "show"
    show.write_text('#!/bin/sh\npwd\nfor word; do echo "$word"; done\n')
    show.chmod(0o755)
    job = replace(JOB, module=("module", NASTY), folder=folder)
    script = batch_script(Profile(kind="slurm"), job, str(show))
    values = {"SLURM_ARRAY_TASK_ID": "3", "SLURM_JOB_ID": "17", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        ["bash"], input=script, env=values, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        str(folder),
        *("-m", "module", NASTY),
        *("--element", "3", "--job", "17", "--restart", "0", "--seconds", "5400"),
    ]
    assert list(folder.iterdir()) == [show]


def test_a_folder_with_a_percent_sign_is_no_pattern() -> None:
    job = replace(JOB, output=Path("/data 5%a/out-%a"))
    (output,) = [
        d for d in directives(batch_script(Profile(kind="slurm"), job, "p")) if "--output" in d
    ]
    assert shlex.split(output) == ["--output=/data 5%%a/out-%a"]


def test_a_missing_working_folder_is_an_unusable_disk() -> None:
    script = batch_script(
        Profile(kind="slurm"), replace(JOB, folder=Path("/no/such/folder")), "python"
    )
    done = subprocess.run(["bash"], input=script, capture_output=True, text=True, check=False)
    assert done.returncode == 3


@pytest.mark.parametrize(
    ("elements", "text"),
    [((0,), "0"), ((0, 1), "0-1"), ((3, 1, 2, 7), "1-3,7"), ((2, 4, 6), "2,4,6")],
)
def test_elements_are_told_in_ranges(elements: tuple[int, ...], text: str) -> None:
    assert array_text(elements, None) == text
    assert array_text(elements, 4) == f"{text}%4"
