"""Slurm's commands: few calls, limited in their rate, tried again while the controller is away."""

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

from infra.cluster.profile import Profile
from infra.cluster.rate import RateLimit
from infra.cluster.slurm_errors import SlurmError, is_passing, refusal, whole_number
from infra.cluster.states import goes_on
from infra.errors import UserError

__all__ = ["Partition", "Queue", "Slurm"]

_SECONDS = 60.0
# Waiting times between attempts, seconds: together a restart of the controller is outlasted.
_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
_GONE = "Invalid job id"
# A line that is the number of a job, with the cluster's name behind it if there are several.
_JOB = re.compile(r"^\s*(\d+)(?:;\S*)?\s*$", re.MULTILINE)
# Names in one call: a command line has its limits.
_NAMES = 200


def _nowhere(_text: str) -> None:
    """Tell nobody."""


@final
@dataclass(frozen=True)
class Partition:
    """A partition as sinfo tells of it.

    Attributes
    ----------
    name : of the partition
    limit : longest walltime in Slurm's form, ``infinite`` for none
    nodes, cpus : number of nodes, and of processors of each; no number for several kinds
    memory : of a node, MiB; of several kinds the least
    default : whether jobs go there that name none
    up : whether it takes jobs
    """

    name: str
    limit: str
    nodes: int
    cpus: int | None
    memory: int
    default: bool
    up: bool


@final
@dataclass(frozen=True)
class Queue:
    """Slurm's words for jobs, at one moment.

    Attributes
    ----------
    states : word by job and element; element -1 stands for jobs without elements, and for all
        elements of an array that have not been started
    reasons : why such jobs wait, by the same keys
    """

    states: Mapping[tuple[int, int], str]
    reasons: Mapping[tuple[int, int], str]

    def state(self, job: int, element: int = -1) -> str | None:
        """Return the word for an element; None if Slurm knows it no more."""
        return self.states.get((job, element)) or self.states.get((job, -1))


