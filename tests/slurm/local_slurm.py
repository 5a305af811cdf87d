"""A real Slurm with virtual nodes on this host, without systemd, cgroups and accounting."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

__all__ = ["LocalSlurm", "install"]

_DEADLINE = 60.0
_PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch")
_CONF = """\
ClusterName=virtual
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2,sched_min_interval=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
JobRequeue=1
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
KillWait=5
MinJobAge=300
MaxJobCount=100000
SlurmctldTimeout=60
SlurmdTimeout=8
MessageTimeout=10
"""
# Without cgroups Slurm itself looks at what jobs use, each second.
_WATCHED = """\
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=2000
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
"""
_UNWATCHED = """\
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
"""


def install() -> None:
    """Install Debian's packages if the programs are missing; needs root."""
    if all(shutil.which(name) for name in _PROGRAMS):
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    packages = ["slurm-wlm", "munge"]
    for words in (["update", "-qq"], ["install", "-y", "-qq", *packages]):
        subprocess.run(["apt-get", *words], env=environment, check=True, capture_output=True)


class LocalSlurm:
    """Controller, nodes and authentication; all of them end with `stop`.

    Parameters
    ----------
    folder : for everything that they write; its path must be short, for it holds a socket
    nodes, cpus : number of virtual nodes, and of processors that each of them claims to have
    watched : whether jobs that take more memory than they have asked for are killed
    """

    def __init__(
        self, folder: Path, nodes: int = 2, cpus: int = 2, *, watched: bool = False
    ) -> None:
        self.folder, self.nodes = folder, tuple(f"n{i + 1}" for i in range(nodes))
        self._cpus, self._watched = cpus, watched

    @property
    def variables(self) -> dict[str, str]:
        """What a process needs in its environment to speak to this Slurm."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def start(self) -> None:
        """Start everything and wait until all nodes are idle."""
        self._configure()
        self._run(
            "munged",
            "--force",
            *(f"--{name}={self.folder / file}" for name, file in _MUNGE.items()),
        )
        self.start_controller(clean=True)
        for node in self.nodes:
            self.start_node(node)
        self.wait_for(lambda: self.idle() == len(self.nodes), "idle nodes")

    def stop(self) -> None:
        """End all jobs, then everything that was started."""
        with suppress(subprocess.SubprocessError):
            self._run("scancel", "--user=root")
        for name in (*(f"slurmd-{node}" for node in self.nodes), "slurmctld", "munged"):
            self._end(name, signal.SIGTERM)
        for process in self.processes():  # steps and what they have started
            with suppress(psutil.Error):
                process.kill()

    def start_controller(self, *, clean: bool = False) -> None:
        """Start the controller; it remembers its jobs unless it starts clean."""
        self._run("slurmctld", *(["-c"] if clean else []))

    def stop_controller(self) -> None:
        """End the controller; the nodes and their jobs go on."""
        self._end("slurmctld", signal.SIGTERM)

    def start_node(self, node: str) -> None:
        """Start a virtual node's daemon."""
        (self.folder / f"spool-{node}").mkdir(exist_ok=True)
        self._run("slurmd", "-N", node)

    def kill_node(self, node: str) -> None:
        """Kill a node's daemon and all processes of its jobs, as a power failure does."""
        daemon = self._signalled(f"slurmd-{node}", signal.SIGKILL)
        # At once: jobs that are about to end shall not, and the daemon may take long to go.
        for process in self.processes(node):
            with suppress(psutil.Error):
                process.kill()
        _await_end(daemon)

    def processes(self, node: str = "") -> list[psutil.Process]:
        """Return the job steps of a node, or of all nodes, with all that they have started."""
        # A step works in its node's spool folder, or writes to its node's log.
        places = [f"spool-{node}", f"slurmd-{node}.log"] if node else [""]
        signs = tuple(str(self.folder / place) for place in places)
        found: list[psutil.Process] = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.name() == "slurmstepd" and self._is_of(process, signs):
                    found += [process, *process.children(recursive=True)]
        return found

    def idle(self) -> int:
        """Return the number of idle nodes."""
        text = self.output("sinfo", "-h", "-t", "idle", "-o", "%D").split()
        return sum(int(word) for word in text)

    def output(self, *command: str) -> str:
        """Return what a command of Slurm prints."""
        return self._run(*command).stdout

    def wait_for(self, condition: Callable[[], Any], what: str, seconds: float = _DEADLINE) -> Any:
        """Wait until a condition holds, and return its value."""
        end = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < end, f"waited in vain for {what}; {self.last_words()}"
            time.sleep(0.1)
        return value

    def last_words(self) -> str:
        """Return the queue and the end of each log."""
        queue = subprocess.run(
            ["squeue", "-a", "--states=all"],
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        logs = [f"{p.name}: {p.read_text()[-1500:]}" for p in sorted(self.folder.glob("*.log"))]
        return "\n".join([queue, *logs])

    @staticmethod
    def _is_of(process: psutil.Process, signs: tuple[str, ...]) -> bool:
        return process.cwd().startswith(signs) or any(
            file.path.startswith(signs) for file in process.open_files()
        )

    def _configure(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        (self.folder / "state").mkdir(exist_ok=True)
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(1024))
        ports, host = _free_ports(len(self.nodes) + 1), socket.gethostname().partition(".")[0]
        lines = [_CONF.format(folder=self.folder, host=host, port=ports[0])]
        lines.append(_WATCHED if self._watched else _UNWATCHED)
        for node, port in zip(self.nodes, ports[1:], strict=True):
            lines.append(
                f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} "
                f"CPUs={self._cpus} RealMemory=4000 State=UNKNOWN\n"
            )
        lines.append("PartitionName=main Nodes=ALL Default=YES MaxTime=02:00:00 State=UP\n")
        lines.append("PartitionName=short Nodes=ALL MaxTime=00:10:00 State=UP\n")
        # Its jobs send those of the others back into the queue.
        urgent = "MaxTime=00:10:00 PriorityTier=10 PreemptMode=OFF"
        lines.append(f"PartitionName=urgent Nodes=ALL {urgent} State=UP\n")
        (self.folder / "slurm.conf").write_text("".join(lines))

    def _environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("SLURM")}
        return kept | self.variables

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        # Daemons inherit the pipes: output goes to files.
        out = self.folder / "output"
        with out.open("w") as file:
            done = subprocess.run(
                command,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=_DEADLINE,
                check=False,
            )
        text = out.read_text()
        if done.returncode:
            raise subprocess.SubprocessError(f"{command}: {text}")
        return subprocess.CompletedProcess(command, 0, text, "")

    def _end(self, name: str, number: int) -> None:
        _await_end(self._signalled(name, number))

    def _signalled(self, name: str, number: int) -> psutil.Process | None:
        """Send a signal to a daemon; return it, if it is there."""
        file = self.folder / f"{name}.pid"
        if not file.exists() or not file.read_text().strip():
            return None
        try:
            process = psutil.Process(int(file.read_text()))
            if process.name() not in _PROGRAMS:  # the number has gone to another one since
                return None
            process.send_signal(number)
        except psutil.Error:
            return None
        finally:
            file.unlink(missing_ok=True)
        return process


def _await_end(process: psutil.Process | None) -> None:
    """Wait until a daemon has gone; one that does not go is killed."""
    if process is None:
        return
    _, alive = psutil.wait_procs([process], timeout=10.0)
    for left in alive:
        with suppress(psutil.Error):
            left.kill()


_MUNGE = {
    "key-file": "munge.key",
    "socket": "munge.socket",
    "pid-file": "munged.pid",
    "log-file": "munged.log",
    "seed-file": "munged.seed",
}


def _free_ports(count: int) -> Sequence[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
