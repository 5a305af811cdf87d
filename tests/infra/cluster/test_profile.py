"""A profile is refused unless every key has an effect and a possible value."""

from typing import Any

import pytest
from pydantic import ValidationError

from infra.cluster.profile import Profile
from infra.cluster.resources import (
    Limits,
    Resources,
    limit_of,
    memory_of,
    seconds_of,
    time_text,
)
from infra.cluster.slurm_commands import Partition
from infra.cluster.slurm_limits import jobs_at_once


def refused(**keys: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        Profile.model_validate(keys)
    return str(caught.value)


@pytest.mark.parametrize("seconds", [1, 59, 60, 3599, 86399, 86400, 10**6])
def test_a_walltime_is_read_as_it_is_written(seconds: int) -> None:
    assert seconds_of(time_text(seconds)) == seconds


@pytest.mark.parametrize("text", ["90", "1:30", "00:00:00", "1:60:00", "1h", ""])
def test_what_is_no_walltime_is_refused_with_an_example(text: str) -> None:
    assert "01:30:00" in refused(walltime=text) or "no time" in refused(walltime=text)


def test_a_walltime_without_quotes_is_refused_for_yaml_reads_it_as_a_number() -> None:
    assert "in quotes" in refused(kind="slurm", walltime=5400)


@pytest.mark.parametrize(("text", "mebibytes"), [("512M", 512), ("4G", 4096), ("1T", 1024**2)])
def test_memory_has_a_unit(text: str, mebibytes: int) -> None:
    assert memory_of(text) == mebibytes
    assert Profile(kind="slurm", memory=text).resources.memory == mebibytes


@pytest.mark.parametrize("text", ["4", "0G", "4GB", "-1G"])
def test_what_is_no_memory_is_refused(text: str) -> None:
    assert "such as 4G" in refused(kind="slurm", memory=text)


@pytest.mark.parametrize(
    ("key", "most", "more"),
    [
        ("walltime", "3650-00:00:00", "3650-00:00:01"),
        ("walltime", "24:00:00", "99999999999999999999-00:00:00"),
        ("memory", "1024T", "1025T"),
        ("memory", "1048576G", "99999999999999999999T"),
    ],
)
def test_more_than_anybody_has_is_refused(key: str, most: str, more: str) -> None:
    assert getattr(Profile.model_validate({"kind": "slurm", key: most}), key) == most
    message = refused(kind="slurm", **{key: more})
    assert f"expected at most {'3650 days' if key == 'walltime' else '1024T'}" in message
    assert more in message


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    message = refused(kind="slrum")
    for kind in ("local", "dask", "dask-slurm", "slurm", "slrum"):
        assert kind in message


def test_an_unknown_key_is_refused() -> None:
    assert "partitoin" in refused(kind="slurm", partitoin="main")


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("local", "partition", "main"),
        ("dask", "walltime", "02:00:00"),
        ("slurm", "scheduler", "tcp://login:8786"),
        ("slurm", "workers", 3),
        ("dask-slurm", "throttle", 2),
    ],
)
def test_a_key_without_effect_is_refused_with_those_that_have_one(
    kind: str, key: str, value: Any
) -> None:
    message = refused(kind=kind, **{key: value})
    assert f"{key}: expected none" in message
    assert repr(value) in message
    assert "keys of this kind are name, kind" in message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("partition", "a b"),
        ("account", "x\n#SBATCH --uid=0"),
        ("setup", ["module load a\nrm -rf b"]),
        ("directives", ["constraint=ib"]),
        ("scratch", "relative"),
        ("nodes", 0),
        ("nodes", True),
        ("grace", 3600),
        ("container", " "),
    ],
)
def test_a_value_that_cannot_be_is_refused(key: str, value: Any) -> None:
    assert key in refused(kind="slurm", **{key: value})


@pytest.mark.parametrize(
    ("text", "option", "advice"),
    [
        ("--array=0-3", "array", "leave it out"),
        ("--dependency=afterok:1", "dependency", "leave it out"),
        ("--wrap=hostname", "wrap", "leave it out"),
        ("--parsable", "parsable", "leave it out"),
        ("--job-name=mine", "job-name", "leave it out"),
        ("--output=/tmp/out", "output", "leave it out"),
        ("--error /tmp/err", "error", "leave it out"),
        ("--no-requeue", "no-requeue", "leave it out"),
        ("--requeue", "requeue", "leave it out"),
        ("--open-mode=truncate", "open-mode", "leave it out"),
        ("--signal=USR2@10", "signal", "use the key grace"),
        ("--time=1:00", "time", "use the key walltime"),
        ("--mem=4G", "mem", "use the key memory"),
        ("--nodes=2", "nodes", "use the key nodes"),
        ("--ntasks=2", "ntasks", "use the key ranks"),
        ("--ntasks-per-node=2", "ntasks-per-node", "use the key ranks"),
        ("--partition=gpu", "partition", "use the key partition"),
        ("--part=gpu", "partition", "use the key partition"),
        ("-A me", "account", "use the key account"),
        ("-qhigh", "qos", "use the key qos"),
        ("-N 4", "nodes", "use the key nodes"),
        ("--constraint=ib -t 10", "time", "use the key walltime"),
    ],
)
def test_options_that_romflow_sets_are_no_directives(text: str, option: str, advice: str) -> None:
    message = refused(kind="slurm", directives=["--exclusive", text])
    assert "directives" in message
    assert f"received {text!r} (--{option}); {advice}" in message