@final
@dataclass(frozen=True)
class Slurm:
    """Slurm's commands on this machine.

    Attributes
    ----------
    limit : how often commands may be called
    pauses : seconds before each further attempt
    sleep : waits
    note : gets a line for people when the controller is away
    """

    limit: RateLimit = field(default_factory=RateLimit)
    pauses: tuple[float, ...] = _PAUSES
    sleep: Callable[[float], None] = time.sleep
    note: Callable[[str], None] = field(default=_nowhere)

    def submit(self, script: str, name: str, profile: Profile) -> int:
        """Give a job to Slurm, once.

        Parameters
        ----------
        script : text of the batch script
        name : of the job; no other job has it, so that an answer that was lost is found again
        profile : for messages

        Returns
        -------
        int
            Number of the job.

        Raises
        ------
        UserError
            If Slurm refuses it; the message names the key of the profile.
        SlurmError
            If Slurm does not answer, or nobody knows the number of the job.
        """
        done = self._call(["sbatch", "--parsable"], script)
        for place in range(len(self.pauses)):
            if done.returncode == 0 or not is_passing(done.stderr):
                break
            self._pause(done, place)
            found = self.find(name)  # it may have been taken, and only the answer lost
            if found is not None:
                return found
            done = self._call(["sbatch", "--parsable"], script)
        if done.returncode == 0:
            return self._number(done, name)
        raise self._failed(done) if is_passing(done.stderr) else refusal(done.stderr, profile)

    def test(self, script: str, profile: Profile) -> None:
        """Ask whether Slurm would take a job; raises as `submit` does."""
        done = self._patiently(["sbatch", "--test-only"], script)
        if done.returncode:
            raise refusal(done.stderr, profile)

    def find(self, name: str) -> int | None:
        """Return the number of a job by its name; None if Slurm knows none."""
        text = self._output(["squeue", "-h", "--states=all", f"--name={name}", "-o", "%F"])
        known = _JOB.search(text)
        return int(known[1]) if known else None

    def going_on(self, names: Sequence[str]) -> tuple[int, ...]:
        """Return the numbers of the jobs of these names that wait or run."""
        found: set[int] = set()
        for low in range(0, len(names), _NAMES):
            asked = ",".join(names[low : low + _NAMES])
            command = ["squeue", "-h", "--states=all", f"--name={asked}", "-o", "%F|%T"]
            for line in _lines(self._output(command), 2):
                job, state = line.split("|", 1)
                if goes_on(state.strip()):
                    found.add(whole_number("squeue", job, line))
        return tuple(sorted(found))

    def queue(self, jobs: Iterable[int]) -> Queue:
        """Return Slurm's words for these jobs and their elements, also of those just ended."""
        asked = ",".join(str(job) for job in sorted(set(jobs)))
        if not asked:
            return Queue({}, {})
        command = ["squeue", "-h", "--states=all", f"--jobs={asked}", "-o", "%F|%K|%T|%r"]
        done = self._patiently(command)
        if done.returncode and _GONE in done.stderr:
            return Queue({}, {})
        return _queue(self._checked(done))

    def cancel(self, jobs: Iterable[int]) -> None:
        """End jobs; those that have ended already are no error."""
        named = [str(job) for job in sorted(set(jobs))]
        if named:
            done = self._patiently(["scancel", "--quiet", *named])
            if _GONE not in done.stderr:
                self._checked(done)

    def partitions(self) -> tuple[Partition, ...]:
        """Return the partitions of this Slurm."""
        text = self._output(["sinfo", "-h", "-o", "%P|%l|%D|%c|%a|%m"])
        return tuple(_partition(line) for line in _lines(text, 6))

    def boot(self) -> str | None:
        """Return when the controller was started, in its words; None if it does not tell."""
        try:
            # Without the machine's own time zone, for jobs on nodes may have another one.
            text = self._call(["env", "TZ=UTC0", "scontrol", "show", "config"]).stdout
        except UserError:
            return None
        found = re.search(r"^BOOT_TIME\s*=\s*(\S+)", text, re.MULTILINE)
        return found[1] if found else None

    def _number(self, done: subprocess.CompletedProcess[str], name: str) -> int:
        """Return the number of a job that was taken; a site's own words may stand around it."""
        told = _JOB.findall(done.stdout)
        job = int(told[-1]) if told else self.find(name)
        if job is None:
            said = " ".join(f"{done.stdout} {done.stderr}".split()) or "nothing"
            raise SlurmError(
                f"sbatch: expected the number of a job, received: {said}. Look for job {name} with "
                "`squeue`, and start again; ask your site if its sbatch is not Slurm's own."
            )
        return job

    def _output(self, command: Sequence[str]) -> str:
        return self._checked(self._patiently(command))

    def _checked(self, done: subprocess.CompletedProcess[str]) -> str:
        if done.returncode:
            raise self._failed(done)
        return done.stdout

    def _failed(self, done: subprocess.CompletedProcess[str]) -> SlurmError:
        said = " ".join((done.stderr or done.stdout).split()) or f"code {done.returncode}"
        return SlurmError(
            f"{done.args[0]}: expected an answer of Slurm, received: {said}. Try again when its "
            "controller answers (`scontrol ping`); nothing that is committed is lost."
        )

    def _patiently(
        self, command: Sequence[str], text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        done = self._call(command, text)
        for place in range(len(self.pauses)):
            if done.returncode == 0 or not is_passing(done.stderr):
                break
            self._pause(done, place)
            done = self._call(command, text)
        return done

    def _pause(self, done: subprocess.CompletedProcess[str], place: int) -> None:
        """Wait for the controller, and say so once for each time that it is away."""
        if place == 0:
            said = " ".join(done.stderr.split())
            self.note(f"{done.args[0]}: Slurm does not answer ({said}); asked again until it does")
        self.sleep(self.pauses[place])

    def _call(
        self, command: Sequence[str], text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        self.limit.wait()
        try:
            done = subprocess.run(
                command,
                input=(text or "").encode(),
                capture_output=True,
                timeout=_SECONDS,
                check=False,
                env=_environment(),
            )
        except FileNotFoundError as error:
            raise UserError(
                f"kind: expected a machine with Slurm, but there is no {command[0]} on PATH. Run "
                "this on a login node, load your site's Slurm module, or use another profile."
            ) from error
        except OSError as error:
            raise UserError(
                f"kind: expected a machine with Slurm, but {command[0]} cannot be executed "
                f"({error.strerror}). Ask your site for access to it, or use another profile."
            ) from error
        except subprocess.TimeoutExpired:
            said = f"Socket timed out: no answer within {_SECONDS:g} s"
            return subprocess.CompletedProcess(command, 1, "", said)
        out, errors = (said.decode(errors="replace") for said in (done.stdout, done.stderr))
        return subprocess.CompletedProcess(command, done.returncode, out, errors)


def _environment() -> dict[str, str]:
    """Return the environment without what a surrounding job says of itself."""
    kept = ("SLURM_CONF", "SLURM_CONF_SERVER")
    return {
        k: v for k, v in os.environ.items() if k in kept or not k.startswith(("SLURM_", "SLURMD_"))
    }


def _lines(text: str, fields: int) -> Iterator[str]:
    """Yield the lines of so many fields or more; others are a site's own words."""
    return (line for line in text.splitlines() if line.count("|") >= fields - 1)


def _queue(text: str) -> Queue:
    states: dict[tuple[int, int], str] = {}
    reasons: dict[tuple[int, int], str] = {}
    for line in _lines(text, 4):
        job, element, state, reason = (part.strip() for part in line.split("|", 3))
        # Elements that wait are told together, as a range.
        number = whole_number("squeue", job, line)
        key = (number, int(element) if element.isdecimal() else -1)
        states[key], reasons[key] = state, reason
    return Queue(states, reasons)


def _partition(line: str) -> Partition:
    name, limit, nodes, cpus, up, memory = (part.strip() for part in line.split("|", 5))
    return Partition(
        name=name.rstrip("*"),
        limit=limit,
        nodes=whole_number("sinfo", nodes, line),
        cpus=int(cpus) if cpus.isdecimal() else None,
        memory=whole_number("sinfo", memory.rstrip("+"), line),
        default=name.endswith("*"),
        up=up == "up",
    )
