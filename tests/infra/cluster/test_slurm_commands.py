"""Calls to Slurm are few, outlast its absence, and never submit a job twice.

The commands here are small scripts that answer as Slurm does; the real one is in tests/slurm.
"""

from pathlib import Path

import pytest

from infra.cluster.profile import Profile
from infra.cluster.rate import RateLimit
from infra.cluster.slurm_commands import Slurm
from infra.cluster.slurm_errors import SlurmError
from infra.errors import UserError

PROFILE = Profile(name="mine", kind="slurm", partition="mian", walltime="99:00:00")


class Site:
    """A folder with commands, first on the path, that count their calls."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def command(self, name: str, body: str) -> None:
        path = self.folder / name
        path.write_text(
            f'#!/bin/sh\ncd {self.folder}\necho "$*" >> {name}.calls\n'
            f"n=$(wc -l < {name}.calls)\n{body}\n"
        )
        path.chmod(0o755)

    def calls(self, name: str) -> list[str]:
        path = self.folder / f"{name}.calls"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return Site(tmp_path)


def slurm(waits: list[float] | None = None) -> Slurm:
    record: list[float] = [] if waits is None else waits
    return Slurm(limit=RateLimit(burst=1000), pauses=(1.0, 2.0, 4.0), sleep=record.append)


def test_a_job_is_submitted_by_its_text_and_known_by_its_number(site: Site) -> None:
    site.command("sbatch", "cat > script; echo '42;virtual'")
    assert slurm().submit("#!/bin/sh\necho ä\n", "name", PROFILE) == 42
    assert (site.folder / "script").read_text() == "#!/bin/sh\necho ä\n"


@pytest.mark.parametrize(
    "said",
    ["*** Welcome, 3 news ***\n42", "7\n42;virtual", "42\nHave a nice day.", "\\351t\\351\n 42 "],
)
def test_a_sites_own_words_around_the_number_are_passed_over(site: Site, said: str) -> None:
    site.command("sbatch", f"printf '{said}\n'")
    assert slurm().submit("x", "name", PROFILE) == 42


def test_a_job_without_a_number_is_found_by_its_name_or_told_with_sbatchs_words(site: Site) -> None:
    site.command("sbatch", "echo Submitted batch job 42")
    site.command("squeue", "echo News of the day; test $n -gt 1 || echo 42")
    assert slurm().submit("x", "romflow-1", PROFILE) == 42
    with pytest.raises(SlurmError, match=r"sbatch: .* received: Submitted batch .*romflow-1"):
        slurm().submit("x", "romflow-1", PROFILE)
    assert len(site.calls("sbatch")) == 2


def test_a_controller_that_is_away_is_asked_again_with_growing_pauses(site: Site) -> None:
    site.command("squeue", "test $n -gt 2 && echo '7|N/A|RUNNING|None' && exit\n" + AWAY)
    waits: list[float] = []
    assert slurm(waits).queue([7]).state(7) == "RUNNING"
    assert waits == [1.0, 2.0]


def test_a_controller_that_stays_away_is_an_error_with_what_to_do(site: Site) -> None:
    site.command("squeue", AWAY)
    with pytest.raises(SlurmError, match=r"received: .*Unable to contact.*scontrol ping"):
        slurm().queue([7])
    assert len(site.calls("squeue")) == 4


def test_a_job_whose_number_was_lost_on_the_way_is_not_submitted_twice(site: Site) -> None:
    site.command("sbatch", "touch taken; " + AWAY)
    site.command("squeue", "test -e taken && echo 43")
    assert slurm().submit("x", "romflow-1", PROFILE) == 43
    assert len(site.calls("sbatch")) == 1
    assert "--name=romflow-1" in site.calls("squeue")[0]


def test_a_job_that_did_not_arrive_is_submitted_again(site: Site) -> None:
    site.command("sbatch", "test $n -gt 1 && echo 44 && exit\n" + AWAY)
    site.command("squeue", "true")
    assert slurm().submit("x", "romflow-1", PROFILE) == 44


@pytest.mark.parametrize(
    ("said", "key", "value"),
    [
        ("invalid partition specified: mian", "partition", "mian"),
        ("Requested time limit is invalid (missing or exceeds some limit)", "walltime", "99:00:00"),
        ("Requested node configuration is not available", "nodes", "1"),
        ("Invalid account or account/partition combination specified", "account", "None"),
    ],
)
def test_a_refusal_names_the_key_of_the_profile_and_is_not_repeated(
    site: Site, said: str, key: str, value: str
) -> None:
    site.command("sbatch", f"echo 'sbatch: error: {said}' >&2; exit 1")
    with pytest.raises(UserError, match=rf"profile mine: {key}: expected") as caught:
        slurm().submit("x", "name", PROFILE)
    assert value in str(caught.value)
    assert said in str(caught.value)
    assert len(site.calls("sbatch")) == 1


def test_a_refused_option_of_sbatch_is_named_as_one_of_the_directives(site: Site) -> None:
    site.command("sbatch", "echo \"sbatch: unrecognized option '--bogus=1'\" >&2; exit 1")
    profile = Profile(name="mine", kind="slurm", directives=("--bogus=1",))
    with pytest.raises(UserError, match=r"mine: directives: expected .* received --bogus=1;"):
        slurm().submit("", "name", profile)


def test_a_refusal_of_unknown_reason_is_the_users_matter_as_well(site: Site) -> None:
    site.command("sbatch", 'echo "sbatch: error: Burst buffer request invalid" >&2; exit 1')
    with pytest.raises(UserError, match="Slurm says: Burst buffer request invalid"):
        slurm().submit("", "name", PROFILE)


def test_the_controllers_start_is_told_in_one_time_zone(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.command("scontrol", 'echo "BOOT_TIME               = $(date -d @0 +%FT%T)"')
    monkeypatch.setenv("TZ", "America/New_York")
    assert slurm().boot() == "1970-01-01T00:00:00"
    site.command("scontrol", "exit 1")
    assert slurm().boot() is None


def test_a_machine_without_slurm_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"there is no sbatch on PATH.*login node"):
        slurm().submit("x", "name", PROFILE)


@pytest.mark.parametrize(
    ("mode", "why"), [(0o644, "Permission denied"), (0o755, "Exec format error")]
)
def test_a_command_that_cannot_be_executed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, why: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    path = tmp_path / "sbatch"
    path.write_bytes(b"\x00\x01")  # no form of a program that the system knows
    path.chmod(mode)
    with pytest.raises(UserError, match=rf"but sbatch cannot be executed \({why}\)"):
        slurm().submit("x", "name", PROFILE)


def test_elements_are_told_apart_and_those_that_wait_stand_together(site: Site) -> None:
    lines = [
        "9|0|COMPLETED|None",
        "9|1|RUNNING|None",
        "9|2-7%2|PENDING|JobArrayTaskLimit",
        "8|N/A|NODE_FAIL|x",
    ]
    site.command("squeue", "cat <<'E'\n" + "\n".join(lines) + "\nE")
    queue = slurm().queue([8, 9])
    assert [queue.state(9, i) for i in (0, 1, 5)] == ["COMPLETED", "RUNNING", "PENDING"]
    assert queue.state(8) == "NODE_FAIL"
    assert queue.state(10) is None
    assert queue.reasons[(9, -1)] == "JobArrayTaskLimit"
    assert "--jobs=8,9" in site.calls("squeue")[0]


def test_a_job_that_slurm_has_forgotten_has_no_state(site: Site) -> None:
    site.command("squeue", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    assert slurm().queue([5]).state(5) is None
    assert slurm().queue([]).state(5) is None
    assert len(site.calls("squeue")) == 1


def test_partitions_are_read_with_their_limits(site: Site) -> None:
    site.command("sinfo", "printf 'main*|2:00:00|12|64|up|4000+\\nold|infinite|1|4+|down|9\\n'")
    main, old = slurm().partitions()
    assert (main.name, main.limit, main.nodes, main.cpus) == ("main", "2:00:00", 12, 64)
    assert (main.memory, old.cpus) == (4000, None)
    assert main.default
    assert main.up
    assert not old.up


@pytest.mark.parametrize("line", ["main*|1:00:00|many|64|up|4000", "main|1:00:00|1|64|up|n/a"])
def test_a_partition_without_numbers_is_told_with_its_line(site: Site, line: str) -> None:
    site.command("sinfo", f"echo Welcome; echo '{line}'")
    with pytest.raises(SlurmError, match=r"sinfo: expected a number, received '(many|n/a)' in the"):
        slurm().partitions()


def test_a_queue_is_read_among_a_sites_own_words(site: Site) -> None:
    site.command("squeue", "echo Welcome; echo '7|N/A|RUNNING|None'")
    assert slurm().queue([7]).state(7) == "RUNNING"
    site.command("squeue", "echo Welcome; echo '7|RUNNING'")
    assert slurm().going_on(["name"]) == (7,)
    site.command("squeue", "echo 'x|RUNNING|RUNNING|None'")
    with pytest.raises(SlurmError, match="squeue: expected a number, received 'x'"):
        slurm().queue([7])


def test_a_call_does_not_hand_on_what_a_surrounding_job_says(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_NTASKS", "7")
    monkeypatch.setenv("SLURM_CONF", "/etc/other.conf")
    site.command("sbatch", "env > seen; echo 1")
    slurm().submit("x", "name", PROFILE)
    seen = (site.folder / "seen").read_text().splitlines()
    assert "SLURM_CONF=/etc/other.conf" in seen
    assert not [line for line in seen if line.startswith("SLURM_NTASKS")]


def test_no_minute_sees_more_calls_than_the_limit_allows() -> None:
    now = [0.0]
    passed: list[float] = []

    def wait(seconds: float) -> None:
        now[0] += seconds

    limit = RateLimit(clock=lambda: now[0], wait=wait)
    for _ in range(200):
        limit.wait()
        passed.append(now[0])
    most = max(sum(start <= t < start + 60.0 for t in passed) for start in passed)
    assert most <= 46  # 50 is what a site is promised
    assert passed[14] == 0.0  # but the first ones do not wait


AWAY = "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1"