@pytest.mark.parametrize(
    "text",
    [
        *("--constraint=ib", "--cpus-per-task=4", "--mem-per-cpu=1G", "--gres=gpu:1"),
        *("--nodelist=n1", "--time-min=10", "--exclusive", "--export=NONE", "--chdir=/tmp"),
        *("--comment='a --array=2'", "--constraint=ib # not --array"),
    ],
)
def test_other_options_are_passed_on(text: str) -> None:
    assert Profile.model_validate({"kind": "slurm", "directives": [text]}).directives == (text,)


def test_only_own_jobs_of_chunks_set_how_they_are_requeued() -> None:
    profile = Profile(kind="dask-slurm", directives=("--no-requeue",))
    assert profile.directives == ("--no-requeue",)
    assert "(--array)" in refused(kind="dask-slurm", directives=["--array=0-1"])


def test_an_open_quote_is_refused() -> None:
    assert "expected each quote closed" in refused(kind="slurm", directives=["--comment='a"])


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("setup", "module load gcc"),
        ("directives", "--constraint=ib"),
        ("launcher_options", "--mpi=pmi2"),
    ],
)
def test_one_text_is_a_list_of_one(key: str, text: str) -> None:
    profile = Profile.model_validate({"kind": "slurm", key: text})
    assert getattr(profile, key) == (text,)
    assert key in refused(kind="slurm", **{key: 3})


def test_fewer_ranks_than_nodes_are_refused() -> None:
    assert "ranks" in refused(kind="slurm", nodes=4, ranks=2)


def test_a_profile_is_the_same_after_it_was_written_and_read() -> None:
    profile = Profile(kind="slurm", partition="main", setup=("module load a",), memory="4G")
    assert Profile.model_validate_json(profile.model_dump_json()) == profile


def test_only_several_nodes_are_left_to_the_launcher_of_slurm() -> None:
    assert Profile(kind="slurm").launch().hide_allocation
    assert not Profile(kind="slurm", nodes=2).launch().hide_allocation
    assert not Profile(kind="slurm", launcher="srun").launch().hide_allocation
    assert not Profile().launch().hide_allocation


def test_ranks_run_behind_the_words_of_a_container() -> None:
    profile = Profile(kind="slurm", container="/images/r.sif", launcher_options=("--quiet",))
    command = profile.launch().command(["solvers", "a b.json"], 3)
    words = ["--quiet", "-n", "3", "apptainer", "exec", "/images/r.sif", "python3"]
    assert command[1:] == [*words, "-m", "solvers", "a b.json", "--lifeline"]


def test_more_time_and_more_memory_are_twice_as_much() -> None:
    assert Resources(60, 100).with_more_time(Limits()) == Resources(120, 100)
    assert Resources(60, 100).with_more_memory(Limits()) == Resources(60, 200)
    assert Resources(60).with_more_memory(Limits()) == Resources(60)


def test_nobody_gets_more_than_there_is_nor_less_than_before() -> None:
    limits = Limits(seconds=90, memory=120)
    assert Resources(60, 100).with_more_time(limits).seconds == 90
    assert Resources(60, 100).with_more_memory(limits).memory == 120
    assert Resources(99, 130).with_more_time(limits).seconds == 99
    assert Resources(99, 130).with_more_memory(limits).memory == 130


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10:00", 600),
        ("2:00:00", 7200),
        ("1-00:00:00", 86400),
        ("infinite", None),
        ("n/a", None),
    ],
)
def test_limits_are_read_as_slurm_writes_them(text: str, seconds: int | None) -> None:
    assert limit_of(text) == seconds


@pytest.mark.parametrize("value", ["auto", 1, 40])
def test_chunks_are_packed_as_the_profile_says(value: int | str) -> None:
    assert Profile.model_validate({"kind": "slurm", "pack": value}).pack == value


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "all", 10_001])
def test_another_way_to_pack_is_refused_in_one_sentence(value: Any) -> None:
    message = refused(kind="slurm", pack=value)
    assert f"expected auto or a number from 1 to 10000, received {value!r}" in message
    assert message.count("pack") == 1


def test_only_jobs_of_slurm_are_packed() -> None:
    assert "pack: expected none" in refused(kind="dask-slurm", pack=2)


def partition(nodes: int, cpus: int | None) -> Partition:
    return Partition("main", "infinite", nodes, cpus, 4000, default=True, up=True)


@pytest.mark.parametrize(
    ("nodes", "cpus", "keys", "ranks", "jobs"),
    [
        (10, 32, {}, 2, 160),
        (10, 32, {}, 5, 60),
        (10, 32, {"throttle": 7}, 2, 7),
        (10, 32, {"nodes": 2}, 64, 5),
        (10, None, {}, 2, 10),
    ],
)
def test_the_room_of_a_partition_is_told_in_jobs(
    nodes: int, cpus: int | None, keys: dict[str, int], ranks: int, jobs: int
) -> None:
    profile = Profile.model_validate({"kind": "slurm", **keys})
    assert jobs_at_once([partition(nodes, cpus)], profile, ranks) == jobs


def test_no_room_is_known_without_a_partition() -> None:
    assert jobs_at_once([], Profile(kind="slurm"), 2) is None
